"""A small model goes first; what is beyond it is the large one's."""

import json
from datetime import date
from typing import Any

import pytest

from agents.core import limits, pricing
from agents.core.events import ModelRequested, event_of, facts_and_payload
from agents.core.exact import disclose
from agents.core.fold import fold_all
from agents.core.requests import model_request
from agents.core.spec import Limits, Triage
from agents.core.state import RunState
from agents.core.triage import model_of
from tests.agents.core.simulation import RUN, Simulation, agent, rule, text, tool, uses

Json = Any

SMALL, LARGE = "claude-haiku-5-5", "claude-opus-4-7"
SCHEMA = {
    "type": "object",
    "properties": {"decision": {"enum": ["approve", "reject"]}, "confidence": {"type": "number"}},
    "required": ["decision", "confidence"],
}


def spec(*tools: Any, when: str = "output.confidence < 0.7", **more: Json) -> Any:
    """An agent that asks the small model first."""
    given = {"model": LARGE, "effort": "high", "output_schema": SCHEMA, "triage": Triage(SMALL, when), **more}
    return agent(*tools, **given)


def says(decision: str, confidence: float) -> Any:
    return text(json.dumps({"decision": decision, "confidence": confidence}))


SURE, UNSURE = says("approve", 0.9), says("approve", 0.4)


def asked(run: Simulation) -> list[str]:
    """The models that were asked, in order."""
    return [event.model for event in run.history if isinstance(event, ModelRequested)]


def rejected(run: Simulation) -> Any:
    [event] = [event for event in run.history if event.action == "output.rejected"]
    return event


def test_a_sure_answer_of_the_small_model_is_the_runs() -> None:
    run = Simulation(spec(), [SURE]).begin()

    assert (asked(run), run.state.status) == ([SMALL], "completed")
    assert "output.rejected" not in run.actions


def test_an_unsure_one_is_handed_over_and_the_record_says_why() -> None:
    run = Simulation(spec(), [UNSURE, says("reject", 0.8)]).begin()

    assert asked(run) == [SMALL, LARGE]
    facts, payload = facts_and_payload(rejected(run))
    assert facts == {"turn": 1, "code": "triage", "handed_to": LARGE}
    assert payload is not None
    assert disclose(payload["output"]) == {"decision": "approve", "confidence": 0.4}
    assert "triage.escalate_when" in payload["errors"][0]["message"]
    assert disclose(run.history[-1].output) == {"decision": "reject", "confidence": 0.8}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (text("no JSON"), "not_json"),
        (text('{"decision": "maybe", "confidence": 1}'), "schema"),
        (text("half an", stop="max_tokens"), "max_tokens"),
        (text("", stop="model_context_window_exceeded"), "model_context_window_exceeded"),
    ],
)
def test_an_answer_that_is_rejected_is_handed_over_and_is_no_retry(answer: Json, code: str) -> None:
    run = Simulation(spec(limits=Limits(validation_retries=0)), [answer, SURE]).begin()

    assert (asked(run), rejected(run).code) == ([SMALL, LARGE], code)
    assert (run.state.status, run.state.rejections) == ("completed", 0)


@pytest.mark.parametrize("on_fail", ["retry", "escalate", "reject"])
def test_a_broken_rule_is_judged_of_the_large_model_alone(on_fail: str) -> None:
    run = Simulation(spec(rules=(rule("output.decision == 'reject'", on_fail),)), [SURE, says("reject", 0.9)]).begin()

    assert (asked(run), run.state.status) == ([SMALL, LARGE], "completed")


def test_what_guards_block_is_handed_over() -> None:
    guards = {"output": {"rules": [{"find": ["email"], "then": "block"}]}}
    run = Simulation(agent(triage=Triage(SMALL, "false"), guards=guards), [text("a@acme.example"), text("ok")]).begin()

    assert (len(asked(run)), rejected(run).code, run.state.status) == (2, "guarded", "completed")


def test_a_condition_that_cannot_be_told_hands_over() -> None:
    run = Simulation(spec(when="output.certainty < 0.7"), [SURE, SURE]).begin()
    assert asked(run) == [SMALL, LARGE]


def test_the_large_model_is_told_what_tools_said_and_not_what_the_small_one_thought() -> None:
    run = Simulation(spec(tool("one")), [uses(("one", {})), UNSURE, SURE]).begin()

    assert asked(run) == [SMALL, SMALL, LARGE]
    assert [name for name, _ in run.performed] == ["one"]
    said = json.dumps(run.state.messages)
    assert "tool_result" in said
    assert "0.4" not in said


def test_behind_a_pause_the_large_model_is_asked_to_go_on() -> None:
    run = Simulation(spec(), [text("let me see", stop="pause_turn"), UNSURE, SURE]).begin()

    assert asked(run) == [SMALL, SMALL, LARGE]
    assert [message["role"] for message in run.state.messages] == ["user", "assistant", "user", "assistant"]


def test_it_hands_over_once_and_the_large_models_retries_are_its_own() -> None:
    run = Simulation(spec(), [UNSURE, text("no JSON"), UNSURE]).begin()

    assert asked(run) == [SMALL, LARGE, LARGE]
    assert (run.state.status, run.state.rejections) == ("completed", 1)


def test_the_same_journal_is_the_same_run_for_ever() -> None:
    run = Simulation(spec(), [UNSURE, SURE]).begin()
    stored = [(event.action, event.v, *facts_and_payload(event)) for event in run.history]

    assert fold_all((event_of(*each) for each in stored), RunState(RUN)) == run.state


def test_a_run_that_began_with_the_large_model_stays_with_it() -> None:
    began = fold_all([ModelRequested(turn=1, model=LARGE)], RunState(RUN, status="running"))
    assert model_of(began, spec()) == LARGE


def test_each_model_is_asked_its_own_way_and_bounded_by_its_own_price() -> None:
    before, of = RunState(RUN), spec(max_tokens=1000)
    after = fold_all([ModelRequested(turn=1, model=SMALL)], RunState(RUN, status="running", is_handed_over=True))
    small, large = model_request(before, of), model_request(after, of)

    assert ((small.model, small.effort), (large.model, large.effort)) == ((SMALL, None), (LARGE, "high"))
    assert small.system == large.system
    assert small.tools == large.tools
    on = date(2026, 11, 1)
    tight = spec(max_tokens=100_000, limits=Limits(usd_nano=50_000_000))
    bought = [limits.output_room(state, tight, on) for state in (before, after)]
    assert bought[0] > bought[1]
    assert pricing.output_price(SMALL, on) < pricing.output_price(LARGE, on)


def test_without_triage_nothing_is_different() -> None:
    run = Simulation(agent(output_schema=SCHEMA), [UNSURE]).begin()
    assert asked(run) == ["claude-test"]
