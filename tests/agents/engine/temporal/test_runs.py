"""Runs that Temporal dispatches: claimed, performed step by step, parked, woken, ended."""

from collections.abc import Callable
from uuid import UUID

from agents.engine.temporal.worker import TemporalWorker
from agents.models import Run
from tests.worlds import LEDGER, LOOKUP, World

Settles = Callable[[World, UUID], Run]


def test_it_completes_a_run_with_parallel_calls(acme: World, worker: TemporalWorker, settles: Settles) -> None:
    acme.define("looker", role="You look keys up.", tool_specs={"lookup": LOOKUP})
    run = acme.submit("looker", {"a": f"a{acme.slug}", "b": f"b{acme.slug}"})

    ended = settles(acme, run.id)

    assert ended.status == "completed"
    assert ended.engine == "temporal"
    assert LEDGER.effects[f"lookup a{acme.slug}"] == 1
    assert "run.resumed" not in acme.actions(run.id)
