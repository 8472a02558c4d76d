"""Real processes of the platform, for tests that start and kill them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings

PATIENCE_SECONDS = 90


def environment(data_dir: Path, **variables: str) -> dict[str, str]:
    """The environment of an installation of its own in `data_dir`."""
    own = {"DATA_DIR": str(data_dir), "DJANGO_SETTINGS_MODULE": "config.settings", "PYTHONUNBUFFERED": "1"}
    return {**os.environ, **own, **variables}


def manage(*arguments: str) -> list[str]:
    """The command line of a management command."""
    return [sys.executable, str(settings.BASE_DIR / "manage.py"), *arguments]


@contextmanager
def up(data_dir: Path, *arguments: str, **variables: str) -> Iterator["Up"]:
    """`manage.py up` on a free port, ready; ended at the latest when the block is left."""
    with (data_dir / "up.log").open("w") as stderr:
        process = subprocess.Popen(
            manage("up", "--port", "0", *arguments),
            env=environment(data_dir, **variables),
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
    assert process.stdout is not None
    line = process.stdout.readline()
    try:
        assert line.startswith("ready http://"), (data_dir / "up.log").read_text()
        yield Up(process, line.split()[1], data_dir)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE_SECONDS)


class Up:
    """A running `manage.py up`."""

    def __init__(self, process: "subprocess.Popen[str]", url: str, data_dir: Path) -> None:
        self.process, self.url, self.data_dir = process, url, data_dir

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal, wait for the end, return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_SECONDS)

    def said(self) -> str:
        """What it wrote to stderr so far, its children's lines included."""
        return (self.data_dir / "up.log").read_text()


def of_installation(data_dir: Path, command: str = "") -> list[int]:
    """The processes that were started for the installation in `data_dir`, by a word of their command line."""
    marker = f"DATA_DIR={data_dir}".encode()
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            variables = (place / "environ").read_bytes().split(b"\0")
            line = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if marker in variables and command in line:
            found.append(int(place.name))
    return sorted(found)


def eventually(holds: Callable[[], bool]) -> bool:
    """Wait for something that other processes bring about; False only if it never comes."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
