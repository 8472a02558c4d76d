"""Every name that an agent's document speaks of is one that its schemas and tools have; anything else is refused."""

from typing import Any

import pytest

from agents.core import paths
from agents.core.conditions import check
from agents.core.document import agent_problems
from agents.core.rules import BadRule

Json = Any

TEXT: Json = {"type": "string"}
INPUT: Json = {
    "type": "object",
    "properties": {
        "customer": {"$ref": "#/$defs/customer"},
        "lines": {"type": "array", "items": {"type": "object", "properties": {"amount": {"type": "integer"}}}},
        "free": {"type": "object"},
        "either": {"oneOf": [{"type": "object", "properties": {"iban": TEXT}}, {"type": "null"}]},
        "more": {"type": "object", "properties": {"a": TEXT}, "additionalProperties": TEXT},
    },
    "$defs": {"customer": {"type": "object", "properties": {"id": TEXT, "address": {"$ref": "#/$defs/address"}}}}
    | {"address": {"type": "object", "properties": {"city": TEXT}, "required": ["city"]}},
}
OUTPUT: Json = {
    "type": "object",
    "allOf": [
        {"properties": {"decision": TEXT}},
        {"properties": {"score": {"properties": {"risk": {"type": "number"}}}}},
    ],
}
TOOLS: Json = {
    "crm": {"output_schema": {"type": "object", "properties": {"name": TEXT}}, "fallback": "crm_backup"},
    "crm_backup": {"output_schema": {"type": "object", "properties": {"title": TEXT}}},
    "mail": {},
    "elsewhere": {},
}
SPEC: Json = {
    "role": "You decide.",
    "model": {"id": "claude-opus-4-7"},
    "tools": ["crm", "mail"],
    "input_schema": INPUT,
    "output_schema": OUTPUT,
}


def told(**more: Json) -> list[tuple[str, str]]:
    """What is wrong, with its place."""
    return [(each.pointer, each.message) for each in agent_problems({**SPEC, **more}, TOOLS)]


GOOD = [
    "output.decision == 'output.nothing'",
    "output.score.risk > 1",
    "input.customer.address.city == input['customer'][\"id\"]",
    "input.lines.all(line, line.amount > 0) && input.lines[0].amount > 1 && input.lines.size() > 0",
    "input.free.whatever.there == 1 && input.either.iban == '' && input.more.b == ''",
    "has(output.score.risk) && tools.crm.name == tools['crm_backup'].title && tools.mail.any.thing == 1",
    "output.decision.startsWith('a') && output.decision.size() > 1",
]
BAD = [
    ("output.desicion == 'x'", "There is no output.desicion. Did you mean decision? Known: decision, score."),
    ("output.score.rsik > 1", "There is no output.score.rsik."),
    ("output['nothing'] == 1", "There is no output.nothing. Known: decision, score."),
    ("output.decision.deeper == 1", "There is no output.decision.deeper. Nothing stands below it."),
    ("input.customer.adress.city == ''", "There is no input.customer.adress. Did you mean address?"),
    ("input.customer.address.zip == ''", "There is no input.customer.address.zip. Known: city."),
    ("input.lines.all(line, line.amuont > 0)", "There is no line.amuont. Did you mean amount?"),
    ("input.lines[0].price > 1", "There is no input.lines[0].price. Known: amount."),
    ("input.lines.amount > 1", "There is no input.lines.amount. Nothing stands below it."),
    ("has(input.custmer)", "There is no input.custmer. Did you mean customer?"),
    ("input.either.bic == ''", "There is no input.either.bic. Known: iban."),
    ("tools.crn.name == ''", "There is no tools.crn. Did you mean crm? Known: crm, crm_backup, mail."),
    ("tools.elsewhere.name == ''", "The agent has no tool elsewhere: list it among its tools"),
    ("tools.crm.nmae == ''", "There is no tools.crm.nmae. Did you mean name? Known: name."),
]


@pytest.mark.parametrize("expression", GOOD)
def test_what_there_is_may_be_named_wherever_an_expression_stands(expression: str) -> None:
    rule = {"id": "r", "assert": expression}
    row = {"when": expression, "then": "reject", "code": "R2"}
    triage = {"model": "claude-haiku-5-5", "escalate_when": expression}
    assert told(rules=[rule], decisions=[row], escalate_when=expression, triage=triage) == []


@pytest.mark.parametrize(("expression", "said"), BAD)
def test_what_there_is_not_is_refused_with_its_place_and_what_there_is(expression: str, said: str) -> None:
    found = [
        *told(rules=[{"id": "r", "assert": expression}]),
        *told(decisions=[{"when": expression, "then": "reject", "code": "R"}]),
        *told(escalate_when=expression),
        *told(triage={"model": "claude-haiku-5-5", "escalate_when": expression}),
    ]
    places = ["/rules/0/assert", "/decisions/0/when", "/escalate_when", "/triage/escalate_when"]
    assert [place for place, _ in found] == places
    assert all(words.startswith(said) for _, words in found), found


@pytest.mark.parametrize(
    ("more", "place", "said"),
    [
        ({"subject": ["/customer/idd"]}, "/subject/0", "The input_schema has no /customer/idd. Did you mean id?"),
        ({"subject": ["/customer/id/x"]}, "/subject/0", "The input_schema has no /customer/id/x. Nothing stands"),
        (
            {"guards": {"input": {"rules": [{"at": "/custmer", "find": ["email"], "then": "flag"}]}}},
            "/guards/input/rules/0/at",
            "The input_schema has no /custmer. Did you mean customer?",
        ),
        (
            {"guards": {"output": {"rules": [{"at": "/score/rsk", "find": ["email"], "then": "mask"}]}}},
            "/guards/output/rules/0/at",
            "The output_schema has no /score/rsk. Did you mean risk?",
        ),
        (
            {"thresholds": [{"path": "/score/rissk", "at_least": 1, "then": "retry", "code": "T"}]},
            "/thresholds/0/path",
            "The output_schema has no /score/rissk. Did you mean risk? Known: risk.",
        ),
        (
            {"thresholds": [{"path": "/decision", "at_least": 1, "then": "retry", "code": "T"}]},
            "/thresholds/0/path",
            "/decision is no number in the output_schema.",
        ),
        ({"templates": ["ambiguty"]}, "/templates/0", "Write one of ambiguity, repeated_failure, out_of_scope"),
        (
            {"escalate_when": "outptu.decision == ''"},
            "/escalate_when",
            "At column 7: outptu is not known here. Did you mean output?",
        ),
    ],
)
def test_so_is_every_pointer_and_word(more: Json, place: str, said: str) -> None:
    [(where, words), *others] = told(**more)
    assert (where, others) == (place, [])
    assert words.startswith(said), words


def test_pointers_that_lead_somewhere_are_taken() -> None:
    rules = [{"at": at, "find": ["email"], "then": "flag"} for at in ("/customer/id", "/lines/3/amount", "/free/x/y")]
    thresholds = [{"path": "/score/risk", "at_most": 80, "then": "escalate", "code": "RISK"}]
    assert told(subject=["/customer/id", "/more/b"], guards={"input": {"rules": rules}}, thresholds=thresholds) == []


def test_a_text_has_no_fields() -> None:
    spec = {key: value for key, value in SPEC.items() if key != "output_schema"}
    [found] = agent_problems({**spec, "escalate_when": "output.decision == 'x'"}, TOOLS)
    assert found.message == "There is no output.decision. Nothing stands below it."
    assert agent_problems({**spec, "escalate_when": "output.contains('x')"}, TOOLS) == []


def test_a_schema_that_refers_to_itself_is_walked_and_one_that_is_none_is_told_alone() -> None:
    tree = {"type": "object", "properties": {"left": {"$ref": "#"}, "size": {"type": "integer"}}}
    deep = {"input_schema": tree, "subject": ["/left/left/left/size"]}
    assert told(**deep) == []
    assert told(**{**deep, "subject": ["/left/left/sise"]})[0][1].startswith("The input_schema has no /left/left/sise.")
    loop = {"type": "object", "properties": {"a": {"allOf": [{"$ref": "#/properties/a"}]}}}
    assert paths.field(paths.place(loop), "b") == ("a",)
    assert isinstance(paths.pointed(paths.place(loop), "/a/b/c"), paths.Place)
    [(where, _)] = told(output_schema={"type": "object", "properties": 5}, escalate_when="output.x == 1")
    assert where.startswith("/output_schema")


def test_conditions_on_arguments_look_as_deep() -> None:
    schema = {"type": "object", "properties": {"to": {"type": "object", "properties": {"iban": TEXT}}}}
    check("args.to.iban == 'x'", schema)
    with pytest.raises(BadRule, match=r"There is no args.to.ibna. Did you mean iban\?"):
        check("args.to.ibna == 'x'", schema)
