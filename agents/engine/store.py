"""What a lease holder writes and reads of its run: a step appended to the journal, and what others appended.

Fence: every write of a worker names the run's `epoch` and the `seq` it knows. Another epoch means that the lease is
lost (`LostLease`); another seq, that somebody else appended meanwhile (`Overtaken`): load, fold, decide again.
Locks: the run's row first, then what the step touches (budget window, escalation). Isolation: READ COMMITTED. The
database's clock rules; `now` of a worker is its last reading of that clock plus the time since.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, NoReturn, cast
from uuid import UUID

from agents.core.children import Callees, Ended
from agents.core.events import (
    DecisionExpired,
    DecisionRequested,
    Event,
    RunCompensating,
    event_of,
    facts_and_payload,
)
from agents.core.exact import scrubbed
from agents.core.holdings import Holding, Holdings, Proof
from agents.core.policies import NONE, Policies
from agents.core.spec import AgentSpec
from agents.core.state import Call, RunState
from agents.engine import children, in_line, leases, seam, soft_limits, statements
from agents.engine import policies as current
from agents.engine.children import Start
from agents.engine.counting import count_step
from agents.engine.in_line import Ready
from agents.engine.leases import LEASE, LEASE_TEXT, Claimed, LostLease
from agents.engine.projection import project
from agents.engine.signals import decision_expired, decision_requested, questions_moot
from agents.engine.specs import spec_of
from audit import journal
from audit.canonical import NotCanonical
from audit.journal import Entry
from db import trip
from db.pool import Connection, transaction_connection
from db.scope import SCOPE
from quotas import reservations
from quotas.reservations import Change

ACTOR: Final = "engine"


class Overtaken(Exception):
    """Somebody else appended to this run's journal since it was loaded."""


class Withheld(Exception):
    """What the step needs is not to be had: a grant of what it would call, or room in the tenant's budget."""


def _scope(run: Claimed) -> trip.Call:
    return (SCOPE, [str(run.tenant_id)])


def _read(connection: Connection, run_id: UUID, tenant_id: UUID, after: int) -> list[Event]:
    parameters = journal.read_parameters(tenant_id, run_id, after=after, limit=1_000_000)
    (rows,) = trip.make(connection, (statements.HISTORY, [str(parameters[name]) for name in journal.READ_PARAMETERS]))
    found = cast(list[tuple[bytes, ...]], rows)
    journal.check_unbroken(run_id, (int(row[1]) for row in found), after=after)
    return [_event(row) for row in found]


def _event(row: Sequence[bytes]) -> Event:
    _, _, _, v, action, _, _, _, facts, _, payload = row
    return event_of(action.decode(), int(v), json.loads(facts), json.loads(payload) if payload is not None else None)


# --- stepping -----------------------------------------------------------------------------------------------------


class Step:
    """One transaction on a run, as its lease holder, in its tenant's scope.

    begun: a time before its BEGIN, on `lease_clock`; for the database it is that moment until the commit. tries: what
    the run's count stays at, in the step that only takes it up; every other one sets it back. taker: the worker, when
    the claim in this transaction has locked the run and left it to what is appended to take it.
    """

    def __init__(
        self, connection: Connection, run: Claimed, begun: float, *, tries: int | None = None, taker: str | None = None
    ) -> None:
        self.connection = connection
        self._run = run
        self._begun = begun
        self._taker = taker
        self._tries = tries
        self._written: list[Sequence[Event]] = []
        self._soft_spent = False
        self._afterwards: list[Callable[[], Any]] = []

    def afterwards(self, do: Callable[[], Any]) -> None:
        """Have this done when the transaction is committed."""
        self._afterwards.append(do)

    def count(self) -> None:
        """Count what was written, and tell whom it concerns, now that it is committed."""
        for events in self._written:
            count_step(events)
        for do in self._afterwards:
            do()
        if self._soft_spent:
            soft_limits.tell(self._run.tenant_id)

    def spec(self) -> AgentSpec:
        """Return the version that the run is of; for a worn one, where the claim does not read it."""
        run = self._run

        def compiled() -> Mapping[str, Any]:
            stored = self.connection.execute(statements.LOAD_VERSION, [run.tenant_id, run.version_id]).fetchone()
            document: Mapping[str, Any] = json.loads(cast(tuple[str], stored)[0])
            return document

        return spec_of(run.version_id, compiled)

    def history(self) -> list[Event]:
        """Return all that happened to the run; for a worn one, where the claim does not read it."""
        return _read(self.connection, self._run.id, self._run.tenant_id, 0)

    def outline(self) -> tuple[int, list[tuple[str, dict[str, Any]]]]:
        """Return the number of the run's last record, and of each one its type and facts."""
        reach = self._reach()
        rows = self.connection.execute(statements.OUTLINE, reach)
        return reach["seq"], [(action, json.loads(facts)) for action, facts in rows]

    def _reach(self) -> dict[str, Any]:
        run = self._run
        where = self.connection.execute(statements.WHERE_IT_IS, [run.tenant_id, run.id]).fetchone()
        since = journal.read_parameters(run.tenant_id, run.id, after=0, limit=0)["since"]
        return {"tenant": run.tenant_id, "run": run.id, "since": since, "seq": cast(tuple[int, int], where)[1]}

    def policies(self) -> Policies:
        """Return the tenant's policies at this moment."""
        return current.read(self.connection, self._run.tenant_id)

    def holdings(self, tools: Set[UUID], *, by: Policies = NONE, facts: bool = False) -> Holdings:
        """Return what those the run acts for hold of these tools at this moment, along with the policies to go `by`.

        facts: whether conditions speak of who the run acts for, whatever the grants.
        """
        run = self._run
        parameters = {
            "objects": list(tools),
            "tenant": run.tenant_id,
            "users": list(run.principals),
            "permission": "use",
            "facts": facts,
        }
        rows = self.connection.execute(statements.HOLDINGS, parameters).fetchall()
        held = {
            (user, tool): Holding(always, json.loads(conditions or "{}"), json.loads(principal or "{}"))
            for user, tool, always, conditions, principal in rows
        }
        own = next((row[4] for row in rows if row[0] == run.principals[0]), None) if facts else None
        active = frozenset(row[0] for row in rows)
        return Holdings(run.principals, active, held, by, json.loads(own) if own is not None else None)

    def callees(self, of: Iterable[Call]) -> Callees:
        """Return what these calls need to know of agents at this moment."""
        return children.callees(self.connection, self._run, of)

    def reversal(self, of: Sequence[Call]) -> Callees:
        """Return the run that would undo what the first of these calls is to undo, if a child did that."""
        return children.reversal(self.connection, self._run, of, _read)

    def ended_children(self, runs: Iterable[UUID]) -> list[Ended]:
        """Return how those of its children ended that have; who ends later finds the run parked, if it is then."""
        return children.ended(self.connection, self._run, runs, _read)

    def append(
        self,
        state: RunState,
        events: Sequence[Event],
        *,
        until: datetime | None = None,
        release: bool = False,
        proofs: Sequence[Proof] = (),
        policies: int | None = None,
        budget: Change | None = None,
        settled: Sequence[Change] = (),
        tries: int | None = None,
        starts: Sequence[Start] = (),
        commits: bool = False,
    ) -> None:
        """Append `events`, which led to `state`, and bring the run's row up to it.

        release: let go of the lease; until: when the run is due again by itself. proofs: what must still stand.
        policies: the version that the tenant's policies must still be of.
        budget: what the step reserves of the tenant's month; settled: what it settles when it is the run's last one.
        Only one of proofs and budget. tries: what to set the run's count to. starts: the runs that the step's calls
        start. commits: whether the transaction ends with it in one round trip, so that the month's row, which all runs
        of the tenant share, is held no longer than that takes.
        Raises `LostLease`, `Overtaken`, `Withheld`; then nothing was written and the transaction can go on.
        """
        run = self._run
        first, *others = (budget,) if budget is not None else (*settled, None)[: max(1, len(settled))]
        tries = tries if release else self._tries
        more: dict[str, Any] = {"tries": tries, "taker": self._taker, "policies": policies}
        values = _values(run, state, events, until, release=release, proofs=proofs, budget=first, **more)
        call = (_statement(state, proofs=proofs, budget=first), values)
        with self.connection.transaction() if starts else nullcontext():
            (rows,) = trip.make_last(self.connection, call) if commits else trip.make(self.connection, call)
            if not rows and commits:
                self._begin_again(state.seq - len(events))
            if not rows:
                self.refused(state.seq - len(events))
            for start in starts:
                self._start(start)
            for change in filter(None, others):
                reservations.make(self.connection, change, tenant_id=run.tenant_id)
        self._taker = None
        _renew(run, rows[0], self._begun)
        self._written.append(events)
        self._soft_spent = self._soft_spent or _soft_spent(rows[0])
        _tell(self.connection, run, state, events)
        children.take_in(self.connection, run.tenant_id, events)
        if state.ended and state.parent is not None:
            self._afterwards += _given(children.wake_parent(self.connection, run.tenant_id, state.parent, run.id))

    def _begin_again(self, seq: int) -> None:
        """Lock the run once more, in another transaction; raises `LostLease` when somebody got in between.

        Then the run is what it was before this one: nobody's yet, if it was about to be taken.
        """
        run = self._run
        locking = (statements.LOCK, [str(run.tenant_id), str(run.id), str(run.epoch - (self._taker is not None))])
        self._begun = leases.lease_clock()
        _, locked = trip.begin(self.connection, _scope(run), locking)
        if not locked or trip.integer(locked[0][0]) != seq:
            raise LostLease(run.id)

    def _start(self, start: Start) -> None:
        made = children.made(self.connection, start, _entries(start.first))
        if made is None:
            raise Withheld(self._run.id)
        engine, priority = made
        ready = seam.made_ready(self.connection, engine, start.run, self._run.tenant_id, priority=priority)
        self._afterwards += _given(ready)

    def forget(self) -> None:
        """Give the lease back for good: the run had ended before it was claimed."""
        self.connection.execute(statements.FORGET, [self._run.tenant_id, self._run.id])

    def refused(self, seq: int) -> NoReturn:
        """Say why a step behind `seq` wrote nothing."""
        run = self._run
        row = self.connection.execute(statements.WHERE_IT_IS, [run.tenant_id, run.id]).fetchone()
        if row is None or row[0] != run.epoch - (self._taker is not None):
            raise LostLease(run.id)
        raise Withheld(run.id) if row[1] == seq else Overtaken(run.id)


def _given(afterwards: seam.Afterwards) -> list[Callable[[], Any]]:
    return [] if afterwards is None else [afterwards]


@contextmanager
def step(run: Claimed) -> Iterator[Step]:
    """Open a transaction on a run that this worker holds; leaving commits."""
    with transaction_connection() as connection:
        begun = leases.lease_clock()
        with trip.transaction(connection, _scope(run)):
            made = Step(connection, run, begun)
            yield made
    made.count()


def append(
    run: Claimed,
    state: RunState,
    events: Sequence[Event],
    *,
    tools: Set[UUID] = frozenset(),
    policies: int | None = None,
    budget: Change | None = None,
) -> None:
    """The plain step, and the hot path: scope, statement and commit in one round trip, with other runs' where it can.

    tools: what every principal must be allowed to use at this moment, whatever the arguments. policies: the version
    that the tenant's must be of. budget: what the run's last step settles. Raises `LostLease`, `Overtaken`, `Withheld`;
    then nothing was written.
    """
    statement = _statement(state, tools=tools, budget=budget)
    values = _values(run, state, events, None, release=state.ended, tools=tools, policies=policies, budget=budget)
    written = in_line.write(run.tenant_id, Ready(statement, *values, entries=len(events)))
    if written is None:
        with step(run) as slow:
            slow.refused(state.seq - len(events))
    _renew(run, *written)
    count_step(events)
    if _soft_spent(written[0]):
        soft_limits.tell(run.tenant_id)


#: By whether the run ends, and whether more than its tenant's month counts.
_BUDGETING: Final = {
    (False, False): statements.STEP_IF_RESERVED,
    (False, True): statements.STEP_IF_ALL_RESERVED,
    (True, False): statements.STEP_AND_SETTLE,
    (True, True): statements.STEP_AND_SETTLE_ALL,
}


def since(run: Claimed, seq: int) -> list[Event]:
    """Return what was appended to the run behind `seq`."""
    with transaction_connection() as connection, trip.transaction(connection, _scope(run)):
        return _read(connection, run.id, run.tenant_id, seq)


def _statement(
    state: RunState, *, tools: Set[UUID] = frozenset(), proofs: Sequence[Proof] = (), budget: Change | None = None
) -> trip.Statement:
    if budget is not None and (proofs or tools):
        raise ValueError("no step both proves grants and moves the budget")
    if budget is not None:
        return _BUDGETING[state.ended, bool(budget.windows)]
    if proofs:
        return statements.STEP_IF_PROVEN
    return statements.STEP_IF_GRANTED if tools else statements.STEP


def _values(
    run: Claimed,
    state: RunState,
    events: Sequence[Event],
    until: datetime | None,
    *,
    release: bool,
    tools: Set[UUID] = frozenset(),
    proofs: Sequence[Proof] = (),
    policies: int | None = None,
    budget: Change | None = None,
    **more: Any,
) -> tuple[str, str]:
    values = project(state, events) | {
        "tenant": str(run.tenant_id),
        "run": str(run.id),
        "epoch": run.epoch,
        "seq": state.seq - len(events),
        "count": len(events),
        "release": release,
        "until": until.isoformat() if until else None,
        "lease": LEASE_TEXT,
        "policies": policies,
        **more,
    }
    if tools:
        values["principals"] = [str(principal) for principal in run.principals]
        values["tools"] = [str(tool) for tool in tools]
    if proofs:
        values["proofs"] = [_proof(proof) for proof in proofs]
    if budget is not None:
        values |= budget.values() | {"agent": str(run.agent_id), "for_user": str(run.principal_id)}
    given = {name: value for name, value in values.items() if value is not None}  # what is missing is NULL
    return json.dumps(given), _entries(events)


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


def _soft_spent(row: Sequence[bytes | None]) -> bool:
    """Say what a step that settled says of soft limits; the others say nothing."""
    return len(row) > 1 and row[1] == b"t"


def _renew(run: Claimed, row: Sequence[bytes | None], begun: float) -> None:
    # The row's lease runs at least half its length from this transaction's BEGIN on (see `statements.STEP`).
    run.clock = (trip.moment(row[0]), begun)
    run.lease_until = max(run.lease_until, begun + LEASE.total_seconds() / 2)


def _tell(connection: Connection, run: Claimed, state: RunState, events: Sequence[Event]) -> None:
    for place, event in enumerate(events):
        if isinstance(event, DecisionRequested):
            seq = state.seq - len(events) + place + 1
            decision_requested.send(sender=Claimed, connection=connection, run=run, event=event, seq=seq)
        elif isinstance(event, DecisionExpired):
            decision_expired.send(sender=Claimed, connection=connection, run=run, event=event)
        elif isinstance(event, RunCompensating):
            questions_moot.send(sender=Claimed, connection=connection, run=run)
    if state.ended and state.asked:
        questions_moot.send(sender=Claimed, connection=connection, run=run)
