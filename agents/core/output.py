"""Judge a finished answer: is it what the agent must return? Structure by JSON Schema, meaning by rules."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agents.core import rules
from agents.core.conversation import final_text
from agents.core.schema import Problem, problems
from agents.core.spec import AgentSpec

Json = Any


@dataclass(frozen=True, slots=True)
class Judgement:
    """What became of an answer.

    output: the value, when it could be read. code: None when accepted, else `not_json`, `schema` or `rule`.
    problems: why not. rule, on_fail: the rule that decides what happens, when it is not simply tried again.
    """

    output: Json
    code: str | None = None
    problems: Sequence[Problem] = ()
    rule: str | None = None
    on_fail: str | None = None


def judge(spec: AgentSpec, run_input: Json, content: Sequence[Json]) -> Judgement:
    """Return the judgement on a finished answer's content blocks."""
    text = final_text(content)
    if spec.output is None:
        return Judgement(text)
    try:
        output = json.loads(text)
    except ValueError as error:
        return Judgement(
            text, "not_json", [Problem("", f"The answer must be one JSON value and nothing else: {error}")]
        )
    wrong = problems(spec.output, output)
    if wrong:
        return Judgement(output, "schema", wrong)
    return _by_rules(spec, run_input, output)


def _by_rules(spec: AgentSpec, run_input: Json, output: Json) -> Judgement:
    broken = [
        rule for rule in spec.rules if not rules.holds(rule.expression, rules.OUTPUT_RULE, _values(run_input, output))
    ]
    if not broken:
        return Judgement(output)
    worst = min(broken, key=lambda rule: ("reject", "escalate", "retry").index(rule.on_fail))
    found = [Problem("", rule.message, rule.id) for rule in broken]
    return Judgement(output, "rule", found, worst.id, worst.on_fail)


def must_be_confirmed(spec: AgentSpec, run_input: Json, output: Json) -> bool:
    """Say whether a person has to confirm this output before it is final."""
    if spec.escalate_when is None:
        return False
    return rules.asks(spec.escalate_when, rules.OUTPUT_RULE, _values(run_input, output))


def _values(run_input: Json, output: Json) -> dict[str, Json]:
    return {"input": run_input, "output": output, "tools": {}}
