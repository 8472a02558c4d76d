"""Hand-offs: another agent takes the conversation over, and its output becomes the run's, by the run's own rules."""

from typing import Any

import pytest

from agents.engine.driver import Driver
from escalations.actions.decisions import Answer, decide
from tests.agents.engine.test_budgets import question
from tests.agents.engine.test_children import CASE, children_of, output
from tests.agents.engine.test_grants import denied
from tests.agents.engine.waiting import ended, until
from tests.worlds import LOOKUP, VERDICT, World

Json = Any

TO_EXPERT: Json = {
    "description": "Hand over to the expert.",
    "type": "agent",
    "agent": {"name": "expert", "mode": "handoff"},
    "input_schema": {"type": "object", "properties": {"case": {"type": "string"}}, "required": ["case"]},
}
TOOLS: Json = {"lookup": LOOKUP, "to_expert": TO_EXPERT}


@pytest.fixture
def firm(acme: World) -> World:
    """An expert who takes over."""
    acme.define("expert", role="You know better.")
    return acme


def test_the_expert_reads_what_was_said_and_answers_for_the_run(firm: World, driver: Driver) -> None:
    firm.define("reception", role="You hand over.", tool_specs=TOOLS, output_schema=VERDICT)
    run = ended(firm, firm.submit("reception", CASE))

    assert run.status == "completed"
    assert output(firm, run) == {"decision": "approve", "confidence": 0.9}
    assert firm.actions(run.id)[-4:] == ["tool.finished", "output.accepted", "budget.settled", "run.completed"]
    (child,) = children_of(firm, run)
    (submitted,) = [stored for stored in firm.events(child.id) if stored.action == "run.submitted"]
    assert "context" not in submitted.facts
    assert "This is for the clerk." in submitted.payload["context"]
    assert len([each for each in firm.actions(run.id) if each == "model.answered"]) == 2


def test_the_runs_own_rules_send_the_output_to_a_person(firm: World, driver: Driver) -> None:
    confirm = {"output_schema": VERDICT, "escalate_when": "output.confidence < 0.95"}
    firm.define("reception", role="You hand over.", tool_specs=TOOLS, **confirm)
    run = firm.submit("reception", CASE)
    until(firm, run, lambda now: now.waiting_for == "decision")
    asked = question(firm, run)
    firm.grant("review", firm.agent("reception"), firm.rita)
    decide(asked.id, Answer("approve", asked.digest), acting_as=firm.rita)
    assert ended(firm, run).status == "completed"
    assert output(firm, run) == {"decision": "approve", "confidence": 0.9}


def test_an_output_that_cannot_be_the_runs_is_an_error_with_which_the_model_goes_on(
    acme: World, driver: Driver
) -> None:
    acme.define("expert", role="You know nothing.")
    acme.define("reception", role="You hand over.", tool_specs=TOOLS, output_schema=VERDICT)
    run = ended(acme, acme.submit("reception", CASE))
    assert output(acme, run) == {"decision": "escalate", "confidence": 0.1}
    (failed,) = [stored for stored in acme.events(run.id) if stored.action == "tool.failed"]
    assert failed.facts["code"] == "output_rejected"
    assert "cannot be the output of this run" in failed.payload["error"]


def test_who_hands_over_does_nothing_else_in_that_turn(firm: World, driver: Driver) -> None:
    firm.define("reception", role="You do two things at once.", tool_specs=TOOLS, output_schema=VERDICT)
    run = ended(firm, firm.submit("reception", CASE))
    assert denied(firm, run) == [("to_expert", "not_alone")]
    assert output(firm, run) == {"decision": "approve", "confidence": 0.9}
    assert len(children_of(firm, run)) == 1


def guarded(then: str) -> Json:
    """Guards that find what a tool said to whoever hands over."""
    return {"input": {"rules": [{"find": ["told"], "then": then}]}, "patterns": {"told": "value of [a-z]+"}}


def test_what_the_experts_guards_refuse_is_not_handed_over(acme: World, driver: Driver) -> None:
    acme.define("expert", role="You know better.", guards=guarded("refuse"))
    acme.define("reception", role="You hand over.", tool_specs=TOOLS, output_schema=VERDICT)
    run = ended(acme, acme.submit("reception", CASE))

    assert denied(acme, run) == [("to_expert", "input_refused")]
    assert children_of(acme, run) == []
    assert output(acme, run) == {"decision": "escalate", "confidence": 0.1}


def test_what_the_experts_guards_ask_about_waits_for_a_person_before_it_is_read(acme: World, driver: Driver) -> None:
    acme.define("expert", role="You know better.", guards=guarded("escalate"))
    acme.define("reception", role="You hand over.", tool_specs=TOOLS, output_schema=VERDICT)
    run = acme.submit("reception", CASE)
    until(acme, run, lambda now: now.waiting_for == "child")
    (child,) = children_of(acme, run)
    until(acme, child, lambda now: now.waiting_for == "decision")

    (submitted,) = [stored.facts for stored in acme.events(child.id) if stored.action == "run.submitted"]
    assert submitted["guard"] == [{"finder": "told", "then": "escalate", "count": 1}]
    assert acme.run(child.id).model_calls == 0
    asked = question(acme, child)
    assert asked.reason == "input_suspicious"
    acme.grant("review", acme.agent("expert"), acme.rita)
    decide(asked.id, Answer("reject", asked.digest, reason="no"), acting_as=acme.rita)
    assert output(acme, ended(acme, run)) == {"decision": "escalate", "confidence": 0.1}
