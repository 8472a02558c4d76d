"""The geometry of a bar or line chart: numbers to places in a drawing. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from typing import Final, Literal

from ops.demo.figures import BadFigures, Point

WIDTH: Final = 720
HEIGHT: Final = 340
MAX_POINTS: Final = 60
_LEFT, _RIGHT, _TOP, _BOTTOM = 76, 12, 16, 44
_TICKS = 5
_LABELS = 12
_LABEL_CHARS = 14


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark of the value axis. y: its height in the drawing; text: its number."""

    y: str
    text: str


@dataclass(frozen=True, slots=True)
class Mark:
    """One value. x, y, width, height: its bar; middle: of the bar, where a line's point is; at_y: the value's height.

    name: the whole label; label: what stands under the axis, "" for none; text: the number.
    """

    x: str
    y: str
    width: str
    height: str
    middle: str
    at_y: str
    name: str
    label: str
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart ready to be drawn; places are written out, so that no language's number format reaches them.

    kind: `bar` or `line`; left, right: the ends of the value lines; numbers_at: where their numbers end; labels_at: the
    height of the labels; zero: the height of the base line; path: the line's points.
    """

    kind: str
    width: str
    height: str
    left: str
    right: str
    numbers_at: str
    labels_at: str
    zero: str
    ticks: tuple[Tick, ...]
    marks: tuple[Mark, ...]
    path: str


def chart(kind: Literal["bar", "line"], values: Sequence[Point]) -> Chart:
    """Lay out a chart. Raises BadFigures when there is nothing to draw, or too much."""
    if not values:
        raise BadFigures("There is nothing to draw.")
    if len(values) > MAX_POINTS:
        raise BadFigures(f"A chart has at most {MAX_POINTS} values; aggregate them in the query.")
    numbers = [number for _, number in values]
    ticks = _ticks(min(0.0, *numbers), max(0.0, *numbers))
    low, high = ticks[0], ticks[-1]
    base = HEIGHT - _BOTTOM

    def height_of(number: float) -> float:
        return base - (number - low) / (high - low) * (base - _TOP)

    zero = height_of(0.0)
    slot = (WIDTH - _LEFT - _RIGHT) / len(values)
    every = ceil(len(values) / _LABELS)
    marks = tuple(
        _mark(
            name,
            number,
            left=_LEFT + index * slot,
            slot=slot,
            zero=zero,
            at_y=height_of(number),
            labelled=index % every == 0,
        )
        for index, (name, number) in enumerate(values)
    )
    return Chart(
        kind=kind,
        width=str(WIDTH),
        height=str(HEIGHT),
        left=str(_LEFT),
        right=str(WIDTH - _RIGHT),
        numbers_at=str(_LEFT - 8),
        labels_at=str(base + 24),
        zero=_place(zero),
        ticks=tuple(Tick(_place(height_of(tick)), written(tick)) for tick in ticks),
        marks=marks,
        path=" ".join(f"{mark.middle},{mark.at_y}" for mark in marks),
    )


def written(number: float) -> str:
    """Write a number for people: thousands apart, at most two decimals."""
    text = f"{round(number, 2) + 0.0:,.2f}"  # + 0.0: zero has no sign
    return text.rstrip("0").rstrip(".")


def _mark(name: str, number: float, *, left: float, slot: float, zero: float, at_y: float, labelled: bool) -> Mark:
    short = name if len(name) <= _LABEL_CHARS else name[: _LABEL_CHARS - 1] + "…"
    return Mark(
        x=_place(left + slot * 0.15),
        y=_place(min(zero, at_y)),
        width=_place(slot * 0.7),
        height=_place(abs(at_y - zero)),
        middle=_place(left + slot / 2),
        at_y=_place(at_y),
        name=name,
        label=short if labelled else "",
        text=written(number),
    )


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers from below `low` to above `high`, about five of them."""
    if low == high:
        high = low + 1.0
    raw = (high - low) / _TICKS
    power: float = 10.0 ** floor(log10(raw))
    step = next(each * power for each in (1.0, 2.0, 2.5, 5.0, 10.0) if each * power >= raw * 0.999)
    first, last = floor(low / step), ceil(high / step)
    return [index * step for index in range(first, last + 1)]


def _place(number: float) -> str:
    return f"{number:.1f}"
