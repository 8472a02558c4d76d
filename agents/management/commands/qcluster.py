"""`qcluster`: the workers. q2's own cluster, with drivers in it and a stop that does not wait for ever."""

import ctypes
import gc
import os
import signal
import socket
import sys
import time
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connection, connections
from django_q.cluster import Cluster
from django_q.conf import Conf

from agents.engine import django_q
from db import pool, provision
from vault.actions import keys
from vault.errors import VaultError

_PR_SET_PDEATHSIG = 1


class Command(BaseCommand):
    help = "Runs the workers: drives runs until told to stop (SIGTERM or Ctrl-C)."
    requires_system_checks = []  # noqa: RUF012 - Django declares it so; they would load the web into every worker

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--workers", type=int, help="worker processes (default: the setting WORKERS)")

    def handle(self, *args: Any, workers: int | None, **options: Any) -> None:
        _refuse_unsafe_start()
        if workers is not None:
            settings.WORKERS = Conf.WORKERS = workers
        os.environ[django_q.INSTANCE] = f"{socket.gethostname()}/{os.getpid()}"
        os.register_at_fork(after_in_child=_die_with_parent)
        _share_memory()
        cluster = Cluster()
        told = _listen_for_the_end()
        cluster.start()
        while not told and cluster.sentinel.is_alive():
            time.sleep(0.2)
        django_q.stop_event.set()
        cluster.stop()


def _refuse_unsafe_start() -> None:
    try:
        unsafe = provision.privileged_runtime(connection)
        if unsafe:
            raise CommandError(" ".join(unsafe))
        keys.refuse_lost()
    except VaultError as error:
        raise CommandError(str(error)) from error
    finally:
        connections.close_all()
        pool.close()


def _listen_for_the_end() -> list[int]:
    """Return a list that holds the signal once the process is told to stop.

    The handler does nothing else: q2's own would stop the cluster from inside it, and a second signal meanwhile would
    wait for the first for ever.
    """
    told: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, frame: told.append(received))
    return told


def _share_memory() -> None:
    """Load what every worker needs before they are forked, and keep the collector off those pages."""
    import agents.providers.claude  # noqa: F401

    gc.collect()
    gc.freeze()


def _die_with_parent() -> None:
    """Have the kernel end this process when its parent is gone, however that came about (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
