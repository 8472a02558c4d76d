"""Every journal folds for ever: what a release wrote, all later ones read.

`journal.jsonl` holds each type of event as each version wrote it, once with what it must have and once with all it can.
Lines are added to it, and none is ever changed: a test that fails here wants a new version and an upcaster.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agents.core import events
from agents.core.events import BY_ACTION, UPCASTERS, Event, UnknownEvent, event_of, facts_and_payload

Json = Any

WRITTEN: list[Json] = [
    json.loads(line) for line in (Path(__file__).parent / "journal.jsonl").read_text(encoding="utf-8").splitlines()
]


@pytest.mark.parametrize("stored", WRITTEN, ids=lambda stored: f"{stored['action']} {stored['v']}")
def test_what_was_written_is_read(stored: Json) -> None:
    event = event_of(stored["action"], stored["v"], stored["facts"], stored["payload"])

    assert event.action == stored["action"]
    if stored["v"] == event.v:
        assert facts_and_payload(event) == (stored["facts"], stored["payload"])


def test_every_type_and_version_stands_there() -> None:
    assert {(stored["action"], stored["v"]) for stored in WRITTEN} == {
        (action, v) for action, kind in BY_ACTION.items() for v in range(1, kind.v + 1)
    }


def test_there_is_a_way_up_from_every_version() -> None:
    assert set(UPCASTERS) == {(action, v) for action, kind in BY_ACTION.items() for v in range(1, kind.v)}


def test_a_record_is_brought_up_version_by_version(monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclass(frozen=True, slots=True, kw_only=True)
    class Weighed(Event):
        action = "thing.weighed"
        v = 3
        grams: int

    monkeypatch.setitem(events.BY_ACTION, "thing.weighed", Weighed)
    monkeypatch.setitem(events.UPCASTERS, ("thing.weighed", 1), lambda data: {"kilograms": data["tons"] * 1000})
    monkeypatch.setitem(events.UPCASTERS, ("thing.weighed", 2), lambda data: {"grams": data["kilograms"] * 1000})

    read = [event_of("thing.weighed", v, {unit: 2}, None) for v, unit in ((1, "tons"), (2, "kilograms"), (3, "grams"))]

    assert read == [Weighed(grams=2_000_000), Weighed(grams=2000), Weighed(grams=2)]


def test_a_field_that_only_a_later_release_knows_is_refused_as_well() -> None:
    with pytest.raises(UnknownEvent, match="of_the_next_release"):
        event_of("run.started", 1, {"epoch": 1, "at": "", "of_the_next_release": 1}, None)


def test_a_payload_that_was_erased_is_no_matter_of_releases() -> None:
    facts = next(each["facts"] for each in WRITTEN if each["action"] == "tool.unknown")
    with pytest.raises(TypeError):
        event_of("tool.unknown", 1, facts, None)


@pytest.mark.parametrize(("action", "v"), [("run.started", 99), ("run.invented", 1)])
def test_what_only_a_later_release_knows_is_refused(action: str, v: int) -> None:
    with pytest.raises(UnknownEvent):
        event_of(action, v, {}, None)


def test_what_the_journal_says_of_the_request_is_no_part_of_an_event() -> None:
    via, trace = "key:01a201f7-488c-7312-915a-d008fc86246e", "4bf92f3577b34da6a3ce929d0e0e4736"

    event = event_of("run.cancel_requested", 1, {"by": "user:u", "via": via, "trace": trace}, None)

    assert facts_and_payload(event) == ({"by": "user:u"}, None)
