"""The rate of model calls is held over all workers, by the rate of a task queue that all of them poll."""

import time
from dataclasses import replace
from typing import Any

import pytest
from pytest_django import Settings

from agents.actions.runs import cancel
from agents.core.model import ModelAnswer, ModelRequest, Usage
from agents.engine.temporal import worker
from agents.engine.temporal.engine import Temporal
from agents.models import Run
from tests.agents.engine.temporal.serving import Answer, serving
from tests.agents.engine.temporal.test_history import one_call_a_turn
from tests.agents.engine.temporal.test_runs import until
from tests.worlds import LOOKUP, World

Json = Any

#: More runs than the server lets through at once, wherever in it they are in line.
RUNS = 8

#: So slow that no permit comes again while a test lasts.
NEVER = (1, 3600)

CALLS = 12
PER_SECOND = 2


BOOK: Json = {
    **LOOKUP,
    "effect": "write",
    "idempotent": True,
    "compensate_with": {"tool": "unbook", "arguments": {"key": "'un' + result.key"}},
}
UNBOOK: Json = {**LOOKUP, "effect": "write"}


def noting(at: list[float]) -> Answer:
    """Return a model that notes when it is called."""

    def answer(request: ModelRequest, *, timeout_s: float) -> ModelAnswer:
        at.append(time.monotonic())
        return ModelAnswer(request.model, "end_turn", [{"type": "text", "text": "Yes."}], Usage(1, 1))

    return answer


def test_two_workers_together_keep_to_the_rate(acme: World, on_temporal: None, settings: Settings) -> None:
    settings.TEMPORAL = replace(settings.TEMPORAL, model_rate=(PER_SECOND, 1), task_queue=f"rate-{acme.slug}")
    acme.define("caller", role="You answer.")
    at: list[float] = []
    answer = noting(at)

    with serving(answer), serving(answer):
        runs = [acme.submit("caller", {}) for _ in range(CALLS)]
        until(lambda: all(acme.run(run.id).status == "completed" for run in runs), 120)

    assert len(at) == CALLS
    # As many at once as the server lets through after a pause, then one by one.
    assert max(at) - min(at) >= (CALLS - 2 * PER_SECOND) / PER_SECOND / 2


@pytest.mark.parametrize("told", [True, False], ids=["told", "not told"])
def test_a_run_that_is_cancelled_while_it_waits_for_a_permit_ends_without_the_call(
    told: bool, acme: World, on_temporal: None, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "FORGOTTEN_S", 60.0 if told else 4.0)
    settings.TEMPORAL = replace(settings.TEMPORAL, model_rate=NEVER, task_queue=f"rate-{acme.slug}")
    acme.define("caller", role="You answer.")
    at: list[float] = []

    with serving(noting(at)), serving(noting(at)):
        runs = [acme.submit("caller", {}) for _ in range(RUNS)]
        until(lambda: all("model.requested" in acme.actions(run.id) for run in runs))
        time.sleep(2.0)  # whoever has a permit makes the call
        in_line = [run for run in runs if acme.run(run.id).status == "running"]
        assert in_line
        if not told:
            monkeypatch.setattr(Temporal, "cancel", lambda *_: None)
        for run in in_line:
            cancel(run.id, acting_as=acme.alice)
        until(lambda: all(acme.run(run.id).ended_at for run in runs), 30)

    assert len(at) == len(runs) - len(in_line)
    for run in in_line:
        ends = ["run.cancel_requested", "model.failed", "budget.settled", "run.cancelled"]
        assert [acme.run(run.id).status, *acme.actions(run.id)[-4:]] == ["cancelled", *ends]
        assert acme.run(run.id).cost_nano == 0


def test_a_run_that_is_cancelled_while_it_waits_for_a_permit_undoes_what_it_did(
    acme: World, on_temporal: None, settings: Settings
) -> None:
    settings.TEMPORAL = replace(settings.TEMPORAL, task_queue=f"rate-{acme.slug}")
    acme.define("booker", role="You book.", tool_specs={"unbook": UNBOOK, "lookup": BOOK}, limits={"turns": 1000})
    with serving(one_call_a_turn(1000)):
        run = acme.submit("booker", {})
        until(lambda: "tool.finished" in acme.actions(run.id))
    settings.TEMPORAL = replace(settings.TEMPORAL, model_rate=NEVER)

    with serving(one_call_a_turn(1000)):
        until(lambda: stands_still(acme, run) and acme.actions(run.id)[-1] == "model.requested")
        cancel(run.id, acting_as=acme.alice)
        until(lambda: bool(acme.run(run.id).ended_at))

    actions = acme.actions(run.id)
    assert acme.run(run.id).status == "cancelled"
    assert actions.count("tool.compensated") == actions.count("tool.finished") > 0


def stands_still(acme: World, run: Run) -> bool:
    """Say whether nothing happens to the run for two seconds."""
    before = acme.actions(run.id)
    time.sleep(2.0)
    return acme.actions(run.id) == before
