"""A result larger than the model is shown: people find the whole of it, and the run goes on with what was cut."""

import json
from dataclasses import replace
from typing import Any

import pytest

from agents.core.decide import CallModel, Perform
from agents.engine import store
from agents.engine.driver import Driver
from agents.engine.executor import Means
from agents.tools.python import tool
from audit import journal
from db.scope import tenant_scope
from tests.agents.engine.test_leases import claim_and_begin, means
from tests.api.conftest import Answer, caller
from tests.worlds import LOOKUP, World

__all__ = ["means"]

ROWS = 6_000


def rows(key: str) -> list[dict[str, Any]]:
    return [{"key": key, "n": n, "share": n + 0.5, "text": "row \u00e9 " * 5} for n in range(ROWS)]


@tool("test_large")
def large(key: str) -> list[dict[str, Any]]:
    """Return more than the model is shown."""
    return rows(key)


SCHEMA = {"type": "array", "minItems": ROWS, "items": {"required": ["key", "n"]}}
LARGE = {**LOOKUP, "python": {"function": "test_large"}, "output_schema": SCHEMA}

#: Two heads are a long input: what an agent may spend at its default pays for no answer to both.
LIMITS = {"usd": "5"}


def events_of(answer: Answer) -> list[Any]:
    return [event for event in answer.json["results"] if event["type"] == "tool.finished"]


def test_the_model_goes_on_with_the_head_and_people_see_all(acme: World, driver: Driver, settles: Any) -> None:
    acme.define("looker", role="You look up twice.", tool_specs={"lookup": LARGE}, limits=LIMITS)
    run = acme.submit("looker", {"a": "one", "b": "two"})

    assert settles(acme, run.id).status == "completed"

    alice = caller(acme, acme.alice, "runs:read")
    first = alice.get(f"runs/{run.id}/events")
    rest = alice.get(f"runs/{run.id}/events?after={first.json['next'] or 10**6}")
    found = events_of(first) + events_of(rest)
    assert {event["data"]["whole"][0]["key"] for event in found} == {"one", "two"}
    for event in found:
        assert event["data"]["whole"] == rows(event["data"]["whole"][0]["key"])
        assert event["data"]["result"]["truncated"] is True
        assert len(event["data"]["result"]["head"]) < 256 * 1024
    hidden = events_of(caller(acme, acme.bob, "runs:read").get(f"runs/{run.id}/events"))
    assert {(event["data"]["result"], event["data"]["whole"]) for event in hidden} == {(None, None)}


def test_a_run_that_is_taken_up_again_is_loaded_without_the_whole(acme: World, means: Means) -> None:
    acme.define("looker", role="You look up twice.", tool_specs={"lookup": LARGE}, limits=LIMITS)
    run = acme.submit("looker", {"a": "one", "b": "two"})
    executor = claim_and_begin(means, run)
    command = executor.one_step(CallModel(1))
    assert isinstance(command, Perform)
    executor.one_step(replace(command, calls=command.calls[:1]))

    loaded = store.since(executor.run, 0)

    [finished] = [event for event in loaded if event.action == "tool.finished"]
    assert finished.result["truncated"] is True  # type: ignore[attr-defined]
    assert finished.whole is None  # type: ignore[attr-defined]
    assert max(len(json.dumps(vars_of(event), default=str)) for event in loaded) < journal.LARGE
    with tenant_scope(acme.tenant_id):
        [stored] = [each for each in journal.read(run.id, whole=True) if each.action == "tool.finished"]
    assert len(stored.payload["whole"]["json"]) > journal.LARGE


def vars_of(event: Any) -> dict[str, Any]:
    return {name: getattr(event, name) for name in event.__dataclass_fields__}


@pytest.mark.parametrize("wrong", [{"maxItems": 5}, {"items": {"required": ["nothing"]}}])
def test_the_schema_speaks_of_the_whole(acme: World, driver: Driver, settles: Any, wrong: dict[str, Any]) -> None:
    acme.define(
        "looker", role="You look up twice.", tool_specs={"lookup": {**LARGE, "output_schema": wrong}}, limits=LIMITS
    )
    run = acme.submit("looker", {"a": "one", "b": "two"})
    settles(acme, run.id)

    assert "tool.finished" not in acme.actions(run.id)
    assert "tool.failed" in acme.actions(run.id)
