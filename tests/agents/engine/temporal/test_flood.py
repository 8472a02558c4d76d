"""A flood of one tenant's runs: another's, and one of higher priority, do not wait for all of them."""

import asyncio
from dataclasses import replace
from pathlib import Path

from django.conf import settings as installed
from pytest_django import Settings
from temporalio.service import RPCError

from agents.core.model import ModelAnswer, ModelRequest, Usage
from agents.engine.temporal import telling
from agents.engine.temporal.connection import connect
from agents.models import Run
from tests.agents.engine.temporal.server import dev_server
from tests.agents.engine.temporal.serving import serving
from tests.agents.engine.temporal.test_runs import until
from tests.worlds import World, world

FLOOD = 60

#: What docs/temporal.md says of fairness.
FAIR = [
    argument
    for value in (
        "matching.enableFairness=true",
        "matching.numTaskqueueReadPartitions=1",
        "matching.numTaskqueueWritePartitions=1",
    )
    for argument in ("--dynamic-config-value", value)
]


def answer(request: ModelRequest, *, timeout_s: float) -> ModelAnswer:
    return ModelAnswer(request.model, "end_turn", [{"type": "text", "text": "Yes."}], Usage(1, 1))


def started(of: World, run: Run) -> str:
    (event,) = [each for each in of.events(run.id) if each.action == "run.started"]
    return str(event.facts["at"])


async def tell_all(runs: list[Run]) -> None:
    """Tell Temporal of all of them, however busy the machine is: no worker is there yet that would."""
    client = await connect(installed.TEMPORAL)
    while runs:
        try:
            await telling.tell(client, telling.Told(runs[-1].id, runs[-1].tenant_id, runs[-1].priority))
            runs.pop()
        except RPCError:
            await asyncio.sleep(0.5)


def test_a_flood_of_one_tenant_does_not_hold_up_another(database: None, settings: Settings, tmp_path: Path) -> None:
    settings.ENGINE = "temporal"
    with dev_server(tmp_path, *FAIR) as server:
        settings.TEMPORAL = replace(settings.TEMPORAL, address=server.address)
        flooder, other = world(), world()
        for each in (flooder, other):
            each.define("caller", role="You answer.")
        flood = [flooder.submit("caller", {}) for _ in range(FLOOD)]
        urgent = flooder.submit("caller", {}, priority=80)
        one = other.submit("caller", {})
        asyncio.run(tell_all([one, urgent, *flood]))
        with serving(answer):
            until(lambda: all(flooder.run(run.id).ended_at for run in (*flood, urgent)), 120)
            until(lambda: bool(other.run(one.id).ended_at))
        order = sorted(started(flooder, run) for run in flood)

    assert sum(at < started(flooder, urgent) for at in order) < FLOOD / 2
    assert sum(at < started(other, one) for at in order) < FLOOD / 2
