"""One step in full: its facts, and what was said, passed and returned. Pure."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from agents.core.events import BY_ACTION
from agents.core.money import to_usd
from audit.journal import Stored
from console import wording
from console.events import data_of, pretty
from console.step_text import ICONS, Text, text_of
from console.steps import Step

Data = Mapping[str, Any]

REDACTED: Final = "Your role sees that this happened, not what was said or passed."
ERASED: Final = "What was said here has been erased. The record and its proofs stay."

#: How facts of model calls are called in OpenTelemetry's conventions, which people look for.
TRACE_NAMES: Final[Mapping[str, str]] = {
    "model": "gen_ai.request.model",
    "stop_reason": "gen_ai.response.finish_reasons",
    "input_tokens": "gen_ai.usage.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
    "cache_read_input_tokens": "gen_ai.usage.cache_read.input_tokens",
    "cache_creation_input_tokens": "gen_ai.usage.cache_creation.input_tokens",
    "tool": "gen_ai.tool.name",
    "call_id": "gen_ai.tool.call.id",
}

#: What the parts of an event that can be erased are called.
LABELS: Final[Mapping[str, str]] = {
    "input": "Input",
    "output": "Output",
    "arguments": "Arguments",
    "result": "Result",
    "error": "Error",
    "errors": "What is wrong with it",
    "detail": "Why",
    "suggestion": "What to do",
    "proposal": "What is proposed",
    "reason": "Reason",
    "message": "Answer",
    "stop_details": "Why the model stopped",
}


@dataclass(frozen=True, slots=True)
class Section:
    """One part. form: `text` or `json`; folded: shut until asked for."""

    label: str
    form: str
    value: str
    folded: bool = False


@dataclass(frozen=True, slots=True)
class Detail:
    """notice: why something is not shown, or nothing."""

    seq: int
    kind: str
    icon: str
    text: Text
    started: str
    lasted: str
    facts: list[tuple[str, str]]
    sections: list[Section]
    notice: str
    events: list[int]


def detail_of(step: Step, people: Mapping[str, str], *, payloads: bool) -> Detail:
    """Return what the panel beside the timeline shows of a step."""
    hides = any(BY_ACTION[event.action].erasable for event in step.events if event.action in BY_ACTION)
    erased = any(event.erased for event in step.events)
    return Detail(
        seq=step.seq,
        kind=step.kind,
        icon=ICONS[step.kind],
        text=text_of(step, people, payloads=payloads),
        started=wording.clock(step.start),
        lasted=wording.duration(step.lasted) if step.lasted is not None else "",
        facts=list(_facts(step, people)),
        sections=[section for event in step.events for section in _sections(event)] if payloads else [],
        notice=ERASED if erased and payloads else REDACTED if hides and not payloads else "",
        events=[event.seq or 0 for event in step.events],
    )


def _facts(step: Step, people: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    merged: dict[str, Any] = {}
    for event in step.events:
        merged |= event.facts
    for name, value in merged.items():
        if value is None or value == "":
            continue
        if name.endswith("_nano"):
            yield f"{name.removesuffix('_nano')}, USD" if name != "usd_nano" else "USD", to_usd(value)
        elif name == "guard":
            yield name, ", ".join(f"{each['finder']}: {each['then']} ({each['count']})" for each in value)
        elif isinstance(value, list):
            yield name, ", ".join(map(str, value))
        elif isinstance(value, int) and not isinstance(value, bool):
            yield TRACE_NAMES.get(name, name), f"{value:,}"
        else:
            yield TRACE_NAMES.get(name, name), people.get(str(value), str(value))


def _sections(event: Stored) -> Iterator[Section]:
    data = data_of(event, payloads=True)
    for name, value in data.items():
        if name in event.facts or value is None or value == "":
            continue
        if name == "content":
            yield from _content(value)
        elif name in LABELS:
            yield _section(LABELS[name], value)


def _content(blocks: Any) -> Iterator[Section]:
    for block in blocks if isinstance(blocks, list) else [blocks]:
        match block:
            case {"type": "text", "text": str(text)}:
                yield _said(text)
            case {"type": "thinking", "thinking": str(text)} if text:
                yield Section("Thought", "text", text, folded=True)
            case {"type": "tool_use", "name": str(name), "input": asked}:
                yield _section(f"Asks for {name}", asked)
            case _:
                kind = block.get("type", "content") if isinstance(block, Mapping) else "content"
                yield Section(wording.code(str(kind)).capitalize(), "json", pretty(block), folded=True)


def _said(text: str) -> Section:
    try:
        value = json.loads(text)
    except ValueError:
        return Section("Said", "text", text)
    return Section("Said", "json", pretty(value)) if isinstance(value, dict | list) else Section("Said", "text", text)


def _section(label: str, value: Any) -> Section:
    return Section(label, "text", value) if isinstance(value, str) else Section(label, "json", pretty(value))
