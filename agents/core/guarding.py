"""The `guards` of an agent's document: their shape, their defaults, and what may be wrong with them. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import phonenumbers
import re2

from agents.core.schema import Problem
from agents.core.wording import meant
from detectors.finding import FINDERS, pattern

Json = Any

MAX_PATTERN: Final = 500

#: Instructions of RE2's program for all patterns together. The worst of such take it a few seconds over 300 kB.
MAX_PROGRAM: Final = 2000

#: Of an input that has guards at all: what no client sends on purpose is refused, what reads like an attack is told.
INPUT: Final[Mapping[str, Json]] = {
    "max_bytes": 64 * 1024,
    "max_depth": 32,
    "rules": [
        {"find": ["control_characters", "hidden_text"], "then": "refuse"},
        {"find": ["instructions"], "then": "flag"},
    ],
}
OUTPUT: Final[Mapping[str, Json]] = {"rules": [{"find": ["secrets"], "then": "block"}]}


def complete(guards: Mapping[str, Json]) -> dict[str, Json]:
    """Return the block with every default written out, as a version pins it."""
    found = dict(guards)
    for side, defaults in (("input", INPUT), ("output", OUTPUT)):
        if side in guards:
            found[side] = {**defaults, **guards[side]}
    return found


def problems(spec: Mapping[str, Json]) -> Iterator[Problem]:
    """Yield what is wrong with an agent's `guards` beyond their shape. spec: the agent's, of the right shape."""
    guards = spec.get("guards") or {}
    patterns = guards.get("patterns") or {}
    size = 0
    for name, written in patterns.items():
        found = list(_pattern_problems(name, written))
        yield from (_problem(f"/patterns/{name}", words) for words in found)
        size += 0 if found else pattern(written).programsize
    if size > MAX_PROGRAM:
        yield _problem(
            "/patterns", "These take too much work to search for: fewer, smaller counts, no classes like \\pL."
        )
    region = guards.get("region")
    if region is not None and region not in phonenumbers.SUPPORTED_REGIONS:
        yield _problem("/region", f"{region} is no country with telephone numbers: two capital letters, such as DE.")
    for side in ("input", "output"):
        rules = (guards.get(side) or {}).get("rules") or ()
        yield from _rule_problems(side, rules, [*FINDERS, *patterns], has_fields=side in _with_fields(spec))


def _with_fields(spec: Mapping[str, Json]) -> set[str]:
    return {"input", "output"} if "output_schema" in spec else {"input"}


def _rule_problems(side: str, rules: Any, known: list[str], *, has_fields: bool) -> Iterator[Problem]:
    said: set[tuple[str, str]] = set()
    for index, rule in enumerate(rules):
        at = rule.get("at", "")
        if at and not has_fields:
            yield _problem(f"/{side}/rules/{index}/at", "The output is plain text, without parts: leave `at` out.")
        for place, name in enumerate(rule["find"]):
            where = f"/{side}/rules/{index}/find/{place}"
            if name not in known:
                others = f" Known: {', '.join(known)}."
                yield _problem(where, f"There is no finder {name}.{meant(name, known) or others}")
            elif (at, name) in said:
                yield _problem(where, f"Another rule says what becomes of {name} at {at or 'every place'}; keep one.")
            said.add((at, name))


def _pattern_problems(name: str, written: str) -> Iterator[str]:
    if name in FINDERS:
        yield "A finder has this name; take another."
    try:
        found = pattern(written)
    except re2.error as error:
        said = error.args[0] if error.args else ""
        why = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
        yield f"RE2 cannot search for this: {why}."
        return
    if found.search("") is not None:
        yield "This finds the empty text, so it would find something everywhere."


def _problem(place: str, message: str) -> Problem:
    return Problem(f"/guards{place}", message, "document")
