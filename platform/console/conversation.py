"""A run as the conversation it was: what went in, what the model said and asked for, what came back. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from audit.journal import Stored
from console import wording
from console.events import data_of, pretty
from console.step_text import DECIDED

Json = Any

#: Longer texts are folded.
LINES: Final = 14


@dataclass(frozen=True, slots=True)
class Said:
    """One contribution. kind: input, model, call, result, people or check; form: `text` or `json`.

    seq: the event it stands in; hidden: whether there is something that is not shown.
    """

    seq: int
    kind: str
    who: str
    form: str
    value: str
    tone: str = ""
    hidden: str = ""

    @property
    def folded(self) -> bool:
        """Say whether it is long."""
        return self.value.count("\n") > LINES or len(self.value) > 100 * LINES


REDACTED: Final = "Your role sees that something was said, not what."
ERASED: Final = "What was said here has been erased."


def conversation(events: Iterable[Stored], people: Mapping[str, str], *, payloads: bool) -> list[Said]:
    """Return who said what in these events, in order."""
    return [said for event in events for said in _of(event, people, payloads=payloads)]


def _of(event: Stored, people: Mapping[str, str], *, payloads: bool) -> Iterator[Said]:
    if event.action not in _TELLS:
        return
    kind, who = _TELLS[event.action]
    name = who.format(
        tool=event.facts.get("tool") or "the tool",
        by=people.get(str(event.facts.get("by") or event.actor), "a person"),
    )
    hidden = ERASED if event.erased else "" if payloads else REDACTED
    if hidden:
        yield Said(event.seq or 0, kind, name, "text", "", hidden=hidden)
        return
    yield from _shown(event, kind, name, data_of(event, payloads=True))


def _shown(event: Stored, kind: str, name: str, data: Mapping[str, Json]) -> Iterator[Said]:
    seq = event.seq or 0
    match event.action:
        case "run.submitted":
            yield _said(seq, kind, name, data.get("input"))
        case "model.answered":
            for block in data.get("content") or ():
                yield from _block(seq, block)
        case "tool.finished" | "tool.compensated":
            yield _said(seq, kind, name, data.get("result"))
        case "output.rejected":
            yield _said(seq, kind, name, data.get("errors"), tone="bad")
        case "decision.requested":
            yield _said(seq, kind, name, data.get("detail"), tone="open")
        case "run.guided":
            yield _said(seq, kind, name, data.get("message"))
        case "run.retried":
            yield _said(seq, kind, name, data.get("messages"))
        case "output.accepted":
            yield _said(seq, kind, name, data.get("output"), tone="good")
        case "decision.undone":
            yield _said(seq, kind, name, "")
        case "decision.made" | "decision.answered":
            verb = DECIDED.get(str(data.get("decision")), "Decided")
            yield _said(seq, kind, f"{verb} by {name}", data.get("message") or data.get("reason") or "")
        case _:
            yield _said(seq, kind, name, data.get("error") or wording.code(str(data.get("code") or "")), tone="bad")


def _block(seq: int, block: Json) -> Iterator[Said]:
    match block:
        case {"type": "text", "text": str(text)} if text.strip():
            yield Said(seq, "model", "The agent", "text", text)
        case {"type": "tool_use", "name": str(name), "input": asked}:
            yield _said(seq, "call", f"The agent asks for {name}", asked)


def _said(seq: int, kind: str, who: str, value: Json, *, tone: str = "") -> Said:
    text = value if isinstance(value, str) else "" if value is None else pretty(value)
    return Said(seq, kind, who, "text" if isinstance(value, str) else "json", text, tone)


#: action → (kind, who speaks).
_TELLS: Final[Mapping[str, tuple[str, str]]] = {
    "run.submitted": ("input", "Input of the run"),
    "model.answered": ("model", "The agent"),
    "tool.finished": ("result", "{tool} answered"),
    "tool.failed": ("result", "{tool} failed"),
    "tool.denied": ("result", "{tool} was not called"),
    "tool.unknown": ("result", "{tool}: nobody knows whether it took effect"),
    "tool.compensated": ("result", "{tool} undid an earlier call"),
    "output.rejected": ("check", "The output was sent back"),
    "decision.requested": ("people", "A person is asked"),
    "decision.made": ("people", "{by}"),
    "decision.answered": ("people", "{by}"),
    "decision.undone": ("people", "An answer was taken back by {by}"),
    "output.accepted": ("check", "The output was accepted"),
    "run.guided": ("people", "{by} guides the agent"),
    "run.retried": ("input", "What another run did, carried on from"),
}

ICONS: Final[Mapping[str, str]] = {
    "input": "log-in",
    "model": "sparkles",
    "call": "arrow-right",
    "result": "wrench",
    "people": "user-check",
    "check": "badge-check",
}

#: The kind of step, which has the colour.
COLOURS: Final[Mapping[str, str]] = {
    "input": "run",
    "model": "model",
    "call": "model",
    "result": "tool",
    "people": "people",
    "check": "check",
}


@dataclass(frozen=True, slots=True)
class Line:
    """A contribution, ready to render."""

    said: Said
    icon: str
    colour: str


def lines(said: Iterable[Said]) -> list[Line]:
    """Return them with their pictures."""
    return [Line(each, ICONS[each.kind], COLOURS[each.kind]) for each in said]
