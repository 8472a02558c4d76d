"""A connection to somebody's PostgreSQL server that takes no more time and memory than it was given.

libpq keeps a whole message in memory, and a server that means harm may send one of a gigabyte. While more comes in,
libpq reads on and returns to nobody: so a thread beside it reads what the system counted, and cuts the connection. One
thread looks after all connections of the process.
"""

import logging
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

logger = logging.getLogger(__name__)
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

    The bytes are counted by the system, where it does so (Linux). To be closed: it is looked after until then.
    """

    deadline = float("inf")
    _watched: "_Watched"

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        left = max(0.0, self.deadline - time.monotonic())
        try:
            return super().wait(gen, interval, left if timeout is None else min(left, timeout))
        except psycopg.OperationalError:
            self._watched.tell()
            raise

    @classmethod
    def _connect_gen(cls, conninfo: str = "") -> PQGenConn[Self]:
        watched = _Watched()
        try:
            made = yield from watched.following(super()._connect_gen(conninfo))
        except BaseException:
            watched.end()
            watched.tell()
            raise
        made._watched = watched
        return made

    def close(self) -> None:
        super().close()
        self._watched.end()


class _Watched:
    """One connection that is looked after, by a handle of its own on the socket."""

    def __init__(self) -> None:
        self._cut = False
        self._too_much = False
        self._sock: socket.socket | None = None

    def following(self, gen: Generator[Any, Any, RV]) -> Generator[Any, Any, RV]:
        """Hand on what a connecting generator waits for, and have the sockets it yields looked after."""
        try:
            wanted, seen = next(gen), -1
            while True:
                inode = os.fstat(wanted[0]).st_ino
                if inode != seen:  # refused with TLS, it tries another one without, often by the same number
                    seen = inode
                    self.end()
                    self._sock = socket.socket(fileno=os.dup(wanted[0]))
                    _watch.add(self)
                wanted = gen.send((yield wanted))
        except StopIteration as stopped:
            value: RV = stopped.value
            return value

    def look(self) -> None:
        """Cut the connection if it has received too much, or nobody can tell. Called by the watch alone."""
        if self._sock is None or self._cut:
            return
        try:
            self._too_much = _received(self._sock) > MAX_BYTES
            if not self._too_much:
                return
        except Exception as error:
            logger.warning("A data source's connection is cut: what it received cannot be read (%r).", error)
        self._cut = True
        with suppress(OSError):  # it is cut already
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    def tell(self) -> None:
        """Raise `TooMuchError` if the connection was cut for that."""
        if self._too_much:
            raise TooMuchError("more was sent than is read")

    def end(self) -> None:
        """Have it looked after no more."""
        _watch.remove(self)
        if self._sock is not None:
            self._sock.close()
            self._sock = None


class _Watch:
    """Looks at all connections in turn, from a thread that lives while there are any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # held while looking: what was removed is not looked at any more
        self._all: set[_Watched] = set()
        self._runs = False

    def add(self, one: _Watched) -> None:
        with self._lock:
            self._all.add(one)
            if not self._runs:
                threading.Thread(target=self._look, name="sql-watch", daemon=True).start()
                self._runs = True

    def remove(self, one: _Watched) -> None:
        with self._lock:
            self._all.discard(one)

    def _look(self) -> None:
        while True:
            time.sleep(_LOOK_S)
            with self._lock:
                self._runs = False  # whatever happens here, the next connection is looked after
                for one in self._all:
                    one.look()
                self._runs = bool(self._all)
                if not self._runs:
                    return


_watch: Final = _Watch()


def _received(sock: socket.socket) -> int:
    if sys.platform != "linux":
        return 0
    state = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _BYTES_RECEIVED + 8)
    return int(struct.unpack_from("=Q", state, _BYTES_RECEIVED)[0]) if len(state) >= _BYTES_RECEIVED + 8 else 0
