"""The default engine: drivers carried by django-q2, waking by NOTIFY; the truth is in the journal and the run's row.

A driver is one q2 task holding one slot (an advisory lock). A worker that starts puts a driver in each free slot of
its cluster; a driver hands over after a bounded slice, below q2's `timeout`. Tasks delivered twice find their slot
taken and end at once, so that duplicates die out. Each cluster has a queue of its own: another one's workers may all be
busy for a slice. What the queue loses is queued anew; while it is away drivers go on without it.
"""

import logging
import multiprocessing
import os
import threading
import time
import zlib
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

import psycopg
from django.conf import settings
from django.db import connections
from django.db.models import F
from django_q.tasks import async_task

from agents.engine.driver import CHANNEL, Driver
from agents.engine.garbage import leave_what_is_loaded
from agents.engine.seam import Afterwards
from agents.models import Run
from agents.providers.installed import provider
from db import session, trip
from db.pool import Connection
from quotas.provider import gate

log = logging.getLogger(__name__)

#: Seconds a driver serves before it hands its worker back to q2; below q2's `timeout`.
SLICE_S: Final = 240.0

#: Seconds between two looks at whether each slot has its driver.
KEEP_S: Final = 5.0

#: Names the cluster a worker belongs to, and its queue; set by `qcluster` before it forks.
INSTANCE: Final = "COUNTERSIGN_CLUSTER"

_NOTIFY: Final = trip.statement("notify", "SELECT pg_notify(%(channel)s, '')", "channel")

#: First key of the advisory locks of driver slots.
SLOTS: Final = 0x43530001

#: Set when the cluster was told to stop; made before the workers are forked, so that they share it.
stop_event = multiprocessing.get_context("fork").Event()


class DjangoQ:
    """The seam's verbs, as rows and a notification. See `agents.engine.seam.Engine`."""

    def start(self, run: Run) -> None:
        """Notify the drivers when this transaction commits; the row was made ready."""
        notify()

    def wake(self, run_id: UUID) -> None:
        """Make the run claimable, in its old place, and notify the drivers when this transaction commits."""
        Run.objects.filter(id=run_id, status__in=("queued", "waiting")).update(ready_at=F("created_at"))
        notify()

    def cancel(self, run_id: UUID) -> None:
        """A parked run is taken up to be ended; one that is driven sees the request at its next commit."""
        self.wake(run_id)

    def made_ready(
        self, connection: Connection, run_id: UUID, tenant_id: UUID, *, priority: int, wakes: bool
    ) -> Afterwards:
        """Notify the drivers when the transaction commits."""
        trip.make(connection, (_NOTIFY, [CHANNEL]))
        return None


def notify() -> None:
    """Tell the drivers, when the current transaction commits, that a run is ready."""
    trip.make_here((_NOTIFY, [CHANNEL]))


# --- drivers --------------------------------------------------------------------------------------------------------


def on_spawn(**_: Any) -> None:
    """Put drivers in the free slots of this worker's cluster (receiver of q2's `post_spawn`).

    While the queue cannot be reached the worker drives by itself, until it can hand over.
    """
    instance = os.environ.get(INSTANCE)
    if instance is None:
        return
    try:
        fill_slots(instance)
    except Exception:
        log.warning("no driver can be queued; this worker drives meanwhile", exc_info=True)
        for slot in range(settings.WORKERS):
            drive(instance, slot)


def fill_slots(instance: str) -> None:
    """Queue a driver for each slot of the cluster that is free. Raises what the database and the broker raise."""
    for slot in free_slots(instance):
        _queue(instance, slot)


def free_slots(instance: str) -> list[int]:
    """Return the cluster's slots that no driver holds. Raises what the database raises."""
    with session.connect() as asking:
        return [slot for slot in range(settings.WORKERS) if _slot(asking, instance, slot, "try")]


def keep_filled(instance: str) -> None:
    """See to it, for as long as this process lives, that each slot has its driver.

    What was queued can be lost: Redis is flushed or killed, or the worker dies that took it. A slot that is free twice
    in a row has lost its driver; once, it may be between two slices.
    """
    before: set[int] = set()
    while not stop_event.wait(KEEP_S):
        try:
            free = set(free_slots(instance))
            for slot in free & before:
                log.warning("slot %s has lost its driver; another one is queued", slot)
                _queue(instance, slot)
            before = free - before
        except Exception as error:
            log.warning("the slots of this cluster can't be seen to: %s", error)
        finally:
            connections.close_all()


def drive(instance: str, slot: int) -> str:
    """Hold one slot and drive runs for a slice; the q2 task. Returns what became of it, for q2's own log."""
    if os.environ.get(INSTANCE) != instance:
        return "of another cluster"
    while not stop_event.is_set():
        if not _slice(instance, slot):
            return "taken"
        if not stop_event.is_set() and _handed_over(instance, slot):
            return "handed over"
    if process_driver().is_busy():
        _end_soon()
    return "stopped"


def _slice(instance: str, slot: int) -> bool:
    """Drive for a slice, whatever the database does meanwhile; False when another driver holds the slot."""
    until = time.monotonic() + SLICE_S
    while time.monotonic() < until and not stop_event.is_set():
        try:
            with session.connect() as kept:
                if not _slot(kept, instance, slot, "take"):
                    return False
                process_driver().serve(kept, seconds=until - time.monotonic())
        except psycopg.OperationalError as error:
            log.warning("database unavailable; trying again: %s", error)
            time.sleep(1.0)
        except Exception:
            log.exception("the driver's loop failed; it begins again")
            time.sleep(1.0)
    return True


def _handed_over(instance: str, slot: int) -> bool:
    """Queue the next slice; False when the queue cannot be reached."""
    try:
        _queue(instance, slot)
    except Exception as error:
        log.warning("the next slice can't be queued; this driver goes on: %s", error)
        return False
    return True


def _queue(instance: str, slot: int) -> None:
    async_task("agents.engine.django_q.drive", instance, slot, task_name=f"driver-{slot}")


def _end_soon() -> None:
    """End this process although threads of it wait for a model or a tool: their runs were given back."""
    timer = threading.Timer(1.0, os._exit, [0])
    timer.daemon = True
    timer.start()


@lru_cache(maxsize=1)
def process_driver() -> Driver:
    """Return this process's driver, made after the fork."""
    driver = Driver(provider().answer, gate=gate(), stopping=stop_event.is_set)
    leave_what_is_loaded()
    return driver


def _slot(kept: Connection, instance: str, slot: int, how: str) -> bool:
    """Take a slot's lock for the session ("take"), or see whether it is free ("try")."""
    keys = [SLOTS, zlib.crc32(f"{instance}/{slot}".encode()) - 2**31]
    taken = kept.execute("SELECT pg_try_advisory_lock(%s, %s)", keys).fetchone()
    if taken is None or not taken[0]:
        return False
    if how == "try":
        kept.execute("SELECT pg_advisory_unlock(%s, %s)", keys)
    return True
