"""Runs that Temporal dispatches: claimed, performed step by step, parked, woken, ended."""

import asyncio
import time
from collections.abc import Callable
from uuid import UUID

from django.conf import settings
from temporalio.client import Client, WorkflowExecutionStatus

from agents.actions.runs import cancel
from agents.engine.temporal import telling
from agents.engine.temporal.connection import connect
from agents.engine.temporal.messages import workflow_id
from agents.engine.temporal.telling import Told
from agents.engine.temporal.worker import TemporalWorker
from agents.models import Run
from db.scope import tenant_scope
from escalations.actions.decisions import Answer, decide
from escalations.models import Escalation
from tests.agents.engine.temporal.serving import rehearsed, serving
from tests.worlds import LEDGER, LOOKUP, PAY, World

Settles = Callable[[World, UUID], Run]


def approve(acme: World, run: Run) -> None:
    """Approve what the run asks, as Rita."""
    with tenant_scope(acme.tenant_id):
        escalation = Escalation.objects.get(run_id=run.id, status="open")
    acme.grant("review", run.agent, acme.rita)
    decide(escalation.id, Answer("approve", escalation.digest), acting_as=acme.rita)


def until(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait for something that must come."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def describe(run: Run) -> tuple[WorkflowExecutionStatus | None, int]:
    """Return the status of the run's workflow and the length of its history."""

    async def ask() -> tuple[WorkflowExecutionStatus | None, int]:
        client = await connect(settings.TEMPORAL)
        found = await client.get_workflow_handle(workflow_id(run.id)).describe()
        return found.status, found.history_length

    return asyncio.run(ask())


def test_it_completes_a_run_with_parallel_calls(acme: World, worker: TemporalWorker, settles: Settles) -> None:
    acme.define("looker", role="You look keys up.", tool_specs={"lookup": LOOKUP})
    run = acme.submit("looker", {"a": f"a{acme.slug}", "b": f"b{acme.slug}"})

    ended = settles(acme, run.id)

    assert ended.status == "completed"
    assert ended.engine == "temporal"
    assert ended.worker is None
    assert LEDGER.effects[f"lookup a{acme.slug}"] == 1
    assert "run.resumed" not in acme.actions(run.id)
    until(lambda: describe(run)[0] == WorkflowExecutionStatus.COMPLETED)


def test_an_approved_call_is_made_once_and_the_run_goes_on(
    acme: World, worker: TemporalWorker, settles: Settles
) -> None:
    acme.define("payer", role="You pay.", tool_specs={"pay": PAY})
    run = acme.submit("payer", {"to": acme.slug})
    parked = settles(acme, run.id)
    assert parked.waiting_for == "decision"
    until(lambda: len(worker.hands) == 0)

    approve(acme, parked)

    until(lambda: acme.run(run.id).status == "completed")
    assert LEDGER.effects[f"pay 500 to {acme.slug}"] == 1


def test_a_run_that_waits_for_a_person_is_cancelled_at_once(
    acme: World, worker: TemporalWorker, settles: Settles
) -> None:
    acme.define("payer", role="You pay.", tool_specs={"pay": PAY})
    run = acme.submit("payer", {"to": acme.slug})
    settles(acme, run.id)

    cancel(run.id, acting_as=acme.alice)

    until(lambda: acme.run(run.id).status == "cancelled")
    assert LEDGER.effects[f"pay 500 to {acme.slug}"] == 0


def test_a_run_is_cancelled_after_the_step_it_is_in(acme: World, worker: TemporalWorker, settles: Settles) -> None:
    acme.define("looker", role="You look up twice.", tool_specs={"lookup": LOOKUP})
    run = acme.submit("looker", {"a": f"a {acme.slug}", "b": f"b {acme.slug}"})
    until(lambda: "tool.finished" in acme.actions(run.id))

    cancel(run.id, acting_as=acme.alice)

    assert settles(acme, run.id).status == "cancelled"
    assert LEDGER.effects[f"lookup b {acme.slug}"] == 0


def test_it_waits_for_an_overloaded_supplier_by_a_timer(acme: World, worker: TemporalWorker, settles: Settles) -> None:
    acme.define("busy", role="You are overloaded.")
    run = acme.submit("busy", {})

    assert settles(acme, run.id).status == "completed"

    assert acme.actions(run.id).count("run.waiting") == 2


def test_a_run_that_is_told_of_ten_times_is_driven_once(acme: World, worker: TemporalWorker, settles: Settles) -> None:
    acme.define("looker", role="You look keys up.", tool_specs={"lookup": LOOKUP})
    run = acme.submit("looker", {"a": f"a{acme.slug}", "b": f"b{acme.slug}"})

    async def tell() -> None:
        client = await connect(settings.TEMPORAL)
        for wakes in (False, True) * 5:
            await telling.tell(client, Told(run.id, acme.tenant_id, wakes=wakes))

    asyncio.run(tell())

    assert settles(acme, run.id).status == "completed"
    asyncio.run(tell())
    until(lambda: describe(run)[0] == WorkflowExecutionStatus.COMPLETED)
    assert acme.actions(run.id).count("run.started") == 1
    assert LEDGER.effects[f"lookup a{acme.slug}"] == 1


def test_a_run_whose_workflow_was_terminated_goes_on_by_another_one(
    acme: World, worker: TemporalWorker, settles: Settles
) -> None:
    acme.define("payer", role="You pay.", tool_specs={"pay": PAY})
    run = acme.submit("payer", {"to": acme.slug})
    parked = settles(acme, run.id)

    async def terminate() -> None:
        client: Client = await connect(settings.TEMPORAL)
        await client.get_workflow_handle(workflow_id(run.id)).terminate()

    asyncio.run(terminate())
    approve(acme, parked)

    until(lambda: acme.run(run.id).status == "completed")
    assert LEDGER.effects[f"pay 500 to {acme.slug}"] == 1


def test_a_stopping_worker_gives_its_runs_to_another_one(
    acme: World, on_temporal: None, model_url: str, settles: Settles
) -> None:
    acme.define("looker", role="You look up twice.", tool_specs={"lookup": LOOKUP})
    with serving(rehearsed(model_url)) as first:
        run = acme.submit("looker", {"a": f"a {acme.slug}", "b": f"b {acme.slug}"})
        until(lambda: len(first.hands) == 1)
    given_back = acme.run(run.id)
    assert given_back.worker is None
    assert given_back.ended_at or given_back.ready_at

    with serving(rehearsed(model_url)):
        assert settles(acme, run.id).status == "completed"
    assert LEDGER.effects[f"lookup a {acme.slug}"] == 1
    assert LEDGER.effects[f"lookup b {acme.slug}"] == 1
    assert "tool.unknown" not in acme.actions(run.id)
