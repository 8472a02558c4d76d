"""What an auditor asks, and the field of which event answers it: docs/compliance.md, "What a record holds"."""

from dataclasses import fields
from pathlib import Path
from typing import Final

import pytest

from agents.core.events import BY_ACTION
from audit.verify.leaves import FIELDS

#: What every record says by itself, whatever its type: who, what, on what, when, outcome, trace.
OF_EVERY_RECORD: Final = ("actor", "action", "stream", "subject", "at", "seq", "outcome", "commitment", "tenant")

#: What is asked → the event types that answer it, with the field; whether it is of people, and erasable.
ANSWERS: Final[dict[str, tuple[tuple[str, str, bool], ...]]] = {
    "who": (
        ("run.submitted", "principal", False),
        ("run.submitted", "requested_by", False),
        ("decision.made", "by", False),
    ),
    "on what": (
        ("tool.requested", "arguments", True),
        ("tool.finished", "result", True),
        ("run.submitted", "input", True),
    ),
    "why: rule": (
        ("decision.requested", "rule", False),
        ("decision.requested", "reason", False),
        ("tool.denied", "code", False),
    ),
    "why: rules broken": (("output.rejected", "code", False), ("output.rejected", "errors", True)),
    "why: policy version": (("decision.requested", "digest", True), ("decision.made", "digest", True)),
    "why: rationale": (
        ("model.answered", "content", True),
        ("decision.made", "reason", True),
        ("decision.made", "message", True),
    ),
    "taint": (
        ("tool.finished", "untrusted", False),
        ("tool.failed", "untrusted", False),
        ("run.submitted", "untrusted", False),
    ),
    "model": (("model.requested", "model", False), ("model.answered", "model", False)),
    "prompt": (("run.submitted", "agent", False), ("run.submitted", "version", False)),
    "tool version": tuple(
        (f"tool.{each}", "version", False) for each in ("requested", "finished", "failed", "unknown")
    ),
    "trace": (("model.answered", "request_id", False), ("run.submitted", "parent", False)),
    "idempotency": (("tool.requested", "idempotency_key", False),),
    "approvers": (("decision.made", "by", False), ("decision.requested", "required", False)),
}


def test_every_record_has_what_is_asked_of_every_record() -> None:
    assert set(OF_EVERY_RECORD) <= FIELDS


@pytest.mark.parametrize("asked", ANSWERS)
def test_what_is_asked_is_answered_by_these_fields(asked: str) -> None:
    for action, name, erasable in ANSWERS[asked]:
        event = BY_ACTION[action]
        assert name in {each.name for each in fields(event)}, (action, name)
        assert (name in event.erasable) is erasable, (action, name)


def test_each_type_of_event_has_a_version_and_says_how_it_ended() -> None:
    for action, event in BY_ACTION.items():
        assert event.v >= 1
        assert event.outcome in ("ok", "denied", "failed")
        assert {"arguments", "content", "error", "input", "message", "output", "result"} & {
            each.name for each in fields(event)
        } <= event.erasable, f"{action} tells of people for ever"


def test_the_manual_names_each_of_these_fields() -> None:
    manual = Path("docs/compliance.md").read_text()
    table = manual.partition("## What a record holds")[2].partition("\n## ")[0]

    for answers in ANSWERS.values():
        for action, name, _ in answers:
            assert f"`{name}`" in table, (action, name)
