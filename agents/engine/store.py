"""What the engine does with its statements: claim, step, load, heartbeat, sweep.

Fence: every write of a worker names the run's `epoch` and the `seq` it knows. Another epoch means that the lease is
lost (`LostLease`); another seq, that somebody else appended meanwhile (`Overtaken`): load, fold, decide again.
Locks: the run's row first, then what the step touches (budget window, escalation). Isolation: READ COMMITTED. The
database's clock rules; `now` of a worker is its last reading of that clock plus the time since.
"""

import json
import time
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final, NoReturn, cast
from uuid import UUID

import psycopg

from agents.core.events import DecisionExpired, DecisionRequested, Event, event_of, facts_and_payload
from agents.core.exact import scrubbed
from agents.core.holdings import Holding, Holdings, Proof
from agents.core.spec import AgentSpec
from agents.core.state import RunState
from agents.engine import statements
from agents.engine.projection import project
from agents.engine.signals import decision_expired, decision_requested, run_ended
from agents.engine.specs import spec_of
from audit import journal
from audit.canonical import NotCanonical
from audit.journal import Entry
from db.pool import Connection, transaction_connection
from db.roles import DISPATCH

ACTOR: Final = "engine"

#: How long a lease lasts without a heartbeat, and how much of it must be left to begin an effect.
LEASE: Final = timedelta(seconds=60)
SAFETY: Final = timedelta(seconds=10)

_LEASE_CLOCK: Final[int] = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def lease_clock() -> float:
    """Return seconds on the clock leases are measured by: it goes on while the process or the machine is stopped."""
    return time.clock_gettime(_LEASE_CLOCK)


class LostLease(Exception):
    """Another worker has this run now; whatever this one knows of it is past."""


class Overtaken(Exception):
    """Somebody else appended to this run's journal since it was loaded."""


class NotGranted(Exception):
    """Not everything that the step would have called is, or is still, held."""


@dataclass(slots=True)
class Claimed:
    """A run in this worker's hands.

    principals: whom it acts for, and for a child run those its parents act for; each must hold what it calls.
    lease_until: on `lease_clock`. clock: (database time, `lease_clock`) of the last reading.
    """

    id: UUID
    tenant_id: UUID
    epoch: int
    agent_id: UUID
    version_id: UUID
    principals: tuple[UUID, ...]
    spec: AgentSpec
    lease_until: float
    clock: tuple[datetime, float]
    more: bool = False
    history: list[Event] = field(default_factory=list)

    @property
    def principal_id(self) -> UUID:
        """Whom the run acts for."""
        return self.principals[0]

    def now(self) -> datetime:
        """Return the database's time as far as this worker knows it."""
        read, at = self.clock
        return read + timedelta(seconds=lease_clock() - at)

    def check_lease(self) -> None:
        """Raise `LostLease` when too little of the lease is left to begin an effect."""
        if lease_clock() > self.lease_until - SAFETY.total_seconds():
            raise LostLease(self.id)


@contextmanager
def _transaction() -> Iterator[Connection]:
    """Open a transaction; leaving commits. (A pipeline's bookkeeping would cost more than its round trips save.)"""
    with transaction_connection() as connection, connection.transaction():
        yield connection


# --- claiming -----------------------------------------------------------------------------------------------------


@contextmanager
def claim(worker: str, *, after: UUID) -> Iterator[tuple["Step", Claimed] | None]:
    """Claim the next run and hold the transaction open, so that the claim is one commit with the first intent.

    after: the tenant served last; the next one in turn goes first, whatever its queue's length. Yields None when
    nothing is ready. The body appends to the step at most once; leaving commits. A run that cannot be taken up (an
    error that is not the database's) is put off for the length of a lease, so that it holds up no other.
    """
    run_id = None
    try:
        with _transaction() as connection:
            begun = lease_clock()
            connection.execute(f"SET LOCAL ROLE {DISPATCH}")
            parameters = {"lease": LEASE, "worker": worker, "after": after}
            row = connection.execute(statements.CLAIM, parameters, prepare=True).fetchone()
            if row is None:
                yield None
                return
            run_id, tenant_id, epoch, now, more = row
            connection.execute("SET LOCAL ROLE NONE")
            connection.execute(statements.SCOPE, [str(tenant_id)], prepare=True)
            run = _load(connection, run_id, tenant_id, epoch, (now, begun))
            run.more = more
            yield Step(connection, run), run
    except psycopg.OperationalError:
        raise
    except Exception:
        if run_id is not None:
            with _dispatch() as connection:
                connection.execute(statements.PUT_OFF, [LEASE, run_id])
        raise


def _load(connection: Connection, run_id: UUID, tenant_id: UUID, epoch: int, clock: tuple[datetime, float]) -> Claimed:
    loaded = connection.execute(statements.LOAD_RUN, [tenant_id, run_id], prepare=True)
    history = _read(connection, run_id, tenant_id, 0)
    agent_id, version_id, principal_id, parent_id = cast(tuple[UUID, UUID, UUID, UUID | None], loaded.fetchone())
    principals = (principal_id, *_line(connection, tenant_id, parent_id)) if parent_id else (principal_id,)

    def compiled() -> Mapping[str, Any]:
        stored = connection.execute(statements.LOAD_VERSION, [tenant_id, version_id]).fetchone()
        document: Mapping[str, Any] = json.loads(cast(tuple[str], stored)[0])
        return document

    spec = spec_of(version_id, compiled)
    run = Claimed(
        run_id,
        tenant_id,
        epoch,
        agent_id,
        version_id,
        tuple(dict.fromkeys(principals)),
        spec,
        clock[1] + LEASE.total_seconds(),
        clock,
    )
    run.history = _events(history)
    return run


def _line(connection: Connection, tenant_id: UUID, parent_id: UUID) -> list[UUID]:
    return [row[0] for row in connection.execute(statements.LOAD_LINE, {"tenant": tenant_id, "parent": parent_id})]


def _read(connection: Connection, run_id: UUID, tenant_id: UUID, after: int) -> psycopg.Cursor[tuple[Any, ...]]:
    parameters = journal.read_parameters(tenant_id, run_id, after=after, limit=1_000_000)
    return connection.execute(journal.READ, parameters, prepare=True)


def _events(rows: psycopg.Cursor[tuple[Any, ...]]) -> list[Event]:
    return [event_of(each.action, each.v, each.facts, each.payload) for each in map(journal.stored, rows.fetchall())]


# --- stepping -----------------------------------------------------------------------------------------------------


class Step:
    """One transaction on a run, as its lease holder, in its tenant's scope."""

    def __init__(self, connection: Connection, run: Claimed) -> None:
        self.connection = connection
        self._run = run

    def holdings(self, tools: Set[UUID]) -> Holdings:
        """Return what those the run acts for hold of these tools at this moment."""
        run = self._run
        parameters = {
            "objects": list(tools),
            "tenant": run.tenant_id,
            "users": list(run.principals),
            "permission": "use",
        }
        rows = self.connection.execute(statements.HOLDINGS, parameters, prepare=True).fetchall()
        held = {
            (user, tool): Holding(always, json.loads(conditions or "{}"), json.loads(principal or "{}"))
            for user, tool, always, conditions, principal in rows
        }
        return Holdings(run.principals, frozenset(row[0] for row in rows), held)

    def append(
        self,
        state: RunState,
        events: Sequence[Event],
        *,
        until: datetime | None,
        release: bool,
        proofs: Sequence[Proof] = (),
    ) -> None:
        """Append `events`, which led to `state`, and bring the run's row up to it.

        release: let go of the lease; until: when the run is due again by itself. proofs: what must still stand.
        Raises `LostLease`, `Overtaken`, `NotGranted`; then nothing was written and the transaction can go on.
        """
        run = self._run
        begun = lease_clock()
        parameters = _parameters(run, state, events, until, release=release, proofs=proofs)
        row = self.connection.execute(
            statements.STEP_IF_PROVEN if proofs else statements.STEP, parameters, prepare=True
        ).fetchone()
        if row is None:
            self.refused(state.seq - len(events))
        _renew(run, cast(tuple[datetime], row)[0], begun)
        _tell(self.connection, run, state, events)

    def forget(self) -> None:
        """Give the lease back for good: the run had ended before it was claimed."""
        self.connection.execute(statements.FORGET, [self._run.tenant_id, self._run.id])

    def refused(self, seq: int) -> NoReturn:
        """Say why a step behind `seq` wrote nothing."""
        run = self._run
        row = self.connection.execute(statements.WHERE_IT_IS, [run.tenant_id, run.id]).fetchone()
        if row is None or row[0] != run.epoch:
            raise LostLease(run.id)
        raise NotGranted(run.id) if row[1] == seq else Overtaken(run.id)


@contextmanager
def step(run: Claimed) -> Iterator[Step]:
    """Open a transaction on a run that this worker holds; leaving commits."""
    with _transaction() as connection:
        connection.execute(statements.SCOPE, [str(run.tenant_id)], prepare=True)
        yield Step(connection, run)


def append(run: Claimed, state: RunState, events: Sequence[Event], *, tools: Set[UUID] = frozenset()) -> None:
    """The plain step, and the hot path: scope, statement and commit in one round trip.

    tools: what every principal must be allowed to use at this moment, whatever the arguments.
    Raises `LostLease`, `Overtaken`, `NotGranted`; then nothing was written.
    """
    begun = lease_clock()
    parameters = _parameters(run, state, events, None, release=False, tools=tools)
    with transaction_connection() as connection:
        with connection.pipeline():
            connection.execute(statements.SCOPE, [str(run.tenant_id)], prepare=True)
            cursor = connection.execute(
                statements.STEP_IF_GRANTED if tools else statements.STEP, parameters, prepare=True
            )
        row = cursor.fetchone()
    if row is None:
        with step(run) as slow:
            slow.refused(state.seq - len(events))
    _renew(run, cast(tuple[datetime], row)[0], begun)


def since(run: Claimed, seq: int) -> list[Event]:
    """Return what was appended to the run behind `seq`."""
    with transaction_connection() as connection, connection.transaction():
        connection.execute(statements.SCOPE, [str(run.tenant_id)])
        return _events(_read(connection, run.id, run.tenant_id, seq))


def _parameters(
    run: Claimed,
    state: RunState,
    events: Sequence[Event],
    until: datetime | None,
    *,
    release: bool,
    tools: Set[UUID] = frozenset(),
    proofs: Sequence[Proof] = (),
) -> dict[str, str]:
    values = project(state, events)
    values |= {
        "tenant": str(run.tenant_id),
        "run": str(run.id),
        "epoch": run.epoch,
        "seq": state.seq - len(events),
        "count": len(events),
        "release": release,
        "until": until.isoformat() if until else None,
        "principals": [str(principal) for principal in run.principals],
        "tools": [str(tool) for tool in tools],
        "proofs": [_proof(proof) for proof in proofs],
        "lease": f"{LEASE.total_seconds():.0f} seconds",
    }
    return {
        "step": json.dumps(values),
        "entries": _entries(events),
    }


def _proof(proof: Proof) -> dict[str, Any]:
    return {
        "holder": str(proof.holder),
        "object": str(proof.tool),
        "by_grant": proof.by_grant,
        "condition": proof.condition,
        "principal": proof.principal,
    }


def _entries(events: Sequence[Event]) -> str:
    made = [entry(event) for event in events]
    try:
        return journal.entries_parameter(made)
    except NotCanonical:
        # Words from outside (an error, a name) hold what JSON cannot carry: the run must not stop over that.
        return journal.entries_parameter([replace(each, payload=scrubbed(each.payload)) for each in made])


def entry(event: Event, actor: str = ACTOR) -> Entry:
    """Return the journal entry of a run's event."""
    facts, payload = facts_and_payload(event)
    return Entry(event.action, actor, facts, payload, event.v, outcome=cast(journal.Outcome, event.outcome))


def _renew(run: Claimed, now: datetime, begun: float) -> None:
    # The row's lease runs at least half its length from this statement on (see `statements.STEP`).
    run.clock = (now, begun)
    run.lease_until = max(run.lease_until, begun + LEASE.total_seconds() / 2)


def _tell(connection: Connection, run: Claimed, state: RunState, events: Sequence[Event]) -> None:
    for place, event in enumerate(events):
        if isinstance(event, DecisionRequested):
            seq = state.seq - len(events) + place + 1
            decision_requested.send(sender=Claimed, connection=connection, run=run, event=event, seq=seq)
        elif isinstance(event, DecisionExpired):
            decision_expired.send(sender=Claimed, connection=connection, run=run, event=event)
    if state.ended:
        run_ended.send(sender=Claimed, connection=connection, run=run)


# --- leases across tenants ------------------------------------------------------------------------------------------


@contextmanager
def _dispatch() -> Iterator[Connection]:
    with transaction_connection() as connection, connection.transaction():
        connection.execute(f"SET LOCAL ROLE {DISPATCH}")
        yield connection


def heartbeat(runs: Sequence[Claimed]) -> set[UUID]:
    """Renew the leases of `runs`; returns the ids of those that are still this worker's."""
    begun = lease_clock()
    parameters = {"lease": LEASE, "runs": [run.id for run in runs], "epochs": [run.epoch for run in runs]}
    with _dispatch() as connection:
        kept = {row[0] for row in connection.execute(statements.HEARTBEAT, parameters)}
    for run in runs:
        if run.id in kept:
            run.lease_until = begun + LEASE.total_seconds()
    return kept


def release(run: Claimed) -> None:
    """Give a lease back at once, so that another worker goes on: this one is stopping, and begins no further effect."""
    run.lease_until = 0.0
    with _dispatch() as connection:
        connection.execute(statements.RELEASE, [run.id, run.epoch])


def sweep_and_next() -> float | None:
    """Make runs whose timer or lease has run out claimable; return the seconds until the next one does, if any."""
    with _dispatch() as connection:
        connection.execute(statements.SWEEP)
        row = connection.execute(statements.NEXT_DUE).fetchone()
    return float(row[0]) if row and row[0] is not None else None
