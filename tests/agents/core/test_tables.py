"""Decision tables, thresholds and templates: what they come to, and what is refused when they are saved."""

from typing import Any
from uuid import UUID

import pytest

from agents.core import trials
from agents.core.document import agent_document, agent_problems
from agents.core.output import judge_output
from agents.core.shapes import TEMPLATES
from agents.core.spec import agent_spec
from agents.core.state import RunState
from agents.core.tables import TEMPLATES as WORDS
from tests.agents.core.simulation import RUN

Json = Any

OUTPUT: Json = {
    "type": "object",
    "properties": {"decision": {"type": "string"}, "confidence": {"type": "number"}, "risk_score": {"type": "integer"}},
}


def spec(**more: Json) -> Json:
    return {"role": "You decide.", "model": {"id": "claude-opus-4-7"}, "output_schema": OUTPUT, **more}


def row(when: str, then: str, code: str) -> Json:
    return {"when": when, "then": then, "code": code}


def judged(written: Json, output: Json) -> tuple[str | None, str | None]:
    """Return the rule that decides, and what happens."""
    assert agent_problems(written, {}) == []
    stored = {"agent_id": str(RUN), "slug": "a", "version": 1, "system": "", "tools": []}
    made = agent_spec({**stored, "document": agent_document(written)})
    judgement = judge_output(made, RunState(RUN), output)
    return judgement.rule, judgement.on_fail


@pytest.mark.parametrize(
    ("output", "judgement"),
    [
        ({"risk_score": 90, "confidence": 1}, ("R1", "reject")),
        ({"risk_score": 50, "confidence": 1}, ("R2", "escalate")),
        ({"risk_score": 10, "confidence": 1}, (None, None)),
        ({"risk_score": 90, "confidence": 0.1}, ("R1", "reject")),
        ({"confidence": 1}, ("R1", "reject")),
    ],
)
def test_a_table_decides_by_its_strictest_row_and_names_its_code(output: Json, judgement: Json) -> None:
    table = [row("output.risk_score > 80", "reject", "R1"), row("output.risk_score > 20", "escalate", "R2")]
    assert judged(spec(decisions=table), output) == judgement


@pytest.mark.parametrize(("confidence", "rule"), [(0.7, None), (1, None), (0.69, "UNSURE"), (None, "UNSURE")])
def test_a_threshold_is_met_or_asks(confidence: Json, rule: str | None) -> None:
    written = spec(thresholds=[{"path": "/confidence", "at_least": 0.7, "then": "escalate", "code": "UNSURE"}])
    output = {} if confidence is None else {"confidence": confidence}
    assert judged(written, output)[0] == rule


def test_templates_tell_the_model_when_to_escalate() -> None:
    written = spec(escalation=["Escalate on Sundays."], templates=["ambiguity", "out_of_scope"])
    document = agent_document(written)
    assert document["escalation"] == ["Escalate on Sundays.", WORDS["ambiguity"], WORDS["out_of_scope"]]
    assert "templates" not in document
    assert set(TEMPLATES) == set(WORDS)


@pytest.mark.parametrize(
    ("more", "pointer", "said"),
    [
        ({"decisions": [row("output.risk > 1", "reject", "R")]}, "/decisions/0/when", "There is no output.risk."),
        ({"decisions": [row("output.risk_score >", "reject", "R")]}, "/decisions/0/when", ""),
        (
            {"decisions": [row("true", "reject", "R"), row("true", "retry", "R")]},
            "/decisions/1/code",
            "R is used twice.",
        ),
        (
            {"thresholds": [{"path": "/sureness", "at_least": 1, "then": "retry", "code": "T"}]},
            "/thresholds/0/path",
            "The output_schema has no /sureness.",
        ),
        (
            {"thresholds": [{"path": "/decision", "at_least": 1, "then": "retry", "code": "T"}]},
            "/thresholds/0/path",
            "/decision is no number in the output_schema.",
        ),
        ({"thresholds": [{"path": "/confidence", "then": "retry", "code": "T"}]}, "/thresholds/0", ""),
        ({"rules": [{"id": "r", "assert": "output.confidense > 0.5"}]}, "/rules/0/assert", "Did you mean confidence?"),
        ({"escalate_when": "output.sure == true"}, "/escalate_when", "There is no output.sure."),
        ({"templates": ["whim"]}, "/templates/0", ""),
    ],
)
def test_what_cannot_be_meant_is_refused_when_it_is_saved(more: Json, pointer: str, said: str) -> None:
    first = agent_problems(spec(**more), {})[0]
    assert first.pointer == pointer
    assert said in first.message


def test_a_version_that_holds_two_rules_of_one_name_can_be_tried() -> None:
    two = {
        "role": "You judge.",
        "model": {"id": "m"},
        "output_schema": {"type": "object", "properties": {"confidence": {"type": "number"}}},
        "rules": [{"id": "high_stakes", "assert": "output.confidence > 0.9", "message": "No."}],
        "templates": ["high_stakes"],
    }
    whole = {"agent_id": str(UUID(int=1)), "slug": "a", "version": 1, "system": "", "tools": []}
    spec = agent_spec({**whole, "document": agent_document(two)})
    found = trials.said(spec, RunState(UUID(int=2)), [{"type": "text", "text": '{"confidence": 0.1}'}])
    assert (found.then, found.rules, found.undecided) == ("escalate", ("high_stakes",), ())
