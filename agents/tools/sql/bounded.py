"""A connection to somebody's PostgreSQL server that takes no more time and memory than it was given.

libpq keeps a whole message in memory, and a server that means harm may send one of a gigabyte. While more comes in,
libpq reads on and returns to nobody: so a thread beside it reads what the system counted, and cuts the connection.
"""

import os
import socket
import struct
import sys
import threading
import time
from collections.abc import Generator
from contextlib import suppress
from typing import Any, Final, Self, TypeVar

import psycopg
from psycopg.abc import PQGen, PQGenConn

RV = TypeVar("RV")
MAX_BYTES: Final = 32 * 1024 * 1024
# Seconds between two looks; what comes in between is taken in as well.
_LOOK_S: Final = 0.005
# Closed, a socket tells the other side at once and drops what neither has sent or read (struct linger).
_RESET: Final = struct.pack("ii", 1, 0)
# tcpi_bytes_received of Linux's struct tcp_info (4.1 and later), a 64-bit number at this place.
_BYTES_RECEIVED: Final = 128


class TooMuchError(psycopg.OperationalError):
    """The server sent more than any honest answer has."""


class BoundedConnection(psycopg.Connection[Any]):
    """Every wait ends at `deadline` (monotonic clock), whatever the server does, and soon after MAX_BYTES received.

    The bytes are counted by the system, where it does so (Linux). To be closed: a thread looks on until then.
    """

    deadline = float("inf")
    _watch: "_Watch"

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        left = max(0.0, self.deadline - time.monotonic())
        try:
            return super().wait(gen, interval, left if timeout is None else min(left, timeout))
        except psycopg.OperationalError:
            self._watch.tell()
            raise

    @classmethod
    def _connect_gen(cls, conninfo: str = "") -> PQGenConn[Self]:
        watch = _Watch()
        try:
            made = yield from watch.following(super()._connect_gen(conninfo))
        except BaseException:
            watch.end()
            watch.tell()
            raise
        made._watch = watch
        return made

    def close(self) -> None:
        super().close()
        self._watch.end()


class _Watch:
    """Cuts a connection once it has received more than MAX_BYTES, from a thread of its own."""

    def __init__(self) -> None:
        self._over = threading.Event()
        self._cut = False
        self._thread: threading.Thread | None = None

    def following(self, gen: Generator[Any, Any, RV]) -> Generator[Any, Any, RV]:
        """Hand on what a connecting generator waits for, and watch the sockets it yields."""
        try:
            wanted, seen = next(gen), -1
            while True:
                inode = os.fstat(wanted[0]).st_ino
                if inode != seen:  # refused with TLS, it tries another one without, often by the same number
                    seen = inode
                    self.end()
                    self._look_at(wanted[0])
                wanted = gen.send((yield wanted))
        except StopIteration as stopped:
            value: RV = stopped.value
            return value

    def _look_at(self, fileno: int) -> None:
        sock = socket.socket(fileno=os.dup(fileno))
        self._over.clear()
        self._thread = threading.Thread(target=self._look, args=[sock], name="sql-watch", daemon=True)
        self._thread.start()

    def _look(self, sock: socket.socket) -> None:
        with sock:
            while not self._over.wait(_LOOK_S):
                if _received(sock) > MAX_BYTES:
                    self._cut = True
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                    with suppress(OSError):  # it is cut already
                        sock.shutdown(socket.SHUT_RDWR)
                    return

    def tell(self) -> None:
        """Raise `TooMuchError` if the connection was cut."""
        if self._cut:
            raise TooMuchError("more was sent than is read")

    def end(self) -> None:
        """Look no more."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()


def _received(sock: socket.socket) -> int:
    if sys.platform != "linux":
        return 0
    state = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _BYTES_RECEIVED + 8)
    return int(struct.unpack_from("=Q", state, _BYTES_RECEIVED)[0]) if len(state) >= _BYTES_RECEIVED + 8 else 0
