"""Events fold into steps."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from audit.journal import Stored
from console.steps import Step, between, steps

BEGIN = datetime(2026, 11, 21, 12, tzinfo=UTC)


def told(*events: tuple[str, dict[str, Any]]) -> list[Stored]:
    """Return events one second apart."""
    return [
        Stored(uuid4(), seq, BEGIN + timedelta(seconds=seq), 1, action, "engine", None, "ok", facts, None, False)
        for seq, (action, facts) in enumerate(events, 1)
    ]


def spans(found: list[Step]) -> list[tuple[int, int | None]]:
    return [(step.seq, step.closed.seq if step.closed else None) for step in found]


def test_request_and_answer_are_one_step_that_lasted() -> None:
    [step] = steps(told(("model.requested", {"turn": 1}), ("model.answered", {"turn": 1})))
    assert (step.kind, step.seq, step.last_seq) == ("model", 1, 2)
    assert step.lasted == timedelta(seconds=1)


def test_concurrent_calls_end_each_with_its_own_result() -> None:
    asked = [("tool.requested", {"call_id": "a"}), ("tool.requested", {"call_id": "b"})]
    ended = [("tool.finished", {"call_id": "b"}), ("tool.failed", {"call_id": "a"})]
    assert spans(steps(told(*asked, *ended))) == [(1, 4), (2, 3)]


def test_fallback_under_the_same_call_is_a_step_of_its_own() -> None:
    first = [("tool.requested", {"call_id": "a"}), ("tool.failed", {"call_id": "a"})]
    second = [("tool.requested", {"call_id": "a"}), ("tool.finished", {"call_id": "a"})]
    assert spans(steps(told(*first, *second))) == [(1, 2), (3, 4)]


def test_second_attempt_of_a_turn_is_a_step_of_its_own() -> None:
    once = [("model.requested", {"turn": 1}), ("model.failed", {"turn": 1})]
    assert spans(steps(told(*once, *once))) == [(1, 2), (3, 4)]


def test_step_without_an_end_goes_on() -> None:
    [step] = steps(told(("decision.requested", {"escalation": "e"})))
    assert step.closed is None
    assert step.lasted is None


def test_end_of_the_run_cuts_short_what_was_going_on() -> None:
    asked, over = steps(told(("decision.requested", {"escalation": "e"}), ("run.cancelled", {})))
    assert asked.cut_short
    assert asked.closed is over.opened
    assert not over.cut_short


def test_parking_for_a_person_is_told_by_the_question_alone() -> None:
    found = steps(
        told(
            ("decision.requested", {"escalation": "e"}),
            ("run.waiting", {"waiting_for": "decision"}),
            ("decision.made", {"escalation": "e"}),
            ("run.resumed", {"reason": "decided"}),
        )
    )
    assert spans(found) == [(1, 3)]


def test_parking_for_a_timer_is_a_step() -> None:
    found = steps(told(("run.waiting", {"waiting_for": "provider"}), ("run.resumed", {"reason": "timer"})))
    assert [(step.kind, step.seq) for step in found] == [("wait", 1)]
    assert found[0].lasted == timedelta(seconds=1)


def test_takeover_after_a_dead_worker_is_shown() -> None:
    found = steps(told(("run.started", {}), ("run.resumed", {"reason": "lease_expired"})))
    assert [step.opened.action for step in found] == ["run.started", "run.resumed"]


def test_result_whose_request_is_out_of_sight_stands_alone() -> None:
    [step] = steps(told(("tool.finished", {"call_id": "a"})))
    assert (step.kind, step.lasted) == ("tool", None)


def test_step_belongs_to_the_part_it_began_in() -> None:
    asked = [("tool.requested", {"call_id": "a"}), ("tool.requested", {"call_id": "b"})]
    found = steps(told(*asked, ("tool.finished", {"call_id": "a"}), ("tool.finished", {"call_id": "b"})))
    assert [step.seq for step in between(found, 0, 1)] == [1]
    assert [step.seq for step in between(found, 1, 4)] == [2]
