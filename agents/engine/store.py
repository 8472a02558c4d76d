"""The engine's statements: claim, step, load, heartbeat, sweep. SQL on purpose; everything hot in one place.

Fence: every write of a worker names the run's `epoch` and the `seq` it knows. Another epoch means that the lease is
lost (`LostLease`); another seq, that somebody else appended meanwhile (`Overtaken`): load, fold, decide again.
Locks: the run's row first, then what the step touches (budget window, escalation). Isolation: READ COMMITTED. The
database's clock rules; `now` of a worker is its last reading of that clock plus the time since.
"""

import json
import time
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NoReturn, cast
from uuid import UUID

import psycopg

from access.check import granted_sql
from agents.core.events import DecisionExpired, DecisionRequested, Event, event_of, facts_and_payload
from agents.core.exact import scrubbed
from agents.core.spec import AgentSpec
from agents.core.state import RunState
from agents.engine.projection import project
from agents.engine.signals import decision_expired, decision_requested, questions_moot
from agents.engine.specs import spec_of
from audit import journal
from audit.canonical import NotCanonical
from audit.journal import Entry
from db import trip
from db.pool import Connection, transaction_connection
from db.roles import DISPATCH
from quotas import reservations
from quotas.reservations import Change

ACTOR: Final = "engine"

#: How long a lease lasts without a heartbeat, and how much of it must be left to begin an effect.
LEASE: Final = timedelta(seconds=60)
SAFETY: Final = timedelta(seconds=10)

_LEASE_TEXT: Final = f"{LEASE.total_seconds():.0f} seconds"

_LEASE_CLOCK: Final[int] = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def lease_clock() -> float:
    """Return seconds on the clock leases are measured by: it goes on while the process or the machine is stopped."""
    return time.clock_gettime(_LEASE_CLOCK)


class LostLease(Exception):
    """Another worker has this run now; whatever this one knows of it is past."""


class Overtaken(Exception):
    """Somebody else appended to this run's journal since it was loaded."""


class Withheld(Exception):
    """The principal may not use every tool that the step would have called, or the tenant's budget has no room."""


@dataclass(slots=True)
class Claimed:
    """A run in this worker's hands.

    lease_until: on `lease_clock`. clock: (database time, `lease_clock`) of the last reading.
    """

    id: UUID
    tenant_id: UUID
    epoch: int
    agent_id: UUID
    version_id: UUID
    principal_id: UUID
    spec: AgentSpec
    lease_until: float
    clock: tuple[datetime, float]
    more: bool = False
    history: list[Event] = field(default_factory=list)

    def now(self) -> datetime:
        """Return the database's time as far as this worker knows it."""
        read, at = self.clock
        return read + timedelta(seconds=lease_clock() - at)

    def check_lease(self) -> None:
        """Raise `LostLease` when too little of the lease is left to begin an effect."""
        if lease_clock() > self.lease_until - SAFETY.total_seconds():
            raise LostLease(self.id)


# --- statements ---------------------------------------------------------------------------------------------------

#: The database's time in microseconds since 1970, exactly.
_NOW: Final = "(extract(epoch FROM now()) * 1000000)::bigint"

#: The status is what the first step will say, in the same transaction: set here, that step changes no index.
#: It also opens the tenant's scope for what follows in its transaction.
_CLAIM: Final = f"""
UPDATE agents_run r
SET epoch = r.epoch + 1, ready_at = NULL, due_at = now() + %(lease)s::interval, worker = %(worker)s,
    status = CASE WHEN r.ended_at IS NULL THEN 'running' ELSE r.status END
WHERE r.id = coalesce(
    (SELECT id FROM agents_run WHERE ready_at IS NOT NULL AND tenant_id > %(after)s::uuid
     ORDER BY tenant_id, priority DESC, ready_at LIMIT 1 FOR UPDATE SKIP LOCKED),
    (SELECT id FROM agents_run WHERE ready_at IS NOT NULL AND tenant_id <= %(after)s::uuid
     ORDER BY tenant_id, priority DESC, ready_at LIMIT 1 FOR UPDATE SKIP LOCKED))
RETURNING r.id, r.tenant_id, r.epoch, r.agent_id, r.version_id, r.principal_id, {_NOW},
    (SELECT count(*) > 1 FROM (SELECT 1 FROM agents_run WHERE ready_at IS NOT NULL LIMIT 2) AS ready),
    set_config('app.tenant', r.tenant_id::text, true)
"""  # noqa: S608 - constants only
_CLAIM_TRIP: Final = trip.statement("claim", _CLAIM, "lease", "worker", "after")
_ENTER_DISPATCH: Final[trip.Call] = (trip.statement("enter_dispatch", f"SET LOCAL ROLE {DISPATCH}"), ())
_LEAVE_DISPATCH: Final[trip.Call] = (trip.statement("leave_dispatch", "SET LOCAL ROLE NONE"), ())

_LOAD_VERSION: Final = "SELECT compiled::text FROM agents_agentversion WHERE tenant_id = %s AND id = %s"

_GIVEN: Final = """
given AS MATERIALIZED (
    SELECT * FROM json_to_record(%(step)s::json) AS g(
        tenant uuid, run uuid, epoch integer, seq integer, count integer, status text, waiting_for text, doing text,
        release boolean, until timestamptz, lease interval, ended boolean, error_code text, model_calls integer,
        tool_calls integer, input_tokens bigint, output_tokens bigint, cache_read bigint, cache_creation bigint,
        cost_nano bigint, reserved_usd bigint, reserved_tokens bigint, reserved_window date, principal uuid, tools json,
        hold_usd bigint, hold_tokens bigint, spent_usd bigint, spent_tokens bigint, window_on date)
)
"""

_UPDATE: Final = """
    UPDATE agents_run r SET
        seq = r.seq + g.count, status = g.status, waiting_for = g.waiting_for, doing = g.doing, ready_at = NULL,
        due_at = CASE WHEN g.release THEN g.until
                      WHEN r.due_at > now() + g.lease / 2 THEN r.due_at ELSE now() + g.lease END,
        worker = CASE WHEN g.release THEN NULL ELSE r.worker END,
        ended_at = CASE WHEN g.ended THEN now() END,
        output_seq = CASE WHEN g.ended THEN r.seq + g.count END, error_code = g.error_code,
        model_calls = g.model_calls, tool_calls = g.tool_calls, input_tokens = g.input_tokens,
        output_tokens = g.output_tokens, cache_read_input_tokens = g.cache_read,
        cache_creation_input_tokens = g.cache_creation, cost_nano = g.cost_nano,
        reserved_usd_nano = g.reserved_usd, reserved_tokens = g.reserved_tokens, reserved_window = g.reserved_window
    FROM given g
    WHERE r.tenant_id = g.tenant AND r.id = g.run AND r.epoch = g.epoch AND r.seq = g.seq
"""

_RETURNING: Final = "RETURNING r.tenant_id, r.id AS stream, r.seq - g.count AS seq"

#: The step: fence, summary, records, payloads and outbox. All values but the entries come as one JSON parameter: one
#: text with one set of parameter types is prepared once on each connection, whatever the values.
_STEP: Final = f"""
WITH {_GIVEN}, source AS ({_UPDATE} {_RETURNING}), {journal.APPEND}
SELECT {_NOW} FROM source
"""  # noqa: S608 - constants only

_GRANTS: Final = {"user_grants": "agents_toolusergrant", "team_grants": "agents_toolteamgrant"}

#: The same on the condition that the principal may use every one of `tools` at this moment.
_STEP_IF_GRANTED: Final = f"""
WITH {_GIVEN}, granted AS MATERIALIZED ({
    granted_sql(
        **_GRANTS,
        objects="(SELECT array_agg(t::uuid) FROM given, json_array_elements_text(given.tools) AS t)",
        tenant="(SELECT tenant FROM given)",
        user="(SELECT principal FROM given)",
        permission="'use'",
    )
}), source AS ({_UPDATE} AND (SELECT count(*) FROM granted) = json_array_length(g.tools) {_RETURNING}), {journal.APPEND}
SELECT {_NOW} FROM source
"""  # noqa: S608 - constants only

#: The same on the condition that the tenant's month has room for what the run reserves. The caller holds the run's row.
_STEP_IF_RESERVED: Final = f"""
WITH {_GIVEN}, budget AS ({reservations.change_sql(given="given")}),
source AS ({_UPDATE} AND EXISTS (SELECT FROM budget) {_RETURNING}), {journal.APPEND}
SELECT {_NOW} FROM source
"""  # noqa: S608 - constants only

#: The run's last step, which settles.
_STEP_AND_SETTLE: Final = f"""
WITH {_GIVEN}, source AS ({_UPDATE} {_RETURNING}), {journal.APPEND},
budget AS ({reservations.change_sql(given="given", source="source")})
SELECT {_NOW} FROM source
"""  # noqa: S608 - constants only

_STEPS: Final = {
    name: trip.statement(name, query, "step", "entries")
    for name, query in (
        ("step", _STEP),
        ("step_if_granted", _STEP_IF_GRANTED),
        ("step_if_reserved", _STEP_IF_RESERVED),
        ("step_and_settle", _STEP_AND_SETTLE),
    )
}

_HISTORY: Final = trip.statement("history", journal.READ, *journal.READ_PARAMETERS)

_WHERE_IT_IS: Final = "SELECT epoch, seq FROM agents_run WHERE tenant_id = %s AND id = %s"

_SCOPE: Final = trip.statement("scope", "SELECT set_config('app.tenant', %(tenant)s, true)", "tenant")

_DAWN: Final = datetime(1970, 1, 1, tzinfo=UTC)

_GRANTED: Final = granted_sql(**_GRANTS)

_HEARTBEAT: Final = """
UPDATE agents_run r SET due_at = now() + %(lease)s
FROM unnest(%(runs)s::uuid[], %(epochs)s::integer[]) AS mine(id, epoch)
WHERE r.id = mine.id AND r.epoch = mine.epoch AND r.worker IS NOT NULL RETURNING r.id
"""

_RELEASE: Final = """
UPDATE agents_run SET ready_at = now(), due_at = NULL, worker = NULL WHERE id = %s AND epoch = %s AND worker IS NOT NULL
"""

_FORGET: Final = "UPDATE agents_run SET due_at = NULL, worker = NULL WHERE tenant_id = %s AND id = %s"

_PUT_OFF: Final = "UPDATE agents_run SET ready_at = NULL, due_at = now() + %s WHERE id = %s AND ready_at IS NOT NULL"

_SWEEP: Final = """
UPDATE agents_run SET ready_at = now(), due_at = NULL WHERE id IN (
    SELECT id FROM agents_run WHERE due_at <= now() ORDER BY due_at LIMIT 500 FOR UPDATE SKIP LOCKED)
"""

_NEXT_DUE: Final = "SELECT extract(epoch FROM min(due_at) - now()) FROM agents_run WHERE due_at IS NOT NULL"


@contextmanager
def _transaction(run: Claimed) -> Iterator[Connection]:
    """Open a transaction in the scope of the run's tenant; leaving commits."""
    with transaction_connection() as connection, trip.transaction(connection, _scope(run)):
        yield connection


def _scope(run: Claimed) -> trip.Call:
    return (_SCOPE, [str(run.tenant_id)])


# --- claiming -----------------------------------------------------------------------------------------------------


@contextmanager
def claim(worker: str, *, after: UUID) -> Iterator[tuple["Step", Claimed] | None]:
    """Claim the next run and hold the transaction open, so that the claim is one commit with the first intent.

    after: the tenant served last; the next one in turn goes first, whatever its queue's length. Yields None when
    nothing is ready. The body appends to the step at most once; leaving commits. A run that cannot be taken up (an
    error that is not the database's) is put off for the length of a lease, so that it holds up no other.
    """
    run_id = None
    taking: trip.Call = (_CLAIM_TRIP, [_LEASE_TEXT, worker, str(after)])
    try:
        with transaction_connection() as connection:
            begun = lease_clock()
            with trip.transaction(connection, _ENTER_DISPATCH, taking, _LEAVE_DISPATCH) as (_, claimed, _):
                if not claimed:
                    yield None
                    return
                row = [str(value, "ascii") for value in claimed[0] if value is not None]
                run_id = UUID(row[0])
                run = _load(connection, row, begun)
                yield Step(connection, run), run
    except psycopg.OperationalError:
        raise
    except Exception:
        if run_id is not None:
            with _dispatch() as connection:
                connection.execute(_PUT_OFF, [LEASE, run_id])
        raise


def _load(connection: Connection, row: Sequence[str], begun: float) -> Claimed:
    run_id, tenant_id, agent_id, version_id, principal_id = (UUID(row[place]) for place in (0, 1, 3, 4, 5))
    history = _read(connection, run_id, tenant_id, 0)

    def compiled() -> Mapping[str, Any]:
        stored = connection.execute(_LOAD_VERSION, [tenant_id, version_id]).fetchone()
        document: Mapping[str, Any] = json.loads(cast(tuple[str], stored)[0])
        return document

    spec = spec_of(version_id, compiled)
    lease_until, clock = begun + LEASE.total_seconds(), (_time(row[6]), begun)
    run = Claimed(run_id, tenant_id, int(row[2]), agent_id, version_id, principal_id, spec, lease_until, clock)
    run.more = row[7] == "t"
    run.history = history
    return run


def _read(connection: Connection, run_id: UUID, tenant_id: UUID, after: int) -> list[Event]:
    parameters = journal.read_parameters(tenant_id, run_id, after=after, limit=1_000_000)
    (rows,) = trip.make(connection, (_HISTORY, [str(parameters[name]) for name in journal.READ_PARAMETERS]))
    return [_event(row) for row in cast(list[tuple[bytes, ...]], rows)]


def _event(row: Sequence[bytes]) -> Event:
    _, _, _, v, action, _, _, _, facts, _, payload = row
    return event_of(action.decode(), int(v), json.loads(facts), json.loads(payload) if payload is not None else None)


# --- stepping -----------------------------------------------------------------------------------------------------


class Step:
    """One transaction on a run, as its lease holder, in its tenant's scope."""

    def __init__(self, connection: Connection, run: Claimed) -> None:
        self.connection = connection
        self._run = run

    def granted(self, tools: Set[UUID]) -> frozenset[UUID]:
        """Return which of these tools the run's principal may use at this moment."""
        run = self._run
        parameters = {
            "objects": list(tools),
            "tenant": run.tenant_id,
            "user": run.principal_id,
            "permission": "use",
        }
        return frozenset(row[0] for row in self.connection.execute(_GRANTED, parameters))

    def append(
        self,
        state: RunState,
        events: Sequence[Event],
        *,
        until: datetime | None = None,
        release: bool = False,
        budget: Change | None = None,
    ) -> None:
        """Append `events`, which led to `state`, and bring the run's row up to it.

        release: let go of the lease; until: when the run is due again by itself. budget: what the step reserves of the
        tenant's month, or, when it is the run's last one, settles. Raises `LostLease`, `Overtaken`,
        `Withheld`; then nothing was written.
        """
        run = self._run
        begun = lease_clock()
        written = _STEPS["step" if budget is None else "step_and_settle" if state.ended else "step_if_reserved"]
        values = _values(run, state, events, until, release=release, budget=budget)
        (rows,) = trip.make(self.connection, (written, values))
        if not rows:
            self.refused(state.seq - len(events))
        _renew(run, rows, begun)
        _tell(self.connection, run, state, events)

    def forget(self) -> None:
        """Give the lease back for good: the run had ended before it was claimed."""
        self.connection.execute(_FORGET, [self._run.tenant_id, self._run.id])

    def refused(self, seq: int) -> NoReturn:
        """Say why a step behind `seq` wrote nothing."""
        run = self._run
        row = self.connection.execute(_WHERE_IT_IS, [run.tenant_id, run.id]).fetchone()
        if row is None or row[0] != run.epoch:
            raise LostLease(run.id)
        raise Withheld(run.id) if row[1] == seq else Overtaken(run.id)


@contextmanager
def step(run: Claimed) -> Iterator[Step]:
    """Open a transaction on a run that this worker holds; leaving commits."""
    with _transaction(run) as connection:
        yield Step(connection, run)


def append(
    run: Claimed,
    state: RunState,
    events: Sequence[Event],
    *,
    tools: Set[UUID] = frozenset(),
    settles: Change | None = None,
) -> None:
    """The plain step, and the hot path: scope, statement and commit in one round trip.

    tools: what the principal must be allowed to use at this moment. settles: the budget, with the run's last step.
    Raises `LostLease`, `Overtaken`, `Withheld`; then nothing was written.
    """
    begun = lease_clock()
    written = _STEPS["step_and_settle" if settles else "step_if_granted" if tools else "step"]
    values = _values(run, state, events, None, release=state.ended, tools=tools, budget=settles)
    with transaction_connection() as connection:
        _, rows = trip.make(connection, _scope(run), (written, values))
    if not rows:
        with step(run) as slow:
            slow.refused(state.seq - len(events))
    _renew(run, rows, begun)


def since(run: Claimed, seq: int) -> list[Event]:
    """Return what was appended to the run behind `seq`."""
    with _transaction(run) as connection:
        return _read(connection, run.id, run.tenant_id, seq)


def _values(
    run: Claimed,
    state: RunState,
    events: Sequence[Event],
    until: datetime | None,
    *,
    release: bool,
    tools: Set[UUID] = frozenset(),
    budget: Change | None = None,
) -> tuple[str, str]:
    values = project(state, events)
    values |= {
        "tenant": str(run.tenant_id),
        "run": str(run.id),
        "epoch": run.epoch,
        "seq": state.seq - len(events),
        "count": len(events),
        "release": release,
        "until": until.isoformat() if until else None,
        "principal": str(run.principal_id),
        "tools": [str(tool) for tool in tools],
        "lease": _LEASE_TEXT,
    }
    if budget is not None:
        values |= asdict(budget) | {"window_on": budget.window_on.isoformat()}
    return json.dumps(values), _entries(events)


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


def _time(microseconds: str) -> datetime:
    return _DAWN + timedelta(microseconds=int(microseconds))


def _renew(run: Claimed, rows: list[trip.Row], begun: float) -> None:
    # The row's lease runs at least half its length from this statement on (see `_STEP`).
    run.clock = (_time(str(cast(bytes, rows[0][0]), "ascii")), begun)
    run.lease_until = max(run.lease_until, begun + LEASE.total_seconds() / 2)


def _tell(connection: Connection, run: Claimed, state: RunState, events: Sequence[Event]) -> None:
    for place, event in enumerate(events):
        if isinstance(event, DecisionRequested):
            seq = state.seq - len(events) + place + 1
            decision_requested.send(sender=Claimed, connection=connection, run=run, event=event, seq=seq)
        elif isinstance(event, DecisionExpired):
            decision_expired.send(sender=Claimed, connection=connection, run=run, event=event)
    if state.ended and state.asked:
        questions_moot.send(sender=Claimed, connection=connection, run=run)


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
        kept = {row[0] for row in connection.execute(_HEARTBEAT, parameters)}
    for run in runs:
        if run.id in kept:
            run.lease_until = begun + LEASE.total_seconds()
    return kept


def release(run: Claimed) -> None:
    """Give a lease back at once, so that another worker goes on: this one is stopping, and begins no further effect."""
    run.lease_until = 0.0
    with _dispatch() as connection:
        connection.execute(_RELEASE, [run.id, run.epoch])


def sweep_and_next() -> float | None:
    """Make runs whose timer or lease has run out claimable; return the seconds until the next one does, if any."""
    with _dispatch() as connection:
        connection.execute(_SWEEP)
        row = connection.execute(_NEXT_DUE).fetchone()
    return float(row[0]) if row and row[0] is not None else None
