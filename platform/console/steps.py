"""From events to steps: what a run did, each with its beginning and its end. Pure.

A step stands where it began and is named by the number of the event that opened it, so a page of the timeline is a
range of numbers whatever is still open.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from agents.core.lifecycle import TERMINAL
from audit.journal import Stored

#: action → (kind of step, the fact that tells its end).
OPENS: Final[dict[str, tuple[str, str]]] = {
    "model.requested": ("model", "turn"),
    "tool.requested": ("tool", "call_id"),
    "decision.requested": ("people", "escalation"),
    "child.started": ("run", "run"),
    "run.waiting": ("wait", ""),
}

#: action → the action whose step it ends.
CLOSES: Final[dict[str, str]] = {
    "model.answered": "model.requested",
    "model.failed": "model.requested",
    "tool.finished": "tool.requested",
    "tool.failed": "tool.requested",
    "tool.unknown": "tool.requested",
    "tool.compensated": "tool.requested",
    "decision.made": "decision.requested",
    "decision.expired": "decision.requested",
    "child.finished": "child.started",
    "run.resumed": "run.waiting",
}

#: What a step of a single event is, by the first part of its action.
KINDS: Final[dict[str, str]] = {"model": "model", "tool": "tool", "output": "check", "decision": "people"}

ENDINGS: Final = frozenset(f"run.{status}" for status in TERMINAL)


@dataclass(slots=True)
class Step:
    """One thing the run did.

    kind: model, tool, check, people, wait or run. opened, closed: its first and last event; the same one for a moment,
    and closed is None while it goes on.
    """

    kind: str
    opened: Stored
    closed: Stored | None
    events: list[Stored] = field(default_factory=list)

    @property
    def seq(self) -> int:
        """Return its number, by which links name it."""
        return self.opened.seq or 0

    @property
    def last_seq(self) -> int:
        """Return the number of its latest event."""
        return self.events[-1].seq or 0

    @property
    def start(self) -> datetime:
        """Return when it began."""
        return self.opened.at

    @property
    def end(self) -> datetime | None:
        """Return when it ended; None while it goes on."""
        return self.closed.at if self.closed else None

    @property
    def lasted(self) -> timedelta | None:
        """Return how long it took; None for a moment and for what goes on."""
        return None if self.closed is None or self.closed is self.opened else self.closed.at - self.opened.at

    @property
    def cut_short(self) -> bool:
        """Say whether it never ended but the run did."""
        return self.closed is not None and self.closed.action in ENDINGS and self.closed is not self.opened


def steps(events: Iterable[Stored]) -> list[Step]:
    """Return the steps that `events`, in order, tell of; those that only say that the run is parked are left out."""
    made: list[Step] = []
    going: dict[tuple[str, object], Step] = {}
    for event in events:
        opener = CLOSES.get(event.action)
        if event.action in OPENS:
            kind, name = OPENS[event.action]
            step = Step(kind, event, None, [event])
            going[event.action, event.facts.get(name)] = step
            made.append(step)
        elif opener and (found := going.pop((opener, event.facts.get(OPENS[opener][1])), None)):
            found.closed = event
            found.events.append(event)
        else:
            made.append(Step(KINDS.get(event.action.partition(".")[0], "run"), event, event, [event]))
        if event.action in ENDINGS:
            for step in going.values():
                step.closed = event
            going.clear()
    return [step for step in made if not _only_parks(step)]


def _only_parks(step: Step) -> bool:
    """Say whether the step tells nothing that another does not: a person is waited for, or the run goes on after it."""
    if step.opened.action == "run.waiting":
        return step.opened.facts.get("waiting_for") in {"decision", "child"}
    return step.opened.action == "run.resumed" and step.opened.facts.get("reason") != "lease_expired"


def between(found: Iterable[Step], after: int, upto: int) -> Iterator[Step]:
    """Yield the steps that began behind `after` and at or before `upto`."""
    return (step for step in found if after < step.seq <= upto)
