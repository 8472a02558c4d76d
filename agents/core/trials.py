"""What an agent's schema and rules say of an answer, apart from what was done about it. Pure.

For trying rules on what has happened: the same judgement as `finishing` makes, without guards and without triage, which
are not what is tried.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from agents.core import finishing, rules
from agents.core.output import Judgement, Seen, judge
from agents.core.spec import AgentSpec

Json = Any
Then = Literal["pass", "retry", "escalate", "reject"]


@dataclass(frozen=True, slots=True)
class Said:
    """What becomes of an answer by schema and rules.

    then: `pass`, it is given out; `retry`, the model is asked again; `escalate`, a person confirms it; `reject`, the
    run fails. code: why not `pass`: `not_json`, `schema`, `rule` or `escalate_when`. rules: by their ids, those that
    are broken, the one that decides first. words: what they say. undecided: of the rules, those that could not be
    evaluated, which counts as broken.
    """

    then: Then
    code: str | None = None
    rules: tuple[str, ...] = ()
    words: str = ""
    undecided: tuple[str, ...] = ()


def said(spec: AgentSpec, seen: Seen, content: Sequence[Json]) -> Said:
    """Return what the rules of `spec` say of a finished answer. content: its blocks; seen: the run at that moment."""
    judgement = judge(spec, seen, content)
    words = "; ".join(problem.message for problem in judgement.problems)
    broken = _broken(judgement)
    undecided = tuple(each for each in broken if _cannot_tell(spec, seen, judgement.output, each))
    if judgement.code is not None and judgement.on_fail != "escalate":
        return Said("reject" if judgement.on_fail == "reject" else "retry", judgement.code, broken, words, undecided)
    reasons = finishing.why_asked(seen, spec, judgement, None)
    if not reasons:
        return Said("pass")
    return Said("escalate", reasons[0].code, broken, " ".join(each.words for each in reasons), undecided)


def _broken(judgement: Judgement) -> tuple[str, ...]:
    if judgement.rule is None:
        return ()
    return tuple(dict.fromkeys([judgement.rule, *(problem.rule for problem in judgement.problems)]))


def _cannot_tell(spec: AgentSpec, seen: Seen, output: Json, rule_id: str) -> bool:
    values = {"input": seen.input, "output": output, "tools": dict(seen.results)}
    # Versions of former releases may hold several rules of one name. Broken, and yet not false:
    return any(
        not rules.holds(rule.expression, rules.OUTPUT_RULE, values)
        and rules.asks(rule.expression, rules.OUTPUT_RULE, values)
        for rule in spec.rules
        if rule.id == rule_id
    )
