"""The rate of model calls is held over all workers, by the rate of a task queue that all of them poll."""

import time
from dataclasses import replace
from typing import Any

from pytest_django import Settings

from agents.core.model import ModelAnswer, ModelRequest, Usage
from tests.agents.engine.temporal.serving import serving
from tests.agents.engine.temporal.test_runs import until
from tests.worlds import World

Json = Any

CALLS = 12
PER_SECOND = 2


def test_two_workers_together_keep_to_the_rate(acme: World, on_temporal: None, settings: Settings) -> None:
    settings.TEMPORAL = replace(settings.TEMPORAL, model_rate=(PER_SECOND, 1), task_queue=f"rate-{acme.slug}")
    acme.define("caller", role="You answer.")
    at: list[float] = []

    def answer(request: ModelRequest, *, timeout_s: float) -> ModelAnswer:
        at.append(time.monotonic())
        return ModelAnswer(request.model, "end_turn", [{"type": "text", "text": "Yes."}], Usage(1, 1))

    with serving(answer), serving(answer):
        runs = [acme.submit("caller", {}) for _ in range(CALLS)]
        until(lambda: all(acme.run(run.id).status == "completed" for run in runs), 120)

    assert len(at) == CALLS
    # As many at once as the server lets through after a pause, then one by one.
    assert max(at) - min(at) >= (CALLS - 2 * PER_SECOND) / PER_SECOND / 2
