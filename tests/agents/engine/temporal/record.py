"""Record this release's histories for `test_replay`: `pytest` this file by its name (see `histories/README.md`)."""

import asyncio
import json
import re
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from pytest_django import Settings
from temporalio.client import WorkflowHistory

from agents.actions.runs import cancel
from agents.engine.temporal.connection import connect
from agents.engine.temporal.engine import Temporal
from agents.models import Run
from db.scope import tenant_scope
from tests.agents.engine.temporal.histories import chain
from tests.agents.engine.temporal.scripted import Stage, held_before_its_line, woken_before_its_line
from tests.agents.engine.temporal.server import dev_server
from tests.agents.engine.temporal.serving import rehearsed, serving
from tests.agents.engine.temporal.test_history import one_call_a_turn
from tests.agents.engine.temporal.test_replay import HISTORIES
from tests.agents.engine.temporal.test_runs import approve, until
from tests.journals.record import release
from tests.worlds import LOOKUP, PAY, World

Scene = Callable[[World, str], Run]

#: Permits for model calls of the scenes that wait for them: (calls, seconds).
SLOWLY = (1, 8)

#: Said so that the server holds that rate in one place, not a quarter of it in four.
IN_ONE_PLACE = ("matching.numTaskqueueReadPartitions=1", "matching.numTaskqueueWritePartitions=1")

#: Said in place of the number of events after which the server suggests to go on in a new history.
SOON = "limit.historyCount.suggestContinueAsNew=60"


def parallel_calls(acme: World, model_url: str) -> Run:
    """Two calls at once, to the end."""
    with serving(rehearsed(model_url)):
        acme.define("looker", role="You look keys up.", tool_specs={"lookup": LOOKUP})
        return ended(acme, acme.submit("looker", {"a": "a", "b": "b"}))


def approval(acme: World, model_url: str) -> Run:
    """It waits for a person, and is woken."""
    with serving(rehearsed(model_url)):
        acme.define("payer", role="You pay.", tool_specs={"pay": PAY})
        run = acme.submit("payer", {"to": acme.slug})
        until(lambda: acme.run(run.id).waiting_for == "decision")
        time.sleep(2.0)
        approve(acme, acme.run(run.id))
        return ended(acme, run)


def overloaded(acme: World, model_url: str) -> Run:
    """It waits for the supplier, by a timer."""
    with serving(rehearsed(model_url)):
        acme.define("busy", role="You are overloaded.")
        return ended(acme, acme.submit("busy", {}))


def cancelled(acme: World, model_url: str) -> Run:
    """It is woken in the middle of a step, which goes on."""
    with serving(rehearsed(model_url)):
        acme.define("slow", role="You are slow.")
        run = acme.submit("slow", {})
        until(lambda: "model.requested" in acme.actions(run.id))
        time.sleep(1.0)
        cancel(run.id, acting_as=acme.alice)
        return ended(acme, run)


def given_back(acme: World, model_url: str) -> Run:
    """Its worker stops, and another one takes it up."""
    acme.define("looker", role="You look up twice.", tool_specs={"lookup": LOOKUP})
    with serving(rehearsed(model_url)) as first:
        run = acme.submit("looker", {"a": "a", "b": "b"})
        until(lambda: len(first.hands) == 1)
    with serving(rehearsed(model_url)):
        return ended(acme, run)


def lost_worker(acme: World, model_url: str) -> Run:
    """Its worker forgets it in the middle, and its lease is waited for."""
    acme.define("looker", role="You look up twice.", tool_specs={"lookup": LOOKUP})
    with serving(rehearsed(model_url)) as worker:
        run = acme.submit("looker", {"a": "a", "b": "b"})
        until(lambda: "tool.finished" in acme.actions(run.id))
        worker.hands.drop(run.id)
        return ended(acme, run)


def went_on(acme: World, model_url: str) -> Run:
    """It goes on in a second history."""
    acme.define("long", role="You are long.", tool_specs={"lookup": LOOKUP}, limits={"turns": 100, "tool_calls": 100})
    with serving(one_call_a_turn(8)):
        return ended(acme, acme.submit("long", {}))


def paced(acme: World, model_url: str) -> Run:
    """It is woken while it waits for a permit, and goes on waiting."""
    with serving(rehearsed(model_url)):
        run = in_line(acme)
        with tenant_scope(acme.tenant_id):
            Temporal().wake(run.id)
        return ended(acme, run)


def withdrawn(acme: World, model_url: str) -> Run:
    """It is cancelled while it waits for a permit."""
    with serving(rehearsed(model_url)):
        run = in_line(acme)
        cancel(run.id, acting_as=acme.alice)
        return ended(acme, run)


def in_line(acme: World) -> Run:
    """Return a run that waits for its second permit."""
    acme.define("looker", role="You look keys up.", tool_specs={"lookup": LOOKUP})
    run = acme.submit("looker", {"a": "a", "b": "b"})
    until(lambda: acme.actions(run.id).count("model.requested") == 2)
    time.sleep(1.0)
    return run


def ended(acme: World, run: Run) -> Run:
    """Wait for the end of the run and of its workflow."""
    until(lambda: bool(acme.run(run.id).ended_at), 150)
    until(lambda: chain(run.id)[-1].events[-1].HasField("workflow_execution_completed_event_attributes"))
    return acme.run(run.id)


@pytest.mark.parametrize(
    "scene",
    [parallel_calls, approval, overloaded, cancelled, given_back, lost_worker, went_on, paced, withdrawn],
    ids=lambda s: s.__name__,
)
def test_it_is_recorded(
    scene: Scene, acme: World, settings: Settings, model_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.ENGINE = "temporal"
    monkeypatch.setattr(socket, "gethostname", lambda: "host")
    rate = SLOWLY if scene in {paced, withdrawn} else None
    said = (SOON,) if scene is went_on else IN_ONE_PLACE if rate else ()
    with dev_server(tmp_path, *(option for each in said for option in ("--dynamic-config-value", each))) as server:
        settings.TEMPORAL = replace(settings.TEMPORAL, address=server.address, model_rate=rate)
        run: UUID = scene(acme, model_url).id
        found = chain(run)
    keep(scene.__name__, found)


@pytest.mark.parametrize("scene", [woken_before_its_line, held_before_its_line], ids=lambda s: s.__name__)
def test_what_is_played_is_recorded(
    scene: Callable[[Stage], Awaitable[Any]], settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def play() -> None:
        await scene(Stage(await connect(settings.TEMPORAL), run_id))

    run_id = uuid4()
    monkeypatch.setattr(socket, "gethostname", lambda: "host")
    with dev_server(tmp_path) as server:
        settings.TEMPORAL = replace(settings.TEMPORAL, address=server.address)
        asyncio.run(play())
        keep(scene.__name__, chain(run_id))


def keep(scene: str, found: list[WorkflowHistory]) -> None:
    """Write the histories of a scene, without the names of where they were made."""
    folder = HISTORIES / release()
    folder.mkdir(parents=True, exist_ok=True)
    for number, history in enumerate(found, 1):
        name = scene.replace("_", "-") + (f"-{number}" if len(found) > 1 else "")
        text = json.dumps(json.loads(history.to_json()), separators=(",", ":"))
        text = re.sub(r'"identity":"[^"]*"', '"identity":"worker"', text)
        (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")
