"""Results of tools as JSON that every reader reads alike (I-JSON, RFC 7493), within a bound. Pure."""

import json
import re
from collections.abc import Callable
from typing import Any

Json = Any

SAFE_INTEGER = 2**53 - 1

MAX_DEPTH = 200
"""Levels of lists and objects in a result: whoever goes through it level by level has stack for it, anywhere."""
MAX_VALUES = 500_000
"""In what others send as JSON: a value of two bytes takes thirty times the memory, and the schema looks at each."""
_REPLACEMENT = "\ufffd"
_LONG_NUMBER = re.compile(r"[0-9]{16}")
_UNKEEPABLE = re.compile("[\x00\ud800-\udfff]")
_write = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


class BadResultError(ValueError):
    """The value is not JSON that every reader reads alike. The text says why."""


def read_json(text: str | bytes) -> Json:
    """Read JSON of others: numbers that would lose digits, and `NaN` and `Infinity`, become text.

    Raises ValueError, also for what may be more than `MAX_VALUES`, and RecursionError.
    """
    counted = map(text.count, "[{,") if isinstance(text, str) else map(text.count, (b"[", b"{", b","))
    if sum(counted) > MAX_VALUES:
        raise ValueError(f"it holds more than {MAX_VALUES} values")
    return json.loads(text, parse_int=_integer, parse_float=_float, parse_constant=str)


def written(value: Json) -> tuple[Json, str]:
    """Return a copy of `value` that is the caller's alone, and its compact JSON text.

    Tuples become lists; NUL and lone surrogates, which no database keeps, become U+FFFD. Raises BadResultError.
    """
    try:
        text = _write(value)
        if text.count("[") + text.count("{") > MAX_DEPTH:
            _check_depth(value)
        if _LONG_NUMBER.search(text):
            _check_integers(value)
        copy = json.loads(text)
        if "\\u0000" in text or _UNKEEPABLE.search(text):
            copy = mapped(copy, lambda part: _UNKEEPABLE.sub(_REPLACEMENT, part))
            text = _write(copy)
    except RecursionError:
        raise BadResultError("it is nested too deeply or contains itself") from None
    except TypeError as error:
        raise BadResultError(str(error)) from None
    except ValueError as error:
        raise BadResultError(str(error).lower()) from None
    return copy, text


def mapped(value: Json, change: Callable[[str], str]) -> Json:
    """Return `value` with every text in it, names included, changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [mapped(item, change) for item in value]
    if isinstance(value, dict):
        return {change(name): mapped(item, change) for name, item in value.items()}
    return value


def cut(value: Json, text: str, max_bytes: int) -> Json:
    """Return what is kept of a result whose JSON text is larger than `max_bytes`: its head and a note to the model."""
    size = len(text.encode())
    head = value if isinstance(value, str) else text
    note = (
        f"The result had {size} bytes, of which this is the head (at most {max_bytes} bytes). "
        "Ask for less, for example for a part of it."
    )
    head = head[:max_bytes]
    while len(_write(kept := {"truncated": True, "note": note, "head": head}).encode()) > max_bytes:
        head = head[: len(head) * 3 // 4]
    return kept


def _check_depth(value: Json) -> None:
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [each for each in level if isinstance(each, (dict, list, tuple))]
        if not level:
            return
        level = [item for each in level for item in (each.values() if isinstance(each, dict) else each)]
    raise BadResultError(f"it is nested more than {MAX_DEPTH} levels deep")


def _check_integers(value: Json) -> None:
    if isinstance(value, int) and abs(value) > SAFE_INTEGER:
        raise BadResultError("it holds an integer beyond 2^53 - 1; return it as a string")
    if isinstance(value, dict):
        for item in value.values():
            _check_integers(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _check_integers(item)


def _integer(text: str) -> int | str:
    return text if len(text) > 17 or abs(int(text)) > SAFE_INTEGER else int(text)


def _float(text: str) -> float | str:
    number = float(text)
    return text if number in (float("inf"), float("-inf")) else number
