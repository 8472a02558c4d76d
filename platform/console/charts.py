"""Charts as places in percent, which templates write into SVG attributes. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from typing import Final

#: What of a column's room its bar takes, in percent; the rest is the gap.
_FILL: Final = 76

#: The room above the axis, in percent of the drawing's height; the rest is for the labels below.
_HEIGHT: Final = 86

#: At most so many labels below the columns.
_LABELS: Final = 6


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a column. series: its number, from 1; y, height: in percent."""

    series: int
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Column:
    """A column. x, width: in percent; words: what it stands for, with its value."""

    x: float
    width: float
    pieces: tuple[Piece, ...]
    words: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A label of an axis. at: its place in percent; anchor: start, middle or end, of SVG."""

    at: float
    words: str
    anchor: str = "middle"


@dataclass(frozen=True, slots=True)
class Chart:
    """Columns side by side, with a line and a label at each of `lines`."""

    columns: tuple[Column, ...]
    lines: tuple[Mark, ...]
    labels: tuple[Mark, ...]


def chart(keys: Sequence[str], values: Sequence[Sequence[float]], words: Callable[[float], str]) -> Chart:
    """Return the columns of `keys`, each with the parts of its value stacked. words: a value as people read it."""
    top = ceiling(max((sum(parts) for parts in values), default=0))
    room = 100 / max(len(keys), 1)
    columns = tuple(
        Column(
            _short(place * room + room * (100 - _FILL) / 200),
            _short(room * _FILL / 100),
            _pieces(parts, top),
            f"{key}: {words(sum(parts))}",
        )
        for place, (key, parts) in enumerate(zip(keys, values, strict=True))
    )
    lines = tuple(Mark(_short(_HEIGHT * (1 - share)), words(top * share)) for share in (0, 0.5, 1)) if top else ()
    return Chart(columns, lines, _labels(keys, room))


def ceiling(value: float) -> float:
    """Return the least of 1, 2, 5, 10, 20, 50, … (and of 0.1, 0.2, …) that is not below `value`; 0 for 0."""
    if value <= 0:
        return 0
    size: float = 10.0 ** floor(log10(value))
    return next(step * size for step in (1, 2, 5, 10) if step * size >= value * (1 - 1e-9))


def _pieces(parts: Sequence[float], top: float) -> tuple[Piece, ...]:
    made, below = [], 0.0
    for series, part in enumerate(parts, start=1):
        height = part / top * _HEIGHT if top else 0
        below += height
        if part > 0:
            made.append(Piece(series, _short(_HEIGHT - below), _short(max(height, 0.4))))
    return tuple(made)


def _labels(keys: Sequence[str], room: float) -> tuple[Mark, ...]:
    if not keys:
        return ()
    step = max(ceil(len(keys) / _LABELS), 1)
    last = len(keys) - 1
    return tuple(
        Mark(_short(_middle(place, last, room)), keys[place], _anchor(place, last))
        for place in range(0, len(keys), step)
    )


def _middle(place: int, last: int, room: float) -> float:
    anchor = _anchor(place, last)
    return place * room if anchor == "start" else (place + 1) * room if anchor == "end" else (place + 0.5) * room


def _anchor(place: int, last: int) -> str:
    return "middle" if last == 0 else "start" if place == 0 else "end" if place == last else "middle"


def _short(value: float) -> float:
    return round(value, 3)
