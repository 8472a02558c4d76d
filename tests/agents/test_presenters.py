"""Events as people see them: exact values disclosed, others left alone."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from agents.core.exact import enclose
from agents.presenters import event_json, proposal_json
from audit.journal import Stored

VALUES = [{"a": {"json": 1}}, {"a": {"json": "not json"}}, {"json": "x"}, {"n": 1.0}, [1, 2.5], "text", None]


def stored(**payload: object) -> Stored:
    at = datetime(2026, 11, 1, tzinfo=UTC)
    return Stored(UUID(int=1), 1, at, 1, "run.submitted", "user:1", None, "ok", {"version": 1}, payload, False)


@pytest.mark.parametrize("value", VALUES)
def test_an_input_is_shown_as_it_was_given(value: object) -> None:
    shown = event_json(stored(input=enclose(value)), payloads=True)
    assert shown["data"]["input"] == value


@pytest.mark.parametrize("value", VALUES)
def test_the_parts_of_a_proposal_are_shown_as_they_were_given(value: object) -> None:
    assert proposal_json({"tool": "pay", "arguments": enclose(value)}) == {"tool": "pay", "arguments": value}


def test_who_may_not_see_payloads_sees_that_there_is_one() -> None:
    shown = event_json(stored(input={"name": "Ada"}), payloads=False)
    assert shown["data"] == {"version": 1, "input": None}
