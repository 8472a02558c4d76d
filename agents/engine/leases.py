"""A lease on a run: how long it lasts, what its holder knows of the run, how it is renewed, given back and taken away.

A run is one worker's until its lease runs out (`due_at`); each claim raises the run's `epoch`, which fences the writes
of whoever had it before (see `store`).
"""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import psycopg
from django.conf import settings

from agents.core.events import Event
from agents.core.spec import AgentSpec
from agents.engine import statements
from agents.tools.seam import NoLongerOurs
from db.pool import Connection, transaction_connection
from db.roles import DISPATCH

log = logging.getLogger(__name__)

#: How long a lease lasts without a heartbeat, and how much of it must be left to begin an effect.
LEASE: Final = timedelta(seconds=settings.LEASE_SECONDS)
SAFETY: Final = LEASE / 6

#: Seconds beyond its own limit after which a step that is not over counts as hanging.
GRACE_S: Final = 30.0

#: Seconds between the two times a stopping worker tries to give leases back.
PAUSE_S: Final = 0.25

#: How long giving back waits for one lock, or one statement of it takes.
BRIEF: Final = "500ms"

LEASE_TEXT: Final = f"{LEASE.total_seconds():.0f} seconds"

_LEASE_CLOCK: Final[int] = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def lease_clock() -> float:
    """Return seconds on the clock leases are measured by: it goes on while the process or the machine is stopped."""
    return time.clock_gettime(_LEASE_CLOCK)


class LostLease(NoLongerOurs):
    """Another worker has this run now; whatever this one knows of it is past."""


@dataclass(slots=True)
class Claimed:
    """A run in this worker's hands.

    principals: whom it acts for, and for a child run those its parents act for; each must hold what it calls.
    lease_until: on `lease_clock`. given_back: this worker gave the lease back, whatever `lease_until` says. clock:
    (database time, `lease_clock`) of the last reading. tries: how often it was taken up, this time included, since it
    last got any further. above: the agents of the runs that it is part of, nearest first; parent_ended: whether the
    first of these had ended when it was claimed. spec, history: not there for a worn one, unless it is taken up after
    all.
    """

    id: UUID
    tenant_id: UUID
    epoch: int
    agent_id: UUID
    version_id: UUID
    principals: tuple[UUID, ...]
    lease_until: float
    clock: tuple[datetime, float]
    more: bool = False
    tries: int = 1
    given_back: bool = False
    above: tuple[UUID, ...] = ()
    parent_ended: bool = False
    _bounds: list[float] = field(default_factory=list)
    spec: AgentSpec = field(init=False, repr=False)
    history: list[Event] = field(default_factory=list)

    @property
    def principal_id(self) -> UUID:
        """Whom the run acts for."""
        return self.principals[0]

    @property
    def is_worn(self) -> bool:
        """Whether it was taken up in vain too often; then neither its version nor its history is read."""
        return self.tries > settings.RUN_TRIES

    def now(self) -> datetime:
        """Return the database's time as far as this worker knows it."""
        read, at = self.clock
        return read + timedelta(seconds=lease_clock() - at)

    def has_lease(self) -> bool:
        """Say whether enough of the lease is left to begin an effect."""
        return not self.given_back and lease_clock() <= self.lease_until - SAFETY.total_seconds()

    def check_lease(self) -> None:
        """Raise `LostLease` when too little of the lease is left to begin an effect."""
        if not self.has_lease():
            raise LostLease(self.id)

    @property
    def busy_until(self) -> float | None:
        """When the effects in progress must be over, on `lease_clock`; None while there is none."""
        return max(tuple(self._bounds), default=None)

    @contextmanager
    def busy(self, seconds: float) -> Iterator[None]:
        """Hold an effect that may take so long; beyond that the lease is not renewed, whatever hangs here."""
        until = lease_clock() + seconds + GRACE_S
        self._bounds.append(until)
        try:
            yield
        finally:
            self._bounds.remove(until)


# --- across tenants -------------------------------------------------------------------------------------------------


@contextmanager
def _dispatch() -> Iterator[Connection]:
    with transaction_connection() as connection, connection.transaction():
        connection.execute(f"SET LOCAL ROLE {DISPATCH}")
        yield connection


def heartbeat(runs: Sequence[Claimed]) -> set[UUID]:
    """Renew the leases of `runs`; returns the ids of those that are still this worker's.

    What takes longer than it may is not renewed, so that another worker takes the run up. Nor is one whose row is
    locked at this moment, until the next time; it is still this worker's.
    """
    begun = lease_clock()
    runs = [run for run in runs if not run.given_back and (run.busy_until is None or run.busy_until > begun)]
    parameters = {"lease": LEASE, "runs": [run.id for run in runs], "epochs": [run.epoch for run in runs]}
    with _dispatch() as connection:
        kept = dict(connection.execute(statements.HEARTBEAT, parameters).fetchall())  # and whether it was renewed
    for run in runs:
        if kept.get(run.id):
            run.lease_until = begun + LEASE.total_seconds()
    return set(kept)


_BRIEFLY: Final = "SELECT set_config('lock_timeout', %(brief)s, true), set_config('statement_timeout', %(brief)s, true)"


def release(*runs: Claimed) -> None:
    """Give leases back, so that other workers go on: this one is stopping, and begins no further effect with them.

    All of them in one transaction, in the order of the runs' ids, which waits for nothing long: whoever stops must end,
    and a lease that is not given back runs out. Raises `psycopg.Error`; then the database keeps the
    leases until they run out, unless they are given back once more (`release_at_last`): here they count as given back
    either way, and are neither used nor renewed any more.
    """
    for run in runs:
        run.given_back = True
    with _dispatch() as connection, connection.cursor() as cursor:
        cursor.execute(_BRIEFLY, {"brief": BRIEF})
        cursor.executemany(statements.RELEASE, [(run.id, run.epoch) for run in sorted(runs, key=lambda run: run.id)])


def release_at_last(runs: Sequence[Claimed]) -> None:
    """Give leases back as `release` does, for a worker that is stopping; what fails is tried once more.

    Raises nothing the database raises: after the second time the leases run out, and the log says so. It may wait for a
    connection, or for a server that does not answer, longer than a worker may take to stop.
    """
    for again in (True, False):
        try:
            release(*runs)
            return
        except psycopg.Error as error:
            log.warning("leases are not given back%s: %s", "; once more" if again else " and run out", error)
        if again:
            time.sleep(PAUSE_S)


def put_off(run_id: UUID, epoch: int, *, by: int) -> None:
    """Let a run rest for the length of a lease. by: what is added to its tries."""
    with _dispatch() as connection:
        connection.execute(statements.PUT_OFF, {"lease": LEASE, "run": run_id, "epoch": epoch, "by": by})


def sweep_and_next() -> float | None:
    """Make runs whose timer or lease has run out claimable; return the seconds until the next one does, if any."""
    with _dispatch() as connection:
        connection.execute(statements.SWEEP)
        row = connection.execute(statements.NEXT_DUE).fetchone()
    return float(row[0]) if row and row[0] is not None else None
