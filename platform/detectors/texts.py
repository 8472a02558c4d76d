"""Texts as finders read them: without signs that nobody sees, wide letters as plain ones, places kept. Pure."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import re2

Json = Any
Span = tuple[int, int]

_OPTIONS: Final = re2.Options()
_OPTIONS.log_errors = False


def compiled(pattern: str) -> Any:
    """Return the pattern to search with; raises `re2.error`, and writes nothing to stderr by itself."""
    return re2.compile(pattern, _OPTIONS)


#: Signs without width or with a hidden meaning. The joiners (U+200C, U+200D) and marks of direction (U+200E, U+200F)
#: that scripts and emoji need are none of them.
INVISIBLE: Final = r"\x{200B}\x{2060}-\x{2064}\x{FEFF}\x{202A}-\x{202E}\x{2066}-\x{2069}\x{E0000}-\x{E007F}"
_SOUGHT: Final = compiled(f"[{INVISIBLE}\\x{{AD}}\\x{{200C}}-\\x{{200F}}]")
_LEFT_OUT: Final = frozenset(
    chr(code)
    for first, last in (
        *((0xAD, 0xAD), (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x2064), (0x2066, 0x2069), (0xFEFF, 0xFEFF)),
        (0xE0000, 0xE007F),
    )
    for code in range(first, last + 1)
)

#: One sign for one: full-width forms, spaces and hyphens as ASCII has them, halves of characters as U+FFFD.
_AS_PLAIN: Final = (
    {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
    | dict.fromkeys((0xA0, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000), ord(" "))
    | dict.fromkeys((*range(0x2010, 0x2016), 0x2212), ord("-"))
    | dict.fromkeys(range(0xD800, 0xE000), 0xFFFD)
)


class Text:
    """A text to search, and the way back from places in what is searched to places in the text itself."""

    def __init__(self, text: str) -> None:
        self.whole = text
        self._kept: list[int] | None = None
        self.plain = text
        if text.isascii():
            return
        self.plain = text.translate(_AS_PLAIN)
        if _SOUGHT.search(self.plain):
            self._kept = [place for place, sign in enumerate(self.plain) if sign not in _LEFT_OUT]
            self.plain = "".join(self.plain[place] for place in self._kept)

    def back(self, span: Span) -> Span:
        """Return where in the whole text it is."""
        start, end = span
        if self._kept is None or start == end:
            return span
        return self._kept[start], self._kept[end - 1] + 1


def united(spans: Sequence[tuple[int, int, str]]) -> Iterator[tuple[int, int, str]]:
    """Yield (start, end, name) in order, those that overlap as one, which has the name of the longest."""
    last: tuple[int, int, str] | None = None
    longest = 0
    for start, end, name in sorted(spans):
        if last is None or start >= last[1]:
            if last is not None:
                yield last
            last, longest = (start, end, name), end - start
            continue
        if end - start > longest:
            longest, last = end - start, (last[0], last[1], name)
        last = (last[0], max(last[1], end), last[2])
    if last is not None:
        yield last


def strings(value: Json, place: str = "") -> Iterator[tuple[str, str]]:
    """Yield (JSON pointer, text) of each text in a JSON value: texts, numbers of ten digits and more, names of members.

    A member's name comes before its value and has the same place. Recurses: whoever gives a value bounds its depth.
    """
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, dict):
        for name, item in value.items():
            below = f"{place}/{name.replace('~', '~0').replace('/', '~1')}"
            yield below, name
            yield from strings(item, below)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from strings(item, f"{place}/{index}")
    elif is_long(value):
        yield place, digits(value)


def is_long(value: Json) -> bool:
    """Say whether it is a whole number, however written, that may be more than one: of a card, of a person."""
    if isinstance(value, float):
        return value.is_integer() and abs(value) >= 10**9
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**9


def digits(value: int | float) -> str:
    """Return a whole number as its digits, without a fraction or an exponent."""
    return str(int(value))
