"""The rules of an agent's `guards`: what is looked for where, and what becomes of it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from detectors.finding import Finders

Json = Any


@dataclass(frozen=True, slots=True)
class Rule:
    """at: JSON pointer to the part it is about, "" for all; find: finders by name; then: what becomes of it."""

    at: str
    find: tuple[str, ...]
    then: str


@dataclass(frozen=True, slots=True)
class Screen:
    """The rules of an input or an output. max_bytes: of the JSON in UTF-8; max_depth: levels of lists and objects."""

    rules: tuple[Rule, ...]
    finders: Finders
    max_bytes: int | None = None
    max_depth: int | None = None

    def then(self, finder: str, place: str) -> str | None:
        """Return what becomes of something at this place: what the rule of the nearest part says."""
        mine = [rule for rule in self.rules if finder in rule.find and _covers(rule.at, place)]
        return max(mine, key=lambda rule: len(rule.at)).then if mine else None


def screen_of(guards: Mapping[str, Json] | None, side: str) -> Screen | None:
    """Return the rules of the `input` or `output`, or None without any. guards: as a version pins them."""
    block = (guards or {}).get(side)
    if guards is None or block is None:
        return None
    rules = tuple(Rule(rule.get("at", ""), tuple(rule["find"]), rule["then"]) for rule in block["rules"])
    names = tuple(dict.fromkeys(name for rule in rules for name in rule.find))
    finders = Finders(names, guards.get("patterns") or {}, guards.get("region"))
    return Screen(rules, finders, block.get("max_bytes"), block.get("max_depth"))


def _covers(at: str, place: str) -> bool:
    return not at or place == at or place.startswith(f"{at}/")
