"""The rows of runs that tool calls start: made with the call's intent, looked at by their parent, asked to end.

Lock order: a child's row before its parent's. A parent's step never locks a child that has not ended: it makes new
ones, which nobody else knows, and reads those that have ended, or locks one to have it undone; asking one to end is a
transaction of its own.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from types import MappingProxyType
from typing import Any, Final, cast
from uuid import UUID

from agents.core import calls, carried, children, continuing, debate, handoff, screening, subjects
from agents.core.children import NOBODY, Callee, Callees, Ended, Reversal
from agents.core.events import (
    BudgetSettled,
    ChildFinished,
    ChildStarted,
    Event,
    RunCancelled,
    RunCancelRequested,
    RunCompleted,
    RunFailed,
    RunSubmitted,
    facts_and_payload,
)
from agents.core.exact import enclose, scrubbed
from agents.core.fold import fold_all
from agents.core.spec import AgentSpec, ToolSpec
from agents.core.state import Call, Effect, RunState
from agents.engine import about, new_runs, seam, statements
from agents.engine.leases import Claimed
from agents.engine.specs import spec_of
from agents.tools.perform import checked
from agents.tools.seam import Failed, Finished, Outcome
from audit import journal
from db import trip
from db.models import new_id
from db.pool import Connection, transaction_connection
from db.scope import SCOPE

_USED: Final = (
    *("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"),
    *("model_calls", "tool_calls"),
)

_CALLEES: Final = f"""
SELECT a.slug, a.id, CASE WHEN a.stopped_at IS NULL THEN a.live_id END, (SELECT count(*) FROM ({
    new_runs.may_run_sql(agents="ARRAY[a.id]", users="%(users)s::uuid[]", tenant="a.tenant_id")
}) AS holders)
FROM agents_agent a WHERE a.tenant_id = %(tenant)s AND a.slug = ANY(%(slugs)s)
"""  # noqa: S608 - constants only

_ENDED: Final = f"""
SELECT id, seq, cost_nano, {", ".join(_USED)} FROM agents_run
WHERE tenant_id = %(tenant)s AND id = ANY(%(runs)s) AND ended_at IS NOT NULL ORDER BY id
"""  # noqa: S608 - constants only

#: Locks the row: whoever makes a run that undoes this one holds it, so that there is one at most.
_DONE_BY: Final = """
SELECT r.agent_id, r.version_id, v.number FROM agents_run r
JOIN agents_agentversion v ON v.tenant_id = r.tenant_id AND v.id = r.version_id
WHERE r.tenant_id = %s AND r.id = %s FOR NO KEY UPDATE OF r
"""

_UNDONE: Final = """
SELECT EXISTS (SELECT FROM agents_run WHERE tenant_id = %s AND reverses_id = %s
    AND status NOT IN ('failed', 'cancelled'))
"""

#: Locks these runs and all below them, so that nobody begins to undo one of them beside this step.
_LOCK_BELOW: Final = """
WITH RECURSIVE below (id) AS (
    SELECT unnest(%(runs)s::uuid[])
    UNION SELECT r.id FROM agents_run r JOIN below ON r.parent_id = below.id WHERE r.tenant_id = %(tenant)s
)
SELECT r.id FROM agents_run r JOIN below USING (id) WHERE r.tenant_id = %(tenant)s ORDER BY r.id FOR NO KEY UPDATE OF r
"""

_ANY_UNDONE: Final = """
SELECT EXISTS (SELECT FROM agents_run WHERE tenant_id = %s AND reverses_id = ANY(%s)
    AND status NOT IN ('failed', 'cancelled'))
"""

_WHOSE: Final = "SELECT coalesce(reverses_id, id) FROM agents_run WHERE tenant_id = %s AND id = %s"

#: Reads what was appended to a run behind a number: (connection, run, tenant, number).
Read = Callable[[Connection, UUID, UUID, int], list[Event]]

_LOCK: Final = "SELECT 1 FROM agents_run WHERE tenant_id = %s AND id = %s FOR NO KEY UPDATE"


NO_ENDS: Final[Mapping[UUID, Ended]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Start:
    """A run to be made beside the intent of the call. row: as `statement` takes it; first: what happened to it.

    tenant_id: whose. subjects: the ids of persons that it is about; None for those of the run that it undoes.
    """

    run: UUID
    row: str
    first: tuple[Event, ...]
    tenant_id: UUID
    subjects: tuple[str, ...] | None = None
    statement: trip.Statement = new_runs.START_CHILD


# --- before the call ------------------------------------------------------------------------------------------------


def callees(connection: Connection, run: Claimed, of: Iterable[Call]) -> Callees:
    """Return what these calls need to know of agents at this moment; nothing when none of them is of one."""
    named = {call.index: run.spec.tools[call.tool].agents for call in of if call.tool in run.spec.tools}
    slugs = sorted({slug for agents in named.values() for slug in agents})
    if not slugs:
        return NOBODY
    users = list(dict.fromkeys(run.principals))
    rows = connection.execute(_CALLEES, {"tenant": run.tenant_id, "slugs": slugs, "users": users}).fetchall()
    agents = {
        slug: Callee(agent, live, _spec(connection, run.tenant_id, live), holders == len(users))
        for slug, agent, live, holders in rows
    }
    return Callees(agents, {index: [new_id() for _ in called] for index, called in named.items()})


def _spec(connection: Connection, tenant_id: UUID, version_id: UUID | None) -> AgentSpec | None:
    if version_id is None:
        return None

    def compiled() -> Mapping[str, Any]:
        row = connection.execute(statements.LOAD_VERSION, [tenant_id, version_id]).fetchone()
        document: Mapping[str, Any] = json.loads(cast(tuple[str], row)[0])
        return document

    return spec_of(version_id, compiled)


def reversal(connection: Connection, run: Claimed, of: Sequence[Call], read: Read) -> Callees:
    """Return the run that would undo what a child did, if the first of these calls is to undo that.

    None when the child or a part of its history is not there any more, or when another run undoes it already. Of a call
    of agents that is undone by a tool of its own, whether another run undoes a part of it.
    """
    effect = of[0].undoes if of else None
    if effect is None:
        return NOBODY
    done_by = effect.run
    if done_by is None:
        by_agents = effect.tool in run.spec.tools and run.spec.tools[effect.tool].agents
        return Callees(is_undone=True) if by_agents and _is_undone_below(connection, run, effect, read) else NOBODY
    found = connection.execute(_DONE_BY, [run.tenant_id, done_by]).fetchone()
    if found is None:
        return NOBODY
    # A statement of its own: it sees what whoever held the row before has written.
    if cast(tuple[bool], connection.execute(_UNDONE, [run.tenant_id, done_by]).fetchone())[0]:
        return Callees(is_undone=True)
    agent_id, version_id, number = cast(tuple[UUID, UUID, int], found)
    spec = _spec(connection, run.tenant_id, version_id)
    if spec is None:
        raise ValueError(f"the run {done_by} is of no version")
    try:
        history = read(connection, UUID(done_by), run.tenant_id, 0)
        ended = fold_all(history, RunState(UUID(done_by), undoable=spec.undoable))
    except TypeError:  # a payload that is needed is not there
        return NOBODY
    if not history or not isinstance(history[0], RunSubmitted):
        return NOBODY
    return Callees(reversal=Reversal(new_id(), agent_id, number, history[0].input, continuing.reversal(ended)))


def _is_undone_below(connection: Connection, run: Claimed, effect: Effect, read: Read) -> bool:
    """Say whether what the runs of a call did, or runs below them, is undone already; also when it cannot be told."""
    (whose,) = cast(tuple[UUID], connection.execute(_WHOSE, [run.tenant_id, run.id]).fetchone())
    try:
        history = read(connection, whose, run.tenant_id, 0)
    except TypeError:  # a payload that is needed is not there
        return True
    place = (effect.turn, effect.index)
    called = [each.run for each in history if isinstance(each, ChildStarted) and (each.turn, each.call) == place]
    below = [row[0] for row in connection.execute(_LOCK_BELOW, {"tenant": run.tenant_id, "runs": called}).fetchall()]
    # A statement of its own: it sees what whoever held the rows before has written.
    return cast(tuple[bool], connection.execute(_ANY_UNDONE, [run.tenant_id, below]).fetchone())[0]


def starts(
    run: Claimed, state: RunState, happened: Iterable[Event], known: Callees, ends: Mapping[UUID, Ended] = NO_ENDS
) -> list[Start]:
    """Return the runs that `happened` says are started. state: after it. ends: of a debate's round before."""
    found = [event for event in happened if isinstance(event, ChildStarted)]
    of = {str(callee.agent_id): callee for callee in known.agents.values()}
    return [
        _start(run, state, event, of[event.agent], ends)
        if event.reverses is None
        else _start_reversal(run, state, event, known.reversal)
        for event in found
    ]


def _context(run: Claimed, state: RunState, event: ChildStarted, ends: Mapping[UUID, Ended]) -> str | None:
    """Return what the run is told in front of its input, if anything."""
    call = state.calls[event.call]
    tool = run.spec.tools[call.tool]
    if tool.hands_over:
        return carried.conversation_of(state, run.spec)
    if event.round > 1:
        before = [child for child in call.children if child.round == event.round - 1]
        return str(scrubbed(debate.context(tool, event.place, event.round, before, ends)))
    return None


def _start(run: Claimed, state: RunState, event: ChildStarted, callee: Callee, ends: Mapping[UUID, Ended]) -> Start:
    if callee.spec is None:
        raise ValueError("A run is started of a version.")
    queued_s, screen = callee.spec.limits.queued_s, callee.spec.input_screen
    arguments, context = state.calls[event.call].arguments, _context(run, state, event, ends)
    submitted = RunSubmitted(
        agent=event.agent,
        version=event.version,
        principal=f"user:{run.principal_id}",
        requested_by=f"run:{run.id}",
        input=enclose(arguments),
        usd_nano=event.usd_nano,
        tokens=event.tokens,
        deadline=state.deadline,
        parent=str(run.id),
        start_by=(run.now() + timedelta(seconds=queued_s)).isoformat() if queued_s else None,
        levels=children.levels(state, run.spec) - 1,
        untrusted=state.is_tainted or None,
        private=state.has_read_private or None,
        context=context,
        trace=state.trace,
        **({} if screen is None else screening.recorded(carried.screened(arguments, context, screen))),
    )
    row = {
        "id": event.run,
        "tenant": str(run.tenant_id),
        "parent": str(run.id),
        "agent": event.agent,
        "version": str(callee.version_id),
        "deadline": state.deadline,
        "users": [str(each) for each in dict.fromkeys(run.principals)],
    }
    persons = subjects.subjects(callee.spec.subject, arguments)
    return Start(UUID(event.run), json.dumps(row), (submitted,), run.tenant_id, persons)


def _start_reversal(run: Claimed, state: RunState, event: ChildStarted, reversal: Reversal | None) -> Start:
    if reversal is None:
        raise ValueError("Nothing is undone of which nothing is known.")
    submitted = RunSubmitted(
        agent=event.agent,
        version=event.version,
        principal=f"user:{run.principal_id}",
        requested_by=f"run:{run.id}",
        input=reversal.input,
        usd_nano=0,
        tokens=0,
        parent=str(run.id),
        levels=0,
        trace=state.trace,
    )
    row = {"id": event.run, "tenant": str(run.tenant_id), "parent": str(run.id), "reverses": event.reverses}
    first = (submitted, reversal.reversing)
    return Start(UUID(event.run), json.dumps(row), first, run.tenant_id, statement=new_runs.START_REVERSAL)


def made(connection: Connection, start: Start, entries: str) -> tuple[str | None, int] | None:
    """Make the run; returns its engine and priority, or None when it may not be any more, and nothing was written."""
    values = [start.row]
    if start.subjects is not None:
        values.append(about.rows_of_child(connection, start.tenant_id, start.subjects))
    (rows,) = trip.make(connection, (start.statement, [*values, entries]))
    if not rows:
        return None
    engine, priority = rows[0]
    return None if engine is None else str(engine, "ascii"), trip.integer(priority)


# --- after it -------------------------------------------------------------------------------------------------------


def ended(connection: Connection, run: Claimed, runs: Iterable[UUID], read: Read) -> list[Ended]:
    """Return how those of its children ended that have.

    The run's row is locked first: who ends later finds it parked, if it is then, and wakes it.
    """
    connection.execute(_LOCK, [run.tenant_id, run.id])
    rows = connection.execute(_ENDED, {"tenant": run.tenant_id, "runs": list(runs)}).fetchall()
    return [_ended(row, read(connection, row[0], run.tenant_id, max(0, row[1] - 2))) for row in rows]


def _ended(row: Sequence[Any], last: Sequence[Event]) -> Ended:
    end = last[-1]
    if not isinstance(end, RunCompleted | RunFailed | RunCancelled):
        raise ValueError(f"the run {row[0]} has ended and its journal does not say how")
    settled = next((event for event in last if isinstance(event, BudgetSettled)), None)
    return Ended(row[0], end, settled, row[2], dict(zip(_USED, row[3:], strict=True)))


def came(state: RunState, spec: AgentSpec, found: Iterable[Ended], *, now: datetime) -> list[Event]:
    """Return the facts of children that have ended, and of the calls that are done with that. now: aware."""
    happened: list[Event] = []
    for each in found:
        event = children.finished(state, each)
        state = fold_all([event], state)
        happened.append(event)
        call, _ = children.call_of(state, each.run)
        tool = spec.tools[call.tool]
        if state.ending is not None and call.undoes is not None:
            undone = calls.outcome_event(state, spec, call, children.outcome(each))
            state = fold_all([undone], state)
            happened.append(undone)
            continue
        if tool.rounds:
            continue  # what comes of a round is seen when all of it is over
        outcome = _checked(children.outcome(each), tool)
        results = (
            handoff.came(state, spec, call, each, outcome, now=now)
            if tool.hands_over
            else [calls.outcome_event(state, spec, call, outcome)]
        )
        state = fold_all(results, state)
        happened += results
    return happened


def _checked(outcome: Outcome, tool: ToolSpec) -> Outcome:
    return checked(outcome, tool.definition) if isinstance(outcome, Finished) else outcome


def went_on(
    state: RunState, spec: AgentSpec, call: Call, found: Iterable[Ended], known: Callees, *, on: date
) -> tuple[list[Event], Mapping[UUID, Ended]]:
    """Return what comes of a debate whose round is over, its result or the next round; and how that one's runs ended.

    found: of the runs of that round. known: of its agents, at this moment. on: whose day's prices count.
    """
    tool, ends = spec.tools[call.tool], {each.run: each for each in found}
    outcome = debate.outcome(tool, call, ends)
    if outcome is None:
        number = debate.last_round(call)[0].round + 1
        heard = debate.last_round(call)
        told = {
            tool.agents[child.place]: str(scrubbed(debate.context(tool, child.place, number, heard, ends)))
            for child in heard
        }
        refused = children.refusal(state, spec, tool, call, known, on=on, number=number, told=told)
        outcome = None if refused is None else Failed(*refused)
    if outcome is not None:
        return [calls.outcome_event(state, spec, call, _checked(outcome, tool))], ends
    return [*debate.next_round(state, spec, tool, call, ends, known)], ends


# --- its end --------------------------------------------------------------------------------------------------------


def take_in(connection: Connection, tenant_id: UUID, events: Iterable[Event]) -> None:
    """Note of the children whose ends a step of their parent takes in that its row holds what they used."""
    runs = [UUID(event.run) for event in events if isinstance(event, ChildFinished)]
    if runs:
        connection.execute(new_runs.HEARD, {"tenant": tenant_id, "runs": runs})


def wake_parent(connection: Connection, tenant_id: UUID, parent: UUID, child: UUID) -> seam.Afterwards:
    """Make the parent of a run that has ended claimable if it waits; returns what to do once that is committed."""
    values = {"tenant": tenant_id, "run": parent, "child": child}
    row = connection.execute(new_runs.WAKE_PARENT, values).fetchone()
    return None if row is None else seam.made_ready(connection, row[0], parent, tenant_id, wakes=True)


def stop(tenant_id: UUID, parent: UUID, run_id: UUID) -> None:
    """Ask a child to end, in a transaction of its own; nothing happens when it was asked, or has ended."""
    asked = RunCancelRequested(by=f"run:{parent}")
    facts, _ = facts_and_payload(asked)
    entries = journal.entries_parameter([journal.Entry(asked.action, asked.by, facts)])
    values = [str(tenant_id), str(run_id), entries]
    afterwards = None
    with transaction_connection() as connection, trip.transaction(connection, (SCOPE, [str(tenant_id)])):
        (rows,) = trip.make(connection, (new_runs.STOP_CHILD, values))
        if rows:
            engine = None if rows[0][0] is None else str(rows[0][0], "ascii")
            afterwards = seam.made_ready(connection, engine, run_id, tenant_id, wakes=True)
    if afterwards is not None:
        afterwards()
