"""The tools that a tool names: to fall back on, and to undo what it did. Both ends are checked when either is saved.

What undoes a tool may be defined after it: an agent that offers the tool cannot be published before.

Pure.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from agents.core import conditions, rules
from agents.core.agent_tools import effect_of
from agents.core.schema import Problem
from agents.core.shapes import EFFECTS, SQL_INPUT
from agents.core.wording import meant, pointer

Json = Any
Spec = Mapping[str, Json]

_ANY_INPUT: Final[Spec] = {"type": "object", "properties": {}}


def named(spec: Spec) -> list[str]:
    """Return the tools that `spec` names."""
    back = (spec.get("compensate_with") or {}).get("tool")
    return [name for name in (spec.get("fallback"), back) if name is not None]


def missing(name: str, tools: Mapping[str, Spec]) -> Iterator[str]:
    """Yield why an agent that offers the tool `name` cannot be published: what undoes it is not there."""
    partner = (tools[name].get("compensate_with") or {}).get("tool")
    if partner is not None and partner not in tools:
        yield f"{name} is undone by {partner}, and there is no such tool.{meant(partner, tools)}"


def problems(name: str, spec: Spec, tools: Mapping[str, Spec]) -> Iterator[Problem]:
    """Yield what is wrong between the tool and those that it names or that name it. tools: all others by name."""
    yield from _fallback_problems(name, spec, tools)
    yield from _compensation_problems(name, spec, tools)
    for other, theirs in tools.items():
        if theirs.get("fallback") == name:
            yield from (_problem("", words) for words in _unfit(name, spec, other, theirs))
        if (theirs.get("compensate_with") or {}).get("tool") == name:
            yield from (_problem("", f"{other} is undone by it: {words}") for _, words in _mismatch(theirs, spec))


def _fallback_problems(name: str, spec: Spec, tools: Mapping[str, Spec]) -> Iterator[Problem]:
    fallback = spec.get("fallback")
    if fallback is None:
        return
    if fallback == name:
        yield _problem("/fallback", "A tool cannot be its own fallback.")
        return
    if fallback not in tools:
        yield _problem("/fallback", f"There is no tool {fallback}.{meant(fallback, tools)}")
        return
    chain = [name, fallback]
    while (following := tools.get(chain[-1], {}).get("fallback")) is not None:
        chain.append(following)
        if following in chain[:-1]:
            yield _problem("/fallback", f"The fallbacks go in a circle: {' → '.join(chain)}.")
            return
    yield from (_problem("/fallback", words) for words in _unfit(fallback, tools[fallback], name, spec))


def _unfit(fallback: str, its: Spec, name: str, spec: Spec) -> Iterator[str]:
    """Yield why `fallback` cannot stand in for `name`."""
    less, more = effect_of(spec), effect_of(its)
    if EFFECTS.index(more) > EFFECTS.index(less):
        yield f"{fallback} has the effect {more} and is the fallback of {name}, which has the effect {less}."
    asked = set((its.get("input_schema") or {}).get("required", ()))
    lacking = sorted(asked - set(_input(spec).get("properties", ())))
    if lacking:
        yield f"{fallback} needs {', '.join(lacking)}, which {name} does not take and so cannot hand to its fallback."


def _compensation_problems(name: str, spec: Spec, tools: Mapping[str, Spec]) -> Iterator[Problem]:
    how = spec.get("compensate_with")
    if how is None:
        return
    for argument, expression in (how.get("arguments") or {}).items():
        try:
            rules.check_value(expression, rules.COMPENSATION)
            conditions.check_names(expression, _input(spec))
        except rules.BadRule as error:
            yield _problem("/compensate_with/arguments" + pointer([argument]), " ".join(str(error).split()))
    partner = spec if how["tool"] == name else tools.get(how["tool"])
    if partner is not None:
        yield from (_problem(place, words) for place, words in _mismatch(spec, partner))


def _mismatch(spec: Spec, partner: Spec) -> Iterator[tuple[str, str]]:
    """Yield (place in `spec`, why) the arguments that `spec` gives the tool that undoes it are not what it takes."""
    how = spec["compensate_with"]
    given, takes = how.get("arguments") or {}, _input(partner)
    lacking = sorted(set(takes.get("required", ())) - set(given))
    if lacking:
        yield "/compensate_with/arguments", f"{how['tool']} needs {', '.join(lacking)}."
    known = takes.get("properties") or {}
    for argument in given:
        if argument not in known and takes.get("additionalProperties") is False:
            place = "/compensate_with/arguments" + pointer([argument])
            yield place, f"{how['tool']} takes no {argument}.{meant(argument, known)}"


def _input(spec: Spec) -> Spec:
    found: Spec = spec.get("input_schema") or (SQL_INPUT if spec["type"] == "sql" else _ANY_INPUT)
    return found


def _problem(place: str, message: str) -> Problem:
    return Problem(place, message, "document")
