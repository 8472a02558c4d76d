"""Budgets as documents: their published JSON Schema, and what it cannot say. Pure."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from agents.core.document import MAX_USD_NANO, value_problems
from agents.core.money import from_usd, to_usd
from agents.core.schema import Problem
from agents.core.shapes import SLUG
from agents.core.wording import shape_problems

Json = Any

BUDGET: Final[dict[str, Json]] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Budget",
    "type": "object",
    "properties": {
        "of": {
            "type": "object",
            "properties": {
                "tenant": {"const": True},
                "agent": {"type": "string", "pattern": SLUG},
                "user": {"type": "string", "maxLength": 254},
            },
            "additionalProperties": False,
            "minProperties": 1,
            "maxProperties": 1,
        },
        "window": {"enum": ["day", "month"]},
        "usd": {"type": ["string", "integer", "null"]},
        "tokens": {"type": ["integer", "null"], "minimum": 0, "maximum": 10**15},
        "soft": {"type": ["number", "null"], "exclusiveMinimum": 0, "exclusiveMaximum": 1, "multipleOf": 0.001},
    },
    "required": ["of", "window"],
    "additionalProperties": False,
}


def budget_problems(spec: Json) -> list[Problem]:
    """Return what is wrong with a budget's `spec`."""
    found = value_problems(spec) or shape_problems(BUDGET, spec)
    if found:
        return found
    if spec.get("usd") is None and spec.get("tokens") is None:
        return [Problem("", "Say what it limits: usd, tokens or both.", "document")]
    return _usd_problems(spec)


#: What may be added to a limit: money as a decimal string, all else in whole numbers.
_AMOUNTS: Final[dict[str, Json]] = {
    "type": "object",
    "properties": {
        "usd": {"type": ["string", "integer"]},
        **{
            name: {"type": "integer", "minimum": 0, "maximum": 10**15}
            for name in ("tokens", "turns", "tool_calls", "seconds")
        },
    },
    "additionalProperties": False,
}


def amount_problems(proposed: Mapping[str, Json], given: Json) -> list[Problem]:
    """Return what is wrong with the amounts that a person gives in place of those that a question proposed."""
    found = value_problems(given) or shape_problems(_AMOUNTS, given)
    if found:
        return found
    strange = [Problem(f"/{name}", "The question is not about this.", "document") for name in given.keys() - proposed]
    return strange or _usd_problems(given)


def _usd_problems(given: Mapping[str, Json]) -> list[Problem]:
    if given.get("usd") is None:
        return []
    try:
        nano = from_usd(given["usd"])
    except ValueError as error:
        return [Problem("/usd", str(error), "document")]
    most = [Problem("/usd", f"At most {shown_usd(MAX_USD_NANO)}.", "document")]
    return most if nano > MAX_USD_NANO else []


def shown_usd(nano: int) -> str:
    """Return a limit as people write it, with two decimals or as many as it has."""
    whole, _, decimals = to_usd(nano).partition(".")
    return f"{whole}.{decimals.rstrip('0').ljust(2, '0')}"


def limits_of(spec: Mapping[str, Json]) -> dict[str, Json]:
    """Return `usd_nano`, `tokens` and `soft` of a checked `spec`; None where it sets none."""
    usd, soft = spec.get("usd"), spec.get("soft")
    return {
        "usd_nano": None if usd is None else from_usd(usd),
        "tokens": spec.get("tokens"),
        "soft": None if soft is None else Decimal(str(soft)).quantize(Decimal("0.001")),
    }
