"""The form of events in the journal, and back."""

from collections.abc import Callable, Mapping
from dataclasses import fields

from agents.core.events import budget, child, decision, model, output, run, tool
from agents.core.events.event import Event, Json
from audit.source import FACTS

#: Where event types are defined: all are known here once these are imported.
ROOMS = (run, model, tool, child, output, decision, budget)

#: Every event type by its name in the journal.
BY_ACTION: dict[str, type[Event]] = {cls.action: cls for cls in Event.__subclasses__()}

#: (action, version) → function from that version's data to the next one's.
UPCASTERS: dict[tuple[str, int], Callable[[dict[str, Json]], dict[str, Json]]] = {}


class UnknownEvent(Exception):
    """The journal holds an event of a type, version or field this release does not know."""


def _split(cls: type[Event]) -> tuple[tuple[tuple[str, Json], ...], tuple[tuple[str, Json], ...]]:
    """Return (name, default) of the class's facts and of its erasable fields."""
    named = [(field.name, field.default) for field in fields(cls)]
    return (
        tuple(pair for pair in named if pair[0] not in cls.erasable),
        tuple(pair for pair in named if pair[0] in cls.erasable),
    )


_SPLIT = {cls: _split(cls) for cls in BY_ACTION.values()}


def facts_and_payload(event: Event) -> tuple[dict[str, Json], dict[str, Json] | None]:
    """Return the event's two parts; fields at their default are left out. payload is None when nothing is erasable."""
    facts, erasable = _SPLIT[type(event)]
    payload = {name: value for name, default in erasable if (value := getattr(event, name)) is not default}
    return (
        {name: value for name, default in facts if (value := getattr(event, name)) is not default},
        payload if erasable else None,
    )


def event_of(action: str, v: int, facts: Mapping[str, Json], payload: Mapping[str, Json] | None) -> Event:
    """Return the event that a stored record tells, brought up to this release's version.

    Raises `UnknownEvent`; `TypeError` when a needed payload was erased.
    """
    cls = BY_ACTION.get(action)
    if cls is None or v > cls.v:
        raise UnknownEvent(f"{action} version {v}")
    data = {**own_facts(action, facts), **(payload or {})}
    for version in range(v, cls.v):
        data = UPCASTERS[action, version](data)
    try:
        return cls(**data)
    except TypeError as error:
        if unknown := data.keys() - _names(cls):
            raise UnknownEvent(f"{action} with {', '.join(sorted(unknown))}") from error
        raise


def own_facts(action: str, facts: Mapping[str, Json]) -> dict[str, Json]:
    """Return the facts of the event itself, without those of the request that it was written in (`audit.source`)."""
    cls = BY_ACTION.get(action)
    sources = FACTS - _names(cls) if cls else FACTS
    return {name: value for name, value in facts.items() if name not in sources}


def _names(cls: type[Event]) -> set[str]:
    return {field.name for field in fields(cls)}
