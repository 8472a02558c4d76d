"""Whom a run is about: the values at its agent's `subject` pointers, as they are looked for again. Pure."""

import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any, Final

Json = Any

#: How many a run has at most that is submitted: one of more is refused. A run that another one starts may have more, as
#: many as there is room for in a model's answer, which its input is a part of.
MOST: Final = 100


def subjects(pointers: Sequence[str], run_input: Json, *, most: int | None = None) -> tuple[str, ...]:
    """Return the ids of persons that stand at these JSON pointers (RFC 6901) of a run's input, each once.

    At each stands one, or a list or object of them. A pointer to nothing is none. most: how many are looked for; None
    for all.
    """
    found: dict[str, None] = {}
    for pointer in pointers:
        for value in _scalars(_at(pointer, run_input)):
            found.setdefault(plain(value))
            if len(found) == most:
                return tuple(found)
    return tuple(found)


def plain(value: str | int | float) -> str:
    """Return an id as text that is the same however it was written: 4711 is "4711", as is " 4711 "."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return unicodedata.normalize("NFC", str(value)).strip()


def _at(pointer: str, value: Json) -> Json:
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict):
            value = value.get(key)
        elif isinstance(value, list) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        else:
            return None
    return value


def _scalars(value: Json) -> Iterator[str | int | float]:
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _scalars(each)
    elif isinstance(value, str | int | float) and not isinstance(value, bool) and str(value).strip():
        yield value
