"""`qcluster`: the workers. q2's own cluster, with drivers in it and a stop that does not wait for ever."""

import ctypes
import gc
import logging
import os
import secrets
import signal
import socket
import sys
import threading
import time
from argparse import ArgumentParser
from datetime import timedelta
from typing import Any, Final

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import Error
from django.utils import timezone
from django_q.brokers import get_broker
from django_q.cluster import Cluster
from django_q.conf import Conf
from django_q.models import OrmQ
from redis.exceptions import RedisError

from agents.engine import django_q
from agents.management.starting import refuse_unsafe_start
from audit.sealer.loop import keep_sealing

log = logging.getLogger(__name__)

_PR_SET_PDEATHSIG = 1

#: Seconds after which the workers are ended when their orderly end is held up: a graceful stop takes 10 at most.
END_S: Final = 9.5

#: After so long nobody waits for what is in a queue.
LEFT: Final = timedelta(days=1)


class Command(BaseCommand):
    help = "Runs the workers: drives runs until told to stop (SIGTERM or Ctrl-C)."
    requires_system_checks = []  # noqa: RUF012 - Django declares it so; they would load the web into every worker

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--workers", type=int, help="worker processes (default: the setting WORKERS)")

    def handle(self, *args: Any, workers: int | None, **options: Any) -> None:
        refuse_unsafe_start()
        if workers is not None:
            settings.WORKERS = Conf.WORKERS = workers
        instance = f"{socket.gethostname()[:40]}/{os.getpid()}/{secrets.token_hex(4)}"
        os.environ[django_q.INSTANCE] = instance
        Conf.CLUSTER_NAME = f"{Conf.PREFIX}/{instance}"  # the queue's name too
        os.register_at_fork(after_in_child=_die_with_parent)
        _share_memory()
        cluster = Cluster()
        told = _listen_for_the_end()
        cluster.start()
        threading.Thread(target=django_q.keep_filled, args=[instance], daemon=True).start()
        threading.Thread(target=keep_sealing, args=[django_q.stop_event], name="sealer", daemon=True).start()
        while not told and cluster.sentinel.is_alive():
            time.sleep(0.2)
        django_q.stop_event.set()
        _end_in_time()
        cluster.stop()
        _leave_nothing()


def _end_in_time() -> None:
    """See to it that this process ends, and its workers with it (`_die_with_parent`), whatever holds them up.

    A database that does not answer holds up q2's processes as well as drivers. What was not given back runs out.
    """
    timer = threading.Timer(END_S, _end)
    timer.daemon = True
    timer.start()


def _end() -> None:
    log.warning("the workers do not end in time, and are ended; leases that they still hold run out")
    logging.shutdown()
    os._exit(0)


def _leave_nothing() -> None:
    """Remove what is left in the queue of this cluster, and what clusters that were killed left in theirs."""
    try:
        get_broker().delete_queue()
        OrmQ.objects.filter(key__startswith=f"{Conf.PREFIX}/", lock__lt=timezone.now() - LEFT).delete()
    except (Error, RedisError) as error:
        log.warning("what is left in the queue stays there, and does no harm: %s", error)


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
