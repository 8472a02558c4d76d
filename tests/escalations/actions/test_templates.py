"""Templates of when to escalate do over a run what they say, whatever the model makes of the words."""

import json
from typing import Any

import pytest

from agents.actions import versions
from agents.core.tables import TEMPLATES
from agents.models import Run
from db.scope import tenant_scope
from escalations.actions.decisions import Answer, decide
from tests.escalations.asking import question_of
from tests.escalations.conftest import answers, drive
from tests.worlds import LOOKUP, VERDICT, World

Json = Any

FAIL: Json = {**LOOKUP, "python": {"function": "test_fail"}}
TEXT = ("end_turn", [{"type": "text", "text": "done"}])


def using(tool: str, number: int, **arguments: Json) -> tuple[str, list[Json]]:
    return ("tool_use", [{"type": "tool_use", "id": f"toolu_{number}", "name": tool, "input": arguments}])


def run_of(acme: World, *said: Any, templates: list[str], **spec: Json) -> Run:
    """A run of an agent with these templates, reviewed by Rita, whose model says so."""
    acme.define("templated", role="You work.", templates=templates, **spec)
    acme.grant("review", acme.agent("templated"), acme.rita)
    run = acme.submit("templated", {})
    drive(run, answers(*said))
    return acme.run(run.id)


@pytest.mark.parametrize("template", ["ambiguity", "out_of_scope"])
def test_what_only_the_model_can_tell_it_is_told_and_can_ask(acme: World, template: str) -> None:
    ask = using("escalate_to_human", 1, question="Which of the two is meant?")
    run = run_of(acme, ask, templates=[template])
    question = question_of(acme, run)
    assert (question.kind, question.reason) == ("question", "model_asked")
    assert TEMPLATES[template] in run.version.compiled["system"]
    assert "escalate_to_human" in run.version.compiled["system"]
    with tenant_scope(acme.tenant_id):
        shown = versions.preview("templated", acting_as=acme.alice)
    assert shown.system == run.version.compiled["system"]
    assert [tool["name"] for tool in shown.tools] == ["escalate_to_human"]
    decide(question.id, Answer("respond", question.digest, message="The first."), acting_as=acme.rita)
    drive(run, answers(TEXT))
    assert acme.run(run.id).status == "completed"


def test_a_tool_that_failed_three_times_is_not_called_a_fourth_time_without_a_person(acme: World) -> None:
    calls = [using("flaky", number, key=f"k{number}") for number in range(1, 5)]
    run = run_of(acme, *calls, templates=["repeated_failure"], tool_specs={"flaky": FAIL})
    question = question_of(acme, run)
    assert (question.kind, question.reason) == ("question", "repeated_failure")
    assert acme.actions(run.id).count("tool.failed") == 3

    decide(question.id, Answer("respond", question.digest, message="It is up again."), acting_as=acme.rita)
    drive(run, answers(using("flaky", 5, key="k5"), TEXT))
    assert acme.actions(run.id).count("tool.failed") == 4
    assert acme.run(run.id).status == "completed"


def test_failures_in_between_successes_are_none_in_a_row(acme: World) -> None:
    tools = {"flaky": FAIL, "solid": LOOKUP}
    calls = [using("flaky" if number % 2 else "solid", number, key=f"k{number}") for number in range(1, 6)]
    run = run_of(acme, *calls, TEXT, templates=["repeated_failure"], tool_specs=tools)
    assert run.waiting_for is None
    assert acme.actions(run.id).count("tool.failed") == 3


def test_without_the_template_a_tool_may_fail_as_often_as_it_likes(acme: World) -> None:
    calls = [using("flaky", number, key=f"k{number}") for number in range(1, 6)]
    run = run_of(acme, *calls, TEXT, templates=[], tool_specs={"flaky": FAIL})
    assert run.status == "completed"


@pytest.mark.parametrize(("confidence", "status"), [(0.9, "completed"), (0.7, "completed"), (0.69, "waiting")])
def test_who_is_not_sure_where_much_is_at_stake_has_it_confirmed(acme: World, confidence: float, status: str) -> None:
    output = {"decision": "approve", "confidence": confidence}
    said = ("end_turn", [{"type": "text", "text": json.dumps(output)}])
    run = run_of(acme, said, templates=["high_stakes"], output_schema=VERDICT)
    assert run.status == status
    if status == "waiting":
        question = question_of(acme, run)
        assert (question.kind, question.reason, question.rule) == ("output", "rule", "high_stakes")


def test_one_that_leaves_out_how_sure_it_is_has_it_confirmed_too(acme: World) -> None:
    lax = {"type": "object", "properties": {"confidence": {"type": "number"}}}
    run = run_of(acme, ("end_turn", [{"type": "text", "text": "{}"}]), templates=["high_stakes"], output_schema=lax)
    assert question_of(acme, run).rule == "high_stakes"
