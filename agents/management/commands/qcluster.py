"""`qcluster`: the workers. q2's own cluster, with drivers in it and a stop that does not wait for ever."""

import ctypes
import os
import signal
import socket
import sys
from argparse import ArgumentParser
from types import FrameType
from typing import Any, ClassVar

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connection, connections
from django_q.cluster import Cluster
from django_q.conf import Conf

from agents.engine import django_q
from db import provision

_PR_SET_PDEATHSIG = 1


class RunsCluster(Cluster):  # type: ignore[misc]
    """A cluster whose drivers learn at once that it stops."""

    def sig_handler(self, signum: int, frame: FrameType | None) -> None:
        django_q.stop_event.set()
        super().sig_handler(signum, frame)


class Command(BaseCommand):
    help = "Runs the workers: drives runs until told to stop (SIGTERM or Ctrl-C)."
    requires_system_checks: ClassVar[list[str]] = []  # they would load the web's pages into every worker

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--workers", type=int, help="worker processes (default: the setting WORKERS)")

    def handle(self, *args: Any, workers: int | None, **options: Any) -> None:
        unsafe = provision.privileged_runtime(connection)
        connections.close_all()
        if unsafe:
            raise CommandError(" ".join(unsafe))
        if workers is not None:
            settings.WORKERS = Conf.WORKERS = workers
        os.environ[django_q.INSTANCE] = f"{socket.gethostname()}/{os.getpid()}"
        os.register_at_fork(after_in_child=_die_with_parent)
        RunsCluster().start()
        # q2's children are joined when the interpreter ends; a signal ends them first.
        while not django_q.stop_event.is_set():
            signal.pause()


def _die_with_parent() -> None:
    """Have the kernel end this process when its parent is gone, however that came about (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
