"""The real dev server of Temporal, on a free port, with its database in a folder of its own."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.ports import free_port

#: Generous bound on how long the server takes to answer.
PATIENCE_S = 60.0

_BINARY = Path(sys.executable).parent / "temporal"


class DevServer:
    """One server. What it knows survives `kill` and `start`, at the same address."""

    def __init__(self, folder: Path, *options: str) -> None:
        self._folder = folder
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()

    @property
    def address(self) -> str:
        """host:port, for clients and workers."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, unless it runs, and wait until it takes connections."""
        if self._process is not None:
            return
        command = [str(_BINARY), "server", "start-dev", "--headless", "--ip", "127.0.0.1", "--port", str(self.port)]
        command += ["--db-filename", str(self._folder / "temporal.db"), "--log-level", "error", *self._options]
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        until = time.monotonic() + PATIENCE_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > until:
                raise AssertionError((self._folder / "server.log").read_text()[-2000:])
            time.sleep(0.1)

    def kill(self) -> None:
        """SIGKILL: it has no time to say anything to anybody."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        check = [str(_BINARY), "operator", "cluster", "health", "--address", self.address]
        return subprocess.run(check, capture_output=True, check=False).returncode == 0


@contextmanager
def dev_server(folder: Path, *options: str) -> Iterator[DevServer]:
    """Run a server of one's own while the block runs."""
    server = DevServer(folder, *options)
    server.start()
    try:
        yield server
    finally:
        server.kill()


@pytest.fixture(scope="session")
def temporal_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the session's dev server."""
    with dev_server(tmp_path_factory.mktemp("temporal")) as server:
        yield server.address
