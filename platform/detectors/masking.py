"""What was found, taken out of texts and JSON values: `[email]` stands in its place. Pure."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from detectors.finding import Finders, Found, find, find_in_members
from detectors.texts import digits, is_long, strings, united

Json = Any


def masked(text: str, found: Sequence[Found]) -> str:
    """Return the text with a mask in place of each that was found; those that overlap share one."""
    parts: list[str] = []
    done = 0
    for start, end, name in united([(each.start, each.end, each.finder) for each in found]):
        parts += text[done:start], f"[{name}]"
        done = end
    return "".join([*parts, text[done:]])


def mapped(value: Json, texts: Iterator[str]) -> Json:
    """Return a JSON value with other texts in place of those that `texts.strings` yields of it, in the same order.

    A number stays one unless its text is another. Names that have become the same get a number each.
    """
    if isinstance(value, str):
        return next(texts)
    if isinstance(value, list | tuple):
        return [mapped(item, texts) for item in value]
    if isinstance(value, dict):
        made: dict[str, Json] = {}
        for item in value.values():
            name = _free(next(texts), made)
            made[name] = mapped(item, texts)
        return made
    if is_long(value):
        text = next(texts)
        return value if text == digits(value) else text
    return value


def _free(name: str, taken: dict[str, Json]) -> str:
    if name not in taken:
        return name
    count = 2
    while f"{name} {count}" in taken:
        count += 1
    return f"{name} {count}"


def masker(finders: Finders) -> Callable[[Json], Json]:
    """Return a function that masks whatever the finders find in a JSON value."""

    def mask(value: Json) -> Json:
        pieces = list(strings(value))
        members = find_in_members(pieces, finders)
        if not members and not find("\n".join(text for _, text in pieces), finders):
            return value
        found = [find(text, finders) for _, text in pieces]
        for index, each in members.items():
            found[index].append(each)
        return mapped(value, iter([masked(text, each) for (_, text), each in zip(pieces, found, strict=True)]))

    return mask
