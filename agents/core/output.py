"""Judge a finished answer: is it what the agent must return? Structure by JSON Schema, meaning by rules."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol

from agents.core import rules
from agents.core.conversation import final_text
from agents.core.exact import is_interoperable
from agents.core.schema import Problem, problems
from agents.core.spec import AgentSpec

Json = Any


class Seen(Protocol):
    """What rules may speak of beside the output: a run's state."""

    @property
    def input(self) -> Json:
        """The run's input."""

    @property
    def results(self) -> Mapping[str, Json]:
        """The latest result of each tool, by name."""


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


def judge(spec: AgentSpec, seen: Seen, content: Sequence[Json]) -> Judgement:
    """Return the judgement on a finished answer's content blocks."""
    text = final_text(content)
    if spec.output is None:
        return Judgement(text) if is_interoperable(text) else _unfit("The text holds half of a character.")
    try:
        output = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        said = f"The answer must be one JSON value and nothing else: {error}"
        return _unfit(said)
    return judge_output(spec, seen, output)


def judge_output(spec: AgentSpec, seen: Seen, output: Json) -> Judgement:
    """Return the judgement on an output that is a value already, such as one that a person wrote."""
    if not is_interoperable(output):
        return _unfit("A number is too large (write it as a string), or a text holds half of a character.")
    if spec.output is None:
        return Judgement(output) if isinstance(output, str) else _unfit("The output of this agent is a text.")
    wrong = problems(spec.output, output)
    if wrong:
        return Judgement(output, "schema", wrong)
    return _by_rules(spec, seen, output)


def _unfit(said: str) -> Judgement:
    return Judgement(None, "not_json", [Problem("", said)])


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON.")


def _by_rules(spec: AgentSpec, seen: Seen, output: Json) -> Judgement:
    values = _values(seen, output)
    broken = [rule for rule in spec.rules if not rules.holds(rule.expression, rules.OUTPUT_RULE, values)]
    if not broken:
        return Judgement(output)
    worst = min(broken, key=lambda rule: ("reject", "escalate", "retry").index(rule.on_fail))
    found = [Problem("", rule.message, rule.id) for rule in broken]
    return Judgement(output, "rule", found, worst.id, worst.on_fail)


def must_be_confirmed(spec: AgentSpec, seen: Seen, output: Json) -> bool:
    """Say whether a person has to confirm this output before it is final."""
    if spec.escalate_when is None:
        return False
    return rules.asks(spec.escalate_when, rules.OUTPUT_RULE, _values(seen, output))


def _values(seen: Seen, output: Json) -> dict[str, Json]:
    return {"input": seen.input, "output": output, "tools": dict(seen.results)}
