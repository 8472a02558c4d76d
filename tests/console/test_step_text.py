"""Every event of a run has words, with and without what concerns people."""

from dataclasses import fields
from typing import Any
from uuid import uuid4

import pytest

from agents.core.events import BY_ACTION, Event, facts_and_payload
from audit.journal import Stored
from console.step_detail import ERASED, REDACTED, detail_of
from console.step_text import TEXTS, text_of
from console.steps import steps
from tests.console.test_steps import BEGIN

SECRET = "secret-words"


def example(cls: type[Event]) -> Event:
    """Return an event with something in every field; what can be erased holds the secret."""
    return cls(**{field.name: value(cls, field.name, str(field.type)) for field in fields(cls)})


def value(cls: type[Event], name: str, kind: str) -> Any:
    if name == "guard":
        return [{"finder": "email", "then": "mask", "count": 2}]
    if "Sequence[collections" in kind or "Sequence[typing" in kind:
        return [{"message": SECRET}]
    if "Sequence" in kind:
        return ["approve"]
    if "Mapping" in kind:
        return {"tool": SECRET}
    if "Any" in kind:
        return {"secret": SECRET}
    if "bool" in kind or "int" in kind:
        return "bool" in kind or 7
    return SECRET if name in cls.erasable else "plain_code"


def stored(event: Event, *, erased: bool = False) -> Stored:
    facts, payload = facts_and_payload(event)
    return Stored(uuid4(), 1, BEGIN, 1, event.action, "engine", None, "ok", facts, None if erased else payload, erased)


@pytest.mark.parametrize("action", sorted(BY_ACTION))
def test_every_event_has_words_of_its_own(action: str) -> None:
    assert action in TEXTS


@pytest.mark.parametrize("cls", BY_ACTION.values(), ids=lambda cls: cls.action)
def test_nothing_erasable_shows_without_payloads(cls: type[Event]) -> None:
    for step in steps([stored(example(cls))]):
        detail = detail_of(step, {}, payloads=False)
        assert "secret" not in repr((text_of(step, {}, payloads=False), detail))
        assert detail.notice == (REDACTED if cls.erasable else "")


@pytest.mark.parametrize("cls", [cls for cls in BY_ACTION.values() if cls.erasable], ids=lambda cls: cls.action)
def test_erased_event_still_has_words_and_says_so(cls: type[Event]) -> None:
    for step in steps([stored(example(cls), erased=True)]):
        assert text_of(step, {}, payloads=True).title
        assert detail_of(step, {}, payloads=True).notice == ERASED


def test_detail_shows_what_was_said_passed_and_returned() -> None:
    event = example(BY_ACTION["tool.requested"])
    [step] = steps([stored(event)])
    sections = {section.label: section.value for section in detail_of(step, {}, payloads=True).sections}
    assert sections == {"Arguments": '{\n  "secret": "secret-words"\n}'}


def test_what_guards_found_is_told_by_name_and_number() -> None:
    [step] = steps([stored(example(BY_ACTION["output.accepted"]))])
    assert ("guard", "email: mask (2)") in detail_of(step, {}, payloads=False).facts


def test_person_is_named_where_known() -> None:
    event = BY_ACTION["run.cancel_requested"](by="user:1")  # type: ignore[call-arg]
    [step] = steps([stored(event)])
    assert text_of(step, {"user:1": "ada@acme.example"}, payloads=True).note == "by ada@acme.example"
