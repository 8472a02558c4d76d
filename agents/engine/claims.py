"""Take runs up: the claim, and what its holder has to know for the run's first step."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast
from uuid import UUID

import psycopg

from agents.core.events import UnknownEvent
from agents.engine import leases, statements
from agents.engine.leases import LEASE, LEASE_TEXT, Claimed, LostLease
from agents.engine.specs import is_known
from agents.engine.store import Step
from db import trip
from db.pool import Connection, transaction_connection
from db.roles import ENTER_DISPATCH, LEAVE_DISPATCH
from db.scope import SCOPE


@contextmanager
def claim(worker: str, *, after: UUID, calling: bool = True) -> Iterator[tuple[Step, Claimed] | None]:
    """Claim the next run, and open the transaction of its first step; leaving commits.

    A new run's claim is one commit with its first intent, and one update: the body appends to the step, which takes the
    run. That of a run with a history is committed before the history is read, and so is that of a new one before its
    version is read for the first time in this process, and on any try but its first: whatever kills this worker then
    has a lease to run out, and is counted. after: the tenant served last; the next one in turn goes first,
    whatever its queue's length. calling: whether the run may need a model call first; otherwise new ones and those that
    wait for the supplier stay where they are. Yields None when nothing is ready. The body appends to the step at most
    once. A run that cannot be taken up (an error that is not the database's) is put off for the length of a lease, so
    that it holds up no other.
    """
    claiming = statements.CLAIM if calling else statements.CLAIM_BEGUN
    with _taken(claiming, worker, after) as claimed:
        yield claimed


@contextmanager
def claim_run(run_id: UUID, worker: str) -> Iterator[tuple[Step, Claimed] | None]:
    """Do the same with that run of another engine; yields None when it cannot be claimed now."""
    with _taken(statements.CLAIM_RUN, worker, run_id) as claimed:
        yield claimed


@contextmanager
def _taken(claiming: trip.Statement, worker: str, where: UUID) -> Iterator[tuple[Step, Claimed] | None]:
    row, stands = None, False
    try:
        with transaction_connection() as connection:
            begun = leases.lease_clock()
            call = (claiming, [LEASE_TEXT, worker, str(where)])
            with trip.transaction(connection, ENTER_DISPATCH, call, LEAVE_DISPATCH) as made:
                if not made[1]:
                    yield None
                    return
                row = made[1][0]
                tenant, run_id, epoch = (str(row[place] or b"", "ascii") for place in (1, 0, 6))
                is_locked = trip.integer(row[10]) == trip.integer(row[11]) == 1  # and not taken, see `statements`
                if at_once := is_locked and is_known(trip.uuid(row[3])):
                    yield (taken := _loaded(connection, row, begun, begun, taker=worker))
                elif is_locked:
                    trip.make(connection, (statements.TAKE, [LEASE_TEXT, worker, tenant, run_id]))
            if not at_once:
                stands = True
                locking = (statements.LOCK, [tenant, run_id, epoch])
                stepping = leases.lease_clock()
                with trip.transaction(connection, (SCOPE, [tenant]), locking) as (_, mine):
                    if not mine:
                        raise LostLease(run_id)
                    yield (taken := _loaded(connection, row, begun, stepping))
        taken[0].count()
    except (psycopg.OperationalError, LostLease):
        raise
    except Exception as error:
        if row is not None:
            _put_off(row, stands=stands, counts=not isinstance(error, UnknownEvent))
        raise


def _put_off(row: trip.Row, *, stands: bool, counts: bool) -> None:
    """Put off a run whose claim failed. stands: whether the claim is committed. counts: whether it was in vain; what a
    worker of a later release may read is no fault of the run."""
    leases.put_off(trip.uuid(row[0]), trip.integer(row[6]) - (not stands), by=counts - stands)


def _loaded(
    connection: Connection, row: trip.Row, begun: float, stepping: float, *, taker: str | None = None
) -> tuple[Step, Claimed]:
    """Return the run, and its first step. begun, stepping: before the BEGIN of the claim, and of the step."""
    run = _claimed(connection, row, begun)
    step = Step(connection, run, stepping, tries=run.tries, taker=taker)
    if not run.is_worn:
        run.spec, run.history = step.spec(), step.history()
    return step, run


def _claimed(connection: Connection, row: trip.Row, begun: float) -> Claimed:
    run_id, tenant_id, agent_id, version_id, principal_id = (trip.uuid(value) for value in row[:5])
    parent, epoch, now, more = row[5], *(cast(bytes, value) for value in row[6:9])
    line = _line(connection, tenant_id, trip.uuid(parent)) if parent else []
    return Claimed(
        run_id,
        tenant_id,
        int(epoch),
        agent_id,
        version_id,
        tuple(dict.fromkeys((principal_id, *(each[0] for each in line)))),
        lease_until=begun + LEASE.total_seconds(),
        clock=(trip.moment(now), begun),
        more=more == b"t",
        tries=trip.integer(row[10]),
        above=tuple(each[1] for each in line),
        parent_ended=bool(line) and line[0][2],
    )


def _line(connection: Connection, tenant_id: UUID, parent_id: UUID) -> list[tuple[UUID, UUID, bool]]:
    """Return whom each run above acts for, its agent, and whether it has ended, nearest first."""
    return connection.execute(statements.LOAD_LINE, {"tenant": tenant_id, "parent": parent_id}).fetchall()
