"""What is known of a run by its outline, and what becomes of it by that alone."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from agents.core import aside
from agents.core.decide import recover
from agents.core.events import (
    BudgetSettled,
    DecisionMade,
    Event,
    ModelFailed,
    RunCancelRequested,
    RunFailed,
    RunResumed,
    facts_and_payload,
)
from agents.core.fold import fold_all
from agents.core.holdings import Holdings
from agents.core.state import Held, RunState, evolve
from agents.engine.draft import settlements
from agents.engine.projection import project
from agents.tools.seam import Finished
from tests.agents.core.simulation import RUN, Simulation, agent, tool, uses

Json = Any

CANCEL = tool("cancel", effect="write", idempotent=True, offered=False)
BOOK = tool("book", effect="write", compensate_with={"tool": "cancel", "arguments": {}})
SPEC = agent(BOOK, CANCEL)
AT = "2026-11-01T00:00:00+00:00"
WRONG: tuple[Json, ...] = (None, [], {}, "?", float("inf"))
DEADLINE = "2026-11-02T00:00:00+00:00"


def undoing() -> list[Event]:
    """The records of a run that was cancelled, up to the intent of the call that undoes what it did."""
    run = Simulation(
        SPEC,
        [uses(("book", {})), uses(("escalate_to_human", {"question": "?"}))],
        outcome=lambda name, arguments: Finished({}),
        state=RunState(RUN, undoable=SPEC.undoable),
    ).begin(deadline=DEADLINE)
    run.add(RunCancelRequested(by="user:p"))
    run.resume()
    names = [event.action for event in run.history]
    return run.history[: names.index("tool.requested", names.index("run.compensating")) + 1]


def outline(records: list[Event]) -> RunState:
    return aside.outline(RUN, told(records))


def told(records: list[Event]) -> list[tuple[str, Json]]:
    """The records without their payloads."""
    return [(event.action, facts_and_payload(event)[0]) for event in records]


def spoiled(records: list[Event]) -> Iterator[list[tuple[str, Json]]]:
    """The same many times over, each time with one fact that is not there, or not what it is to be."""
    whole = told(records)
    for place, (action, facts) in enumerate(whole):
        without = [{name: facts[name] for name in facts if name != left_out} for left_out in facts]
        instead = [{**facts, name: value} for name in facts for value in WRONG]
        for other in (*without, *instead, {}, None):
            yield [*whole[:place], (action, other), *whole[place + 1 :]]


def folded(records: list[Event]) -> RunState:
    return fold_all(records, RunState(RUN, undoable=SPEC.undoable))


def set_aside(records: list[Event]) -> list[Event]:
    return [*records, *aside.set_aside(outline(records), epoch=9, tries=5, review={}, at=AT)]


def rejected(records: list[Event]) -> list[Event]:
    (question,) = outline(records).questions
    said = {"escalation": question.escalation, "kind": "question", "by": "user:r", "digest": ""}
    return [*records, DecisionMade(decision="reject", **said)]


@pytest.mark.parametrize("known_by", [outline, folded])
def test_a_cancellation_gives_up_no_run_that_is_being_undone(known_by: Any) -> None:
    records = set_aside([*undoing(), RunCancelRequested(by="user:p")])
    assert aside.is_open(known_by(records))
    assert not aside.is_given_up(known_by(records))
    assert aside.is_given_up(known_by(rejected(records)))


def test_what_ends_by_its_outline_says_what_was_left() -> None:
    records = set_aside([*undoing(), RunCancelRequested(by="user:p")])
    *_, settled, end = aside.given_up(outline(records), epoch=10, at=AT)

    assert isinstance(settled, BudgetSettled)
    assert isinstance(end, RunFailed)
    assert end.code == "worker_died"
    assert "not undone" in end.detail


def test_a_model_call_under_way_is_charged_when_its_run_ends_by_its_outline() -> None:
    names = [event.action for event in undoing()]
    state = outline(rejected(set_aside(undoing()[: names.index("model.requested") + 1])))
    assert state.calling_model
    spent = evolve(state, cost_nano=30, spent_tokens=3, held=Held(100, 10, "2026-11-01"))

    _, lost, settled, end = aside.given_up(spent, epoch=10, at=AT)

    assert isinstance(lost, ModelFailed)
    assert (lost.code, lost.cost_nano, lost.tokens, end.action) == ("lost", 70, 7, "run.failed")
    assert isinstance(settled, BudgetSettled)
    assert (settled.usd_nano, settled.tokens) == (100, 10)


def test_a_run_that_spent_more_than_it_reserved_is_charged_no_less_for_that() -> None:
    names = [event.action for event in undoing()]
    state = outline(rejected(set_aside(undoing()[: names.index("model.requested") + 1])))
    spent = evolve(state, cost_nano=130, spent_tokens=13, held=Held(100, 10, "2026-11-01"))

    _, lost, settled, _ = aside.given_up(spent, epoch=10, at=AT)

    assert isinstance(lost, ModelFailed)
    assert (lost.cost_nano, lost.tokens) == (0, 0)
    assert isinstance(settled, BudgetSettled)
    assert (settled.usd_nano, settled.tokens) == (130, 13)


@pytest.mark.parametrize("known_by", [outline, folded])
def test_who_gave_up_one_call_that_undoes_gave_up_no_later_one(known_by: Any) -> None:
    records = rejected(set_aside(undoing()))
    (given_up,) = recover(folded(records), SPEC, Holdings.assumed(frozenset()))
    assert given_up.action == "tool.unknown"

    resumed = [*records, RunResumed(epoch=10, reason="woken", at=AT)]
    assert not aside.is_given_up(known_by(resumed))
    assert recover(folded(resumed), SPEC, Holdings.assumed(frozenset())) == []


@pytest.mark.parametrize("known_by", [outline, folded])
@pytest.mark.parametrize(
    ("last", "ends"), [("model.answered", True), ("tool.requested", False), ("tool.finished", True)]
)
def test_it_waits_till_its_deadline_unless_a_call_is_in_the_air(known_by: Any, last: str, ends: bool) -> None:
    records = undoing()
    names = [event.action for event in records]
    state = known_by(set_aside(records[: names.index(last) + 1]))

    assert aside.ends_at(state) == (datetime.fromisoformat(DEADLINE) if ends else None)
    assert aside.is_over(state, datetime.fromisoformat(DEADLINE)) == ends
    assert not aside.is_over(state, datetime.fromisoformat(AT))


@pytest.mark.parametrize("known_by", [outline, folded])
def test_no_deadline_ends_what_is_being_undone(known_by: Any) -> None:
    assert aside.ends_at(known_by(set_aside(undoing()))) is None


@pytest.mark.parametrize("last", ["model.requested", "tool.requested", "run.compensating", "decision.made"])
def test_the_outline_trips_over_no_fact_that_is_not_there_or_not_what_it_is_to_be(last: str) -> None:
    whole = [*undoing(), *rejected(set_aside(undoing()))[len(undoing()) :]]
    records = whole[: [event.action for event in whole].index(last) + 1]
    known = outline(records)
    seen = 0
    for each in spoiled(records):
        state = aside.outline(RUN, each)
        assert (state.status, state.seq, state.calling_model) == (known.status, known.seq, known.calling_model)
        assert (state.ending is None) == (known.ending is None)
        if any(call.phase == "requested" for call in known.calls):
            assert aside.ends_at(state) is None
        aside.is_given_up(state)
        aside.is_over(state, datetime.fromisoformat(AT))
        for then in (
            aside.set_aside(state, epoch=10, tries=5, review={}, at=AT),
            aside.given_up(state, epoch=10, at=AT),
        ):
            project(fold_all(then, state), then)
            settlements(then, state)
        seen += 1
    assert seen > 30
