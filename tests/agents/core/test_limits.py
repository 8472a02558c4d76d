"""What bounds a run: caps, money and tokens, deadlines, and how long a supplier or a person is waited for."""

import pytest

from agents.core.events import ModelRequested
from agents.core.fold import fold_all
from agents.core.pricing import tokens_at_most
from agents.core.requests import input_tokens, model_request
from agents.core.spec import Approval, Limits
from agents.core.state import RunState
from tests.agents.core.simulation import (
    RUN,
    Simulation,
    agent,
    provider_failed,
    text,
    tool,
    uses,
)


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (Limits(turns=2), "limit_turns"),
        (Limits(tool_calls=2), "tool_calls"),
        (Limits(usd_nano=2000), "limit_usd"),
        (Limits(tokens=30), "limit_tokens"),
    ],
)
def test_a_cap_parks_the_run_for_a_person_who_can_extend_it(limits: Limits, reason: str) -> None:
    answers = [uses(("one", {"a": 1})), uses(("one", {"a": 2})), uses(("one", {"a": 3})), text("done")]
    run = Simulation(agent(tool("one"), limits=limits), answers).begin()
    assert run.state.status == "waiting"
    assert run.state.questions[0].kind == "budget"
    assert run.state.questions[0].reason == reason
    assert run.answer_question("approve").state.status == "completed"
    assert len(run.performed) == 3


def test_time_spent_waiting_for_a_person_does_not_count() -> None:
    spec = agent(tool("pay", effect="irreversible"), limits=Limits(seconds=60))
    run = Simulation(spec, [uses(("pay", {})), text("done")]).begin()
    run.now = run.now.replace(day=20)
    assert run.answer_question("approve").state.status == "completed"


def test_a_passed_deadline_fails_the_run() -> None:
    run = Simulation(agent(), [provider_failed(), text("done")]).begin(deadline="2026-11-01T00:00:05+00:00")
    assert run.resume(seconds=60).state.status == "failed"
    assert run.history[-1].code == "deadline_exceeded"  # type: ignore[attr-defined]


def test_an_overloaded_provider_is_waited_for_with_growing_pauses() -> None:
    run = Simulation(agent(), [provider_failed(), provider_failed(), text("done")]).begin()
    assert (run.state.status, run.state.waiting_for) == ("waiting", "provider")
    first = run.history[-1].until  # type: ignore[attr-defined]
    run.resume(seconds=2)
    second = run.history[-1].until  # type: ignore[attr-defined]
    assert first < second
    assert run.resume(seconds=5).state.status == "completed"
    assert run.state.turn == 1


def test_retry_after_is_honoured() -> None:
    run = Simulation(agent(), [provider_failed("rate_limited", retry_after_ms=60_000)]).begin()
    assert run.history[-1].until >= "2026-11-01T00:01:00"  # type: ignore[attr-defined]


def test_a_spend_limit_is_not_retried_but_asks_and_approval_tries_again() -> None:
    run = Simulation(agent(), [provider_failed("spend_limit", retryable=False), text("done")]).begin()
    assert run.state.questions[0].reason == "provider_spend_limit"
    assert run.answer_question("approve").state.status == "completed"


def test_a_provider_that_never_recovers_ends_up_with_a_person() -> None:
    run = Simulation(agent(), [provider_failed() for _ in range(8)] + [text("done")]).begin()
    while run.state.waiting_for == "provider":
        run.resume(seconds=200)
    assert run.state.questions[0].reason == "provider_unavailable"
    assert run.answer_question("respond", message="try again").state.status == "completed"


def test_an_approval_that_nobody_gives_in_time_is_a_no() -> None:
    pay = tool("pay", effect="irreversible", approval_value=Approval("true", expires_s=60))
    run = Simulation(agent(pay), [uses(("pay", {})), text("done")]).begin()
    assert run.history[-1].until == "2026-11-01T00:01:00+00:00"  # type: ignore[attr-defined]
    assert run.resume(seconds=30).state.status == "waiting"
    run.resume(seconds=31)
    assert run.performed == []
    assert "decision.expired" in run.actions
    assert run.state.status == "completed"


def test_the_deadline_passes_while_a_person_is_asked() -> None:
    pay = tool("pay", effect="irreversible")
    run = Simulation(agent(pay), [uses(("pay", {}))]).begin(deadline="2026-11-01T00:10:00+00:00")
    assert run.history[-1].until == "2026-11-01T00:10:00+00:00"  # type: ignore[attr-defined]
    assert run.resume(seconds=600).state.status == "failed"


def test_a_wake_before_its_time_does_not_call_the_provider() -> None:
    run = Simulation(agent(), [provider_failed("rate_limited", retry_after_ms=60_000), text("done")]).begin()
    until = run.history[-1].until  # type: ignore[attr-defined]
    run.resume(seconds=5)
    assert run.state.waiting_for == "provider"
    assert run.history[-1].until == until  # type: ignore[attr-defined]
    assert run.resume(seconds=60).state.status == "completed"


def test_the_deadline_passes_while_the_provider_is_waited_for() -> None:
    run = Simulation(agent(), [provider_failed("rate_limited", retry_after_ms=10**15)])
    run.begin(deadline="2026-11-01T00:10:00+00:00")
    assert run.history[-1].until == "2026-11-01T00:10:00+00:00"  # type: ignore[attr-defined]


def test_extending_a_clients_cap_adds_as_much_again() -> None:
    answers = [uses(("one", {"a": 1})), text("done")]
    run = Simulation(agent(tool("one")), answers, cost_nano=499_000_000).begin(usd_nano=500_000_000)
    assert run.state.questions[0].proposal == {"arguments": {"usd": "0.5000"}}
    run.answer_question("approve")
    assert run.state.extra.usd_nano == 500_000_000


def test_a_cap_that_pays_for_no_answer_is_asked_about_before_the_model_is() -> None:
    run = Simulation(agent(), [text("done")]).begin(usd_nano=1000)
    assert "model.requested" not in run.actions
    assert run.state.questions[0].reason == "limit_usd"
    assert run.answer_question("approve").state.status == "completed"


def test_an_answer_may_take_no_more_than_what_is_left_pays_for() -> None:
    run = Simulation(agent(), [text("done")]).begin(usd_nano=60_000_000)
    [asked] = [event for event in run.history if isinstance(event, ModelRequested)]
    assert asked.max_tokens is not None
    assert asked.max_tokens < run.spec.max_tokens
    assert run.state.status == "completed"


def test_an_answer_that_was_cut_off_for_want_of_budget_is_asked_for_anew_with_more() -> None:
    answers = [text("do", stop="max_tokens"), text("done")]
    run = Simulation(agent(), answers).begin(usd_nano=60_000_000)
    assert run.state.questions[0].reason == "limit_usd"
    assert run.state.rejections == 0
    assert run.answer_question("approve").state.status == "completed"


def test_a_run_that_was_queued_for_too_long_is_not_begun() -> None:
    run = Simulation(agent(limits=Limits(queued_s=60)), [])
    run.begin(start_by="2026-10-31T23:59:59+00:00")
    assert run.history[-1].code == "not_started_in_time"  # type: ignore[attr-defined]
    assert "model.requested" not in run.actions


def test_a_run_that_was_begun_in_time_goes_on_however_long_it_takes() -> None:
    run = Simulation(agent(limits=Limits(queued_s=60)), [provider_failed(), text("done")])
    run.begin(start_by="2026-11-01T00:00:01+00:00").resume(3000)
    assert run.state.status == "completed"


def test_how_long_the_conversation_is_is_known_without_writing_it_out() -> None:
    look = tool("look")
    answers = [uses(("look", {"key": "é" * each})) for each in range(1, 12)]
    run = Simulation(agent(look), [*answers, text("no", stop="max_tokens"), text("done")]).begin({"a": ["ü", "\ud800"]})

    written = tokens_at_most(model_request(run.state, run.spec))
    assert run.actions[-1] == "run.completed"
    assert written <= input_tokens(run.state, run.spec) <= written + 10
    assert fold_all(run.history, RunState(RUN)).said_bytes == run.state.said_bytes
