"""A way to the database that can be held shut for those who go through it, and for nobody else."""

import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from db.embedded import Server


class Doorway:
    """A socket of its own before the server's. While it is shut connections stand, and nobody answers."""

    def __init__(self, server: Server, folder: Path) -> None:
        self._server = server
        self._folder = folder
        self._open = threading.Event()
        self._open.set()
        self._lock = threading.Lock()  # guards what follows
        self._ends: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(folder / f".s.PGSQL.{server.port}"))
        self._listening.listen(64)
        self._start(self._accept)

    def environment(self, process_environment: dict[str, str]) -> dict[str, str]:
        """Return the variables for a child process that goes through here."""
        direct, through = (quote(place, safe="") for place in (self._server.host, str(self._folder)))
        urls = ("DATABASE_URL", "DATABASE_OWNER_URL")
        assert all(direct in process_environment[name] for name in urls)
        return process_environment | {name: process_environment[name].replace(direct, through) for name in urls}

    @contextmanager
    def shut(self) -> Iterator[None]:
        """Let nothing through in either direction, and nobody in, for the block."""
        self._open.clear()
        try:
            yield
        finally:
            self._open.set()

    def close(self) -> None:
        """Break what is left of the connections."""
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        with self._lock:
            for end in self._ends:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads[1:]:
            thread.join()
        for end in (self._listening, *self._ends):
            end.close()

    def _start(self, what: Callable[..., None], *ends: socket.socket) -> None:
        thread = threading.Thread(target=what, args=ends)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):  # it was closed
            while True:
                client = self._listening.accept()[0]
                self._open.wait()
                server = socket.socket(socket.AF_UNIX)
                with self._lock:
                    self._ends += (client, server)
                server.connect(f"{self._server.host}/.s.PGSQL.{self._server.port}")
                self._start(self._carry, client, server)
                self._start(self._carry, server, client)

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):  # the other side is gone
            while data := source.recv(65536):
                self._open.wait()
                sink.sendall(data)
        self._open.wait()
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@contextmanager
def doorway(server: Server) -> Iterator[Doorway]:
    """A way to `server` until the block is left; the folder's path is short, as a socket's must be."""
    with tempfile.TemporaryDirectory(prefix="d") as folder:
        made = Doorway(server, Path(folder))
        try:
            yield made
        finally:
            made.close()
