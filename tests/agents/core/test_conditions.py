"""Conditions on grants: what passes when saved, and that whatever goes wrong later is a no."""

from typing import Any

import pytest

from agents.core import conditions, rules
from agents.core.rules import BadRule

Json = Any

SCHEMA: Json = {
    "type": "object",
    "properties": {
        "amount": {"type": "integer"},
        "rate": {"type": "number"},
        "to": {"type": "string"},
        "note": {"type": ["string", "null"]},
        "urgent": {"type": "boolean"},
        "items": {"type": "array"},
        "place": {"type": "object"},
        "customer-id": {"type": "string"},
        "in": {"type": "string"},
    },
}
DAN = {"id": "u-1", "email": "dan@acme.example", "role": "developer", "teams": ["credit", "desk"]}


def holds(expression: str, arguments: Json) -> bool:
    return rules.holds(expression, rules.GRANT, {"args": arguments, "principal": DAN})


@pytest.mark.parametrize(
    "expression",
    [
        "args.amount < 500",
        "args.rate < 5.5 && args.rate < 5",
        "args.urgent",
        "has(args.amount) && args.amount < 3",
        "!has(args.place.street)",
        'args.place.street == "Low Lane"',
        'args["amount"] < 5 && args["customer-id"] == "CUST-1"',
        "args.note == null",
        'args.to == "args.nothing"',
        "args.to.matches('^a\"')",
        "args.items.all(item, item < 3)",
        'principal.role == "developer" && "credit" in principal.teams',
        "principal.teams.exists(team, team == args.to)",
        'principal["email"].endsWith("@acme.example")',
    ],
)
def test_a_condition_may_speak_of_arguments_and_principal(expression: str) -> None:
    conditions.check(expression, SCHEMA)


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("args.amuont < 500", r"There is no args\.amuont\. Did you mean amount\?"),
        ('args["amuont"] < 500', r"There is no args\.amuont"),
        ('principal.rol == "owner"', r"There is no principal\.rol\. Did you mean role\?"),
        (
            'args.amount == "500"',
            r"^At column 13: == does not take \(int, string\): give it values that go together\.$",
        ),
        ("has(args.amount) && args.amount < 5.5", r"^At column 33: < does not take \(int, double\)"),
        ("args.amount", "yields INT"),
        ("'yes'", "yields STRING"),
        ('run.id == ""', r"^At column 4: run is not known here\. Known: args, principal\.$"),
        ("args.urgent &&\narg.amount < 2", r"^At line 2, column 4: arg is not known here\. Did you mean args\?$"),
        (
            "args.amount <",
            r"^At column 14: This is no expression of CEL \(mismatched input 'end'\); write one such as args",
        ),
        ("", "^At column 1: This is no expression of CEL"),
        (" || ".join(["args.urgent"] * 400), "at most 4000 characters"),
    ],
)
def test_one_that_could_not_work_is_refused(expression: str, why: str) -> None:
    with pytest.raises(BadRule, match=why):
        conditions.check(expression, SCHEMA)


def test_an_open_schema_may_have_arguments_that_it_does_not_name() -> None:
    with pytest.raises(BadRule, match="The tool takes no arguments"):
        conditions.check("args.any == 1", {"type": "object"})
    conditions.check("args.any == 1", {"type": "object", "additionalProperties": True})
    conditions.check("args.any == 1", {"allOf": [{"type": "object", "properties": {"any": {}}}]})


@pytest.mark.parametrize(
    ("expression", "arguments", "expected"),
    [
        ("args.amount < 500", {"amount": 499}, True),
        ("args.amount < 500", {"amount": 499.5}, True),
        ("args.amount < 500", {"amount": 500}, False),
        ("args.amount < 500", {}, False),
        ("args.amount < 500", {"amount": "1"}, False),
        ("args.amount < 500", {"amount": None}, False),
        ("args.amount < 500", [], False),
        ("args.amount < 500", {"amount": 2**70}, False),
        ("args.amount / 0 == 1", {"amount": 1}, False),
        ("args.urgent", {"urgent": True}, True),
        ("args.urgent", {"urgent": 1}, False),
        ("args.urgent", {"urgent": "true"}, False),
        ('"desk" in principal.teams', {}, True),
        ('"owners" in principal.teams', {}, False),
        ("args.items.all(a, args.items.all(b, args.items.all(c, a == a)))", {"items": list(range(1000))}, False),
        ("args.to.matches(args.to)", {"to": "("}, False),
    ],
)
def test_only_what_is_true_holds(expression: str, arguments: Json, expected: bool) -> None:
    assert holds(expression, arguments) is expected
