"""A benchmark that is told to end leaves nothing behind: no server, and none of its files."""

import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from tests.ops.processes import PATIENCE_SECONDS, eventually


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A folder that the server's account, too, can look into."""
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o755)
        yield Path(made)


def servers(scratch: Path) -> list[int]:
    """The process ids of the servers that say in this folder that they are ready."""
    told = [each.read_text().split() for each in scratch.glob("*/data/postmaster.pid")]
    return [int(lines[0]) for lines in told if lines[-1] == "ready"]


def is_alive(process: int) -> bool:
    """Whether it runs; one that has ended may be listed until somebody takes note of it."""
    listed = subprocess.run(["ps", "-o", "state=", "-p", str(process)], capture_output=True, text=True, check=False)
    return listed.stdout.strip()[:1] not in ("", "Z")


def test_one_that_is_told_to_end_ends_its_server_too(scratch: Path) -> None:
    asked = ["--only", "where", "--scratch", str(scratch)]
    command = [sys.executable, str(settings.BASE_DIR / "bench" / "run.py"), *asked]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as bench:
        assert eventually(lambda: bool(servers(scratch)))
        (server,) = servers(scratch)

        bench.send_signal(signal.SIGTERM)

        bench.communicate(timeout=PATIENCE_SECONDS)
    assert bench.returncode == 128 + signal.SIGTERM
    assert not is_alive(server)
    assert list(scratch.iterdir()) == []
