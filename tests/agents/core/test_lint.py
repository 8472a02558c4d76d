"""What is likely to be regretted in an agent's document."""

from typing import Any

import pytest

from agents.core.lint import hints
from agents.core.schema import Problem

Json = Any

OUTPUT: Json = {
    "type": "object",
    "properties": {
        "decision": {"enum": ["approve", "reject"]},
        "confidence": {"type": "number", "minimum": 0, "maximum": 1},
    },
    "required": ["decision", "confidence"],
}
GOOD: Json = {
    "name": "lookup",
    "description": "Return a customer's record by its id.",
    "effect": "read",
    "examples": [{"input": {"id": "1"}, "output": {}}, {"input": {"id": "0"}, "error": "not found"}],
}


def told(spec: Json, *tools: Json) -> list[str]:
    return [each.message for each in hints(spec, tools)]


def of_rule(expression: str) -> list[Problem]:
    return hints({"output_schema": OUTPUT, "rules": [{"id": "r", "assert": expression}]}, [])


def test_good_document_is_left_alone() -> None:
    spec = {"escalation": ["When unsure."], "tools": ["lookup", "escalate_to_human"], "output_schema": OUTPUT}
    assert told(spec | {"rules": [{"id": "sure", "assert": "output.confidence >= 0.3"}]}, GOOD) == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"description": "Looks up."}, "lookup: its description is vague"),
        ({"examples": []}, "lookup: it has no example"),
        ({"examples": GOOD["examples"][:1]}, "lookup: no example shows an error"),
    ],
    ids=["vague", "no example", "no error"],
)
def test_tool_that_the_model_cannot_know(changed: Json, said: str) -> None:
    [only] = told({}, GOOD | changed)
    assert only.startswith(said)


def test_agent_that_is_told_to_ask_and_cannot() -> None:
    [only] = told({"escalation": ["When unsure."], "tools": ["lookup"]}, GOOD)
    assert "offer escalate_to_human" in only


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("output.confidence > 2.0", "held for none"),
        ("output.decision == 'escalate'", "held for none"),
        ("output.confidence >= 0.0", "held for all"),
        ("output.confidence > 0.5 || output.decision == 'reject'", ""),
        ("output.confidence > input.least", ""),
    ],
    ids=["too high", "no such choice", "says nothing", "fine", "depends on the input"],
)
def test_rule_that_cannot_hold_or_cannot_fail(expression: str, said: str) -> None:
    found = [each.message for each in of_rule(expression)]
    assert [said in each for each in found] == ([True] if said else [])


def test_great_schema_is_tried_in_part() -> None:
    fields = {f"f{number}": {"type": "boolean"} for number in range(64)}
    spec = {"output_schema": {"type": "object", "properties": fields}, "rules": [{"id": "r", "assert": "output.f63"}]}
    assert hints(spec, []) == []
