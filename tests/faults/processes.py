"""What the forge's children are: a worker, and a web server. Real ones; a test can have them die at a point."""

import os
import socket

from agents.core import decide
from agents.engine import django_q
from ops import serving
from tests.faults import points
from tests.faults.forge import Channel

#: Seconds before a model call is made again, in place of a second: back-offs are no part of what is tried.
BACKOFF_S = 0.02


def worker(channel: Channel, *, die_at: str | None = None, count: bool = False) -> None:
    """Be a worker of the default engine: its q2 task, with its slot, its listener and its driver."""
    channel.end_with_test()
    decide.BACKOFF_FIRST_S = BACKOFF_S
    if count or die_at is not None:
        points.of_worker(channel.say if count else None, die_at)
    os.environ[django_q.INSTANCE] = f"forge/{os.getpid()}"
    django_q.drive(os.environ[django_q.INSTANCE], 0)


def web(channel: Channel, *, die_at: str | None = None, count: bool = False) -> None:
    """Be a web server on a free port, which is said first."""
    channel.end_with_test()
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    channel.say(serving.url_of(listener))
    if count or die_at is not None:
        points.of_web(channel.say if count else None, die_at)
    serving.serve(listener)
