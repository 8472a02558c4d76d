"""A connection to somebody's PostgreSQL server that takes no more time and memory than it was given.

libpq keeps a whole message in memory, and a server that means harm may send one of a gigabyte.
"""

import os
import socket
import struct
import sys
import time
from collections.abc import Generator
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen, PQGenConn

RV = TypeVar("RV")
MAX_BYTES = 32 * 1024 * 1024
# libpq reads on while there is anything to read, and is asked to stop only between: the system shall hold little.
_HELD_BYTES = 128 * 1024
# tcpi_bytes_received of Linux's struct tcp_info (4.1 and later), a 64-bit number at this place.
_BYTES_RECEIVED = 128


class TooMuchError(psycopg.OperationalError):
    """The server sent more than any honest answer has."""


class BoundedConnection(psycopg.Connection[Any]):
    """Every wait ends at `deadline` (monotonic clock), whatever the server does, and after MAX_BYTES received.

    The bytes are counted by the system, where it does so (Linux).
    """

    deadline = float("inf")

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        left = max(0.0, self.deadline - time.monotonic())
        counted = _counted(gen, self.pgconn.socket)
        return super().wait(counted, interval, left if timeout is None else min(left, timeout))

    @classmethod
    def _connect_gen(cls, conninfo: str = "") -> PQGenConn[Any]:
        return _counted(super()._connect_gen(conninfo), None)


def _counted(gen: Generator[Any, Any, RV], fileno: int | None) -> Generator[Any, Any, RV]:
    """Hand everything on, and raise TooMuchError once too much was received.

    fileno: the connection's; None where `gen` yields it with what it waits for, while connecting.
    """
    try:
        wanted = next(gen)
        while True:
            if fileno is None:
                _narrow(wanted[0])
            ready = yield wanted
            if _received(wanted[0] if fileno is None else fileno) > MAX_BYTES:
                gen.close()
                raise TooMuchError("more was sent than is read")
            wanted = gen.send(ready)
    except StopIteration as stopped:
        value: RV = stopped.value
        return value


def _narrow(fileno: int) -> None:
    with socket.socket(fileno=os.dup(fileno)) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _HELD_BYTES)


def _received(fileno: int) -> int:
    if sys.platform != "linux":
        return 0
    with socket.socket(fileno=os.dup(fileno)) as sock:
        state = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _BYTES_RECEIVED + 8)
    return int(struct.unpack_from("=Q", state, _BYTES_RECEIVED)[0]) if len(state) >= _BYTES_RECEIVED + 8 else 0
