"""A run's steps as rows of a timeline, against one axis of time. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from agents.core.events import Json
from console import wording
from console.step_text import ICONS, text_of
from console.steps import Step

#: Distances between two marks of the axis, in seconds.
MARKS: Final = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 43200, 86400, 604800)
MOST_MARKS: Final = 5

#: The narrowest bar, in percent: a moment must be seen too.
NARROWEST: Final = 0.6

_TOKENS: Final = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


@dataclass(frozen=True, slots=True)
class Axis:
    """The time the timeline spans."""

    start: datetime
    end: datetime

    @property
    def length_ms(self) -> float:
        """Return the span in milliseconds, never 0."""
        return max((self.end - self.start) / timedelta(milliseconds=1), 1.0)

    def at(self, moment: datetime) -> float:
        """Return where a moment lies, in percent."""
        share = (moment - self.start) / timedelta(milliseconds=1) / self.length_ms
        return round(min(max(share, 0.0), 1.0) * 100, 2)

    def marks(self) -> list[tuple[float, str]]:
        """Return (percent, words) of the axis's marks."""
        seconds = self.length_ms / 1000
        each = next((mark for mark in MARKS if seconds / mark <= MOST_MARKS), seconds / MOST_MARKS)
        return [
            (round(place * each / seconds * 100, 2), _mark(place * each)) for place in range(int(seconds / each) + 1)
        ]


def _mark(seconds: float) -> str:
    if seconds < 1:
        return "0" if seconds == 0 else f"{seconds * 1000:.0f} ms"
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the timeline, ready to render.

    start_ms, end_ms: since the axis begins, for redrawing; end_ms is None while the step goes on. x, width: of the bar,
    in percent.
    """

    seq: int
    kind: str
    icon: str
    indent: int
    title: str
    note: str
    tone: str
    goes_on: bool
    start_ms: int
    end_ms: int | None
    x: float
    width: float
    lasted: str
    tokens: str
    cost: str


def rows(found: Iterable[Step], axis: Axis, people: Mapping[str, str], *, payloads: bool) -> list[Row]:
    """Return the rows of `found` in their order."""
    return [_row(step, axis, people, payloads=payloads) for step in found]


def _row(step: Step, axis: Axis, people: Mapping[str, str], *, payloads: bool) -> Row:
    text, facts = text_of(step, people, payloads=payloads), step.events[-1].facts
    x = axis.at(step.start)
    width = max(axis.at(step.end or axis.end) - x, NARROWEST)
    return Row(
        seq=step.seq,
        kind=step.kind,
        icon=ICONS[step.kind],
        indent={"run": 0, "wait": 0, "model": 1}.get(step.kind, 2),
        title=text.title,
        note=text.note,
        tone=text.tone,
        goes_on=step.closed is None,
        start_ms=_ms(step.start, axis),
        end_ms=_ms(step.end, axis) if step.end else None,
        x=min(x, 100 - NARROWEST),
        width=round(width, 2),
        lasted=wording.duration(step.lasted) if step.lasted is not None else "",
        tokens=_tokens(facts) if step.kind == "model" else "",
        cost=wording.usd(facts["cost_nano"]) if step.kind == "model" and facts.get("cost_nano") else "",
    )


def _ms(moment: datetime, axis: Axis) -> int:
    return round((moment - axis.start) / timedelta(milliseconds=1))


def _tokens(facts: Mapping[str, Json]) -> str:
    used = sum(facts.get(name, 0) for name in _TOKENS)
    return wording.count(used) if used else ""
