"""What the forge's children are: a worker, and a web server. Real ones; a test can have them die at a point."""

import mmap
import os
import socket
import struct
from pathlib import Path
from typing import Any
from unittest import mock

from agents.core import decide
from agents.engine import django_q, store
from ops import serving
from tests.faults import points
from tests.faults.forge import Channel

#: Seconds before a model call is made again, in place of a second: back-offs are no part of what is tried.
BACKOFF_S = 0.02


def worker(channel: Channel, *, clock: str | None = None, **plan: Any) -> None:
    """Be a worker of the default engine: its q2 task, with its slot, its listener and its driver.

    clock: a file that holds how many seconds the machine's clock of leases is ahead. plan: of `points.Plan`.
    """
    channel.end_with_test()
    decide.BACKOFF_FIRST_S = BACKOFF_S
    if clock is not None:
        _follow(Path(clock))
    if plan:
        points.of_worker(points.Plan(channel.say, **plan))
    os.environ[django_q.INSTANCE] = f"forge/{os.getpid()}"
    django_q.drive(os.environ[django_q.INSTANCE], 0)


def web(channel: Channel, **plan: Any) -> None:
    """Be a web server on a free port, which is said first. plan: of `points.Plan`."""
    channel.end_with_test()
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    channel.say(serving.url_of(listener))
    if plan:
        points.of_web(points.Plan(channel.say, **plan))
    serving.serve(listener)


def _follow(clock: Path) -> None:
    """Set the clock of leases by the file, as if that much time had passed: nobody has to wait for it."""
    with clock.open("r+b") as file:
        ahead = mmap.mmap(file.fileno(), 8)
    real = store.lease_clock

    def clock_of_leases() -> float:
        return real() + float(struct.unpack("d", ahead[:8])[0])

    mock.patch.object(store, "lease_clock", clock_of_leases).start()
