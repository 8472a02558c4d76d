"""How much is at stake in a question, and where that puts it in the inbox. Pure.

Risk is 0 to 100: what the kind of question is about, what the tool does, and how much is named. Urgency is what the
inbox is sorted by, greatest first: each point of risk weighs as much as `POINT_S` seconds of waiting. So the order of
two questions never changes while they wait, and an index can hold it.
"""

from collections.abc import Iterator, Mapping
from math import log10
from typing import Any, Final

Json = Any

POINT_S: Final = 900

#: From which risk on nobody decides in bulk on what they never opened.
GREAT: Final = 60
_MIDDLING: Final = 30

_KINDS: Final = {"reconcile": 50, "appeal": 50, "tool_call": 30, "output": 30, "question": 20, "budget": 20}
_EFFECTS: Final = {"irreversible": 30, "write": 15}

#: Words for money in the names of arguments, and what one of them is worth in whole units.
_AMOUNTS: Final = {"minor": 0.01, "cents": 0.01, "amount": 1.0, "usd": 1.0, "eur": 1.0, "price": 1.0, "total": 1.0}
_MOST_OF_AMOUNT: Final = 30


def risk_of(*, kind: str, reason: str, required: int, effect: str | None, proposal: Mapping[str, Json]) -> int:
    """Return the risk of a question. effect: of the tool that it is about, if it is about one."""
    points = _KINDS.get(kind, 20) + _EFFECTS.get(effect or "", 0)
    points += 10 if reason == "tainted" else 0
    points += 10 if required > 1 else 0
    points += _of_amount(max(_amounts(proposal), default=0.0))
    return min(points, 100)


def word(risk: int) -> str:
    """Return the risk as a word: high, medium or low."""
    return "high" if risk >= GREAT else "medium" if risk >= _MIDDLING else "low"


def urgency(risk: int, asked_at_s: float) -> int:
    """Return the place in the inbox. asked_at_s: when it was asked, in seconds since 1970."""
    return risk * POINT_S - int(asked_at_s)


def _of_amount(amount: float) -> int:
    """Return 5 points for each power of ten above a hundred."""
    return min(_MOST_OF_AMOUNT, 5 * max(0, int(log10(amount)) - 1)) if amount >= 1 else 0


def _amounts(value: Json, worth: float = 0.0, depth: int = 0) -> Iterator[float]:
    if isinstance(value, Mapping) and depth < 4:
        for name, part in value.items():
            words = str(name).lower().split("_")
            found = [_AMOUNTS[word] for word in words if word in _AMOUNTS]
            yield from _amounts(part, min(found, default=0.0), depth + 1)
    elif worth and isinstance(value, int | float) and not isinstance(value, bool):
        yield min(abs(float(value)), 1e15) * worth
    elif worth and isinstance(value, str) and len(value) < 20:
        try:
            yield min(abs(float(value)), 1e15) * worth
        except ValueError:
            return
