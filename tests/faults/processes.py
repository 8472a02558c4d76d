"""What the forge's children are: workers and web servers. Real ones; a test can have them die, or be off the time."""

import asyncio
import mmap
import os
import socket
import struct
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

from django.conf import settings
from django.core.management import call_command
from django_q.conf import Conf

from agents.core import decide
from agents.engine import django_q, leases
from agents.engine.temporal import rows
from agents.engine.temporal import worker as temporal
from agents.providers.installed import provider
from ops import serving
from quotas.provider import gate
from tests.faults import clocks, points
from tests.faults.forge import Channel

#: Seconds before a model call is made again, in place of a second: back-offs are no part of what is tried.
BACKOFF_S = 0.02


def worker(
    channel: Channel, *, clock: str | None = None, ahead_s: float = 0.0, mail_port: int | None = None, **plan: Any
) -> None:
    """Be a worker of the default engine: its q2 task, with its slot, its listener and its driver.

    clock: a file that holds how many seconds the machine's clock of leases is ahead. ahead_s: the same of its time of
    day. mail_port: of a mail server on loopback. plan: of `points.Plan`.
    """
    channel.end_with_test()
    if mail_port is not None:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", mail_port
    decide.BACKOFF_FIRST_S = BACKOFF_S
    if clock is not None:
        _follow(Path(clock))
    if ahead_s:
        clocks.shift(ahead_s)
    if plan:
        points.of_worker(points.Plan(channel.say, **plan))
    os.environ[django_q.INSTANCE] = f"forge/{os.getpid()}"
    django_q.drive(os.environ[django_q.INSTANCE], 0)


def temporal_worker(channel: Channel, *, clock: str | None = None, ahead_s: float = 0.0, **plan: Any) -> None:
    """Be a worker of the Temporal engine. What it waits for when others are gone comes sooner: nobody asserts on it.

    clock, ahead_s, plan: as of `worker`.
    """
    channel.end_with_test()
    decide.BACKOFF_FIRST_S = BACKOFF_S
    for module, name, sooner in (
        (rows, "GRACE_S", 0.2),
        (temporal, "POLL_S", 0.5),
        (temporal, "STICKY", timedelta(seconds=0.3)),
    ):
        mock.patch.object(module, name, sooner).start()
    if clock is not None:
        _follow(Path(clock))
    if ahead_s:
        clocks.shift(ahead_s)
    if plan:
        points.of_temporal_worker(points.Plan(channel.say, **plan))
    asyncio.run(temporal.TemporalWorker(provider().answer, gate=gate()).serve(asyncio.Event()))


def task(channel: Channel, *, instance: str, slot: int) -> None:
    """Be a q2 task of a driver, delivered once more; says what became of it."""
    channel.end_with_test()
    os.environ[django_q.INSTANCE] = instance
    channel.say(django_q.drive(instance, slot))


def cluster(channel: Channel, *, retry_s: int) -> None:
    """Be the command `qcluster`, whose broker delivers a task again after `retry_s`; says what becomes of each.

    It has one driver and two workers, so that there is one to take what is delivered again.
    """
    channel.end_with_test()
    Conf.RETRY = retry_s
    drives, free = django_q.drive, django_q.free_slots

    def drive(instance: str, slot: int) -> str:
        became = drives(instance, slot)
        channel.say(became)
        return became

    def free_slots(instance: str) -> list[int]:
        return [slot for slot in free(instance) if slot == 0]

    mock.patch.object(django_q, "drive", drive).start()
    mock.patch.object(django_q, "free_slots", free_slots).start()
    call_command("qcluster", workers=2)


def web(channel: Channel, *, ahead_s: float = 0.0, **plan: Any) -> None:
    """Be a web server on a free port, which is said first. The rest as in `worker`."""
    channel.end_with_test()
    if ahead_s:
        clocks.shift(ahead_s)
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    channel.say(serving.url_of(listener))
    if plan:
        points.of_web(points.Plan(channel.say, **plan))
    serving.serve(listener)


def _follow(clock: Path) -> None:
    """Set the clock of leases by the file, as if that much time had passed: nobody has to wait for it."""
    with clock.open("r+b") as file:
        ahead = mmap.mmap(file.fileno(), 8)
    real = leases.lease_clock

    def clock_of_leases() -> float:
        return real() + float(struct.unpack("d", ahead[:8])[0])

    mock.patch.object(leases, "lease_clock", clock_of_leases).start()
