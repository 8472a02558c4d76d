"""Try a policy on what has happened: which calls of past runs would it have asked about, or not let be made?

Each run's journal is folded anew, so that an expression sees the arguments, the run and its taint as they were at each
call. Who the run acted for is looked up as they are today: yesterday's teams are written down nowhere.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from django.db import connection

from access.acting import acting
from agents.actions import policies
from agents.actions.checking import refuse
from agents.actions.versions import spec_of_run
from agents.core import rules
from agents.core.approvals import facts
from agents.core.events import DecisionRequested, Event, ToolDenied, ToolRequested, event_of
from agents.core.fold import fold
from agents.core.holdings import Holdings
from agents.core.policies import Policy, policy
from agents.core.spec import AgentSpec
from agents.core.state import Call, RunState
from agents.engine import statements
from agents.models import Run
from audit import journal
from db.scope import current_tenant_id
from tenants.principal import Principal

Json = Any
Spec = Mapping[str, Json]

#: Runs that are looked at unless told otherwise, and at most: the newest ones that a model was called in.
RUNS: Final = 100
MOST_RUNS: Final = 500

#: Calls that are shown.
EXAMPLES: Final = 20


@dataclass(frozen=True, slots=True)
class Hit:
    """A call the policy speaks up at. asked: whether a person was asked about it then, for whatever reason."""

    run: UUID
    seq: int
    tool: str
    asked: bool


@dataclass(slots=True)
class Trial:
    """What came of it. calls: those the policy applies to; hits: of those, where `when` holds; undecided: of those,
    where it could not be evaluated, which counts as holding. examples: the newest hits.
    """

    runs: int = 0
    calls: int = 0
    hits: int = 0
    asked_already: int = 0
    undecided: int = 0
    examples: list[Hit] = field(default_factory=list)


def trial(name: str, spec: Spec, *, acting_as: Principal, runs: int = RUNS) -> Trial:
    """Return what the policy would have done in the newest `runs`. Changes nothing, and is recorded.

    Raises `InvalidDocument`, and what `acting` raises for `tools:write` and `runs:read`.
    """
    with acting(acting_as, "tools:write") as actor, acting(acting_as, "runs:read"):
        refuse(policies.problems(spec), f"The policy {name} is not valid.")
        tried, found = policy(name, spec), Trial()
        newest = Run.objects.filter(model_calls__gt=0).order_by("-created_at", "-id")
        looked_at = list(newest.select_related("agent", "version")[: min(runs, MOST_RUNS)])
        people = _people({run.principal_id for run in looked_at})
        for run in looked_at:
            found.runs += 1
            for place in _places(run):
                _look(tried, place, people.get(run.principal_id), found)
        journal.record(
            "policy.tried",
            stream=current_tenant_id(),
            actor=actor,
            facts={"digest": tried.digest, "runs": found.runs, "calls": found.calls, "hits": found.hits},
            payload={"name": name, "spec": dict(spec)},
        )
        return found


@dataclass(frozen=True, slots=True)
class _Place:
    """A call in its run, at the moment it was planned."""

    state: RunState
    spec: AgentSpec
    call: Call
    seq: int
    asked: bool


def _places(run: Run) -> Iterator[_Place]:
    """Yield each call of the run once, where it was first planned."""
    spec = spec_of_run(run)
    state = RunState(run.id, undoable=spec.undoable)
    seen: set[tuple[int, int, str]] = set()
    for stored in journal.read(run.id, limit=1_000_000):
        if stored.erased:
            return  # what stands behind it cannot be told any more
        event = event_of(stored.action, stored.v, stored.facts, stored.payload)
        index = _planned(event)
        if index is not None and state.ending is None and index < len(state.calls):
            call = state.calls[index]
            if call.tool in spec.tools and (state.turn, index, call.tool) not in seen:
                seen.add((state.turn, index, call.tool))
                yield _Place(state, spec, call, state.seq + 1, isinstance(event, DecisionRequested))
        state = fold(state, event)


def _planned(event: Event) -> int | None:
    if isinstance(event, ToolRequested) or (isinstance(event, ToolDenied) and event.code == "policy"):
        return event.call
    return event.call if isinstance(event, DecisionRequested) and event.kind == "tool_call" else None


def _look(tried: Policy, place: _Place, person: Json, found: Trial) -> None:
    tool = place.spec.tools[place.call.tool]
    if not tried.applies(tool, place.spec.slug):
        return
    found.calls += 1
    held = Holdings((), frozenset(), {}, facts=person)
    values = facts(place.state, place.spec, tool, place.call.arguments, held)
    if not rules.asks(tried.when, rules.APPROVAL, values):
        return
    found.hits += 1
    found.asked_already += place.asked
    found.undecided += not rules.holds(tried.when, rules.APPROVAL, values)
    if len(found.examples) < EXAMPLES:
        found.examples.append(Hit(place.state.run_id, place.seq, tool.name, place.asked))


def _people(ids: set[UUID]) -> dict[UUID, Json]:
    """Return what conditions may speak of as `principal`, of those who are active members today."""
    parameters: dict[str, Any] = {
        "objects": [],
        "users": list(ids),
        "tenant": current_tenant_id(),
        "permission": "use",
        "facts": True,
    }
    with connection.cursor() as cursor:
        cursor.execute(statements.HOLDINGS, parameters)
        return {row[0]: json.loads(row[4]) for row in cursor.fetchall()}
