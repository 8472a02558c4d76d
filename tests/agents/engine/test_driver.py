"""Runs driven by a real driver: claimed, executed, parked, woken, ended."""

from collections.abc import Callable
from uuid import UUID

from agents.engine.driver import Driver
from agents.models import Run
from db.scope import tenant_scope
from escalations.actions.decisions import Answer, decide
from escalations.models import Escalation
from tests.worlds import LEDGER, LOOKUP, PAY, World

Settles = Callable[[World, UUID], Run]


def test_it_completes_a_run_with_parallel_calls(acme: World, driver: Driver, settles: Settles) -> None:
    acme.define("looker", role="You look keys up.", tool_specs={"lookup": LOOKUP})
    run = acme.submit("looker", {"a": f"a{acme.slug}", "b": f"b{acme.slug}"})

    ended = settles(acme, run.id)

    assert ended.status == "completed"
    assert acme.actions(run.id) == [
        "run.submitted",
        "run.started",
        "budget.reserved",
        "model.requested",
        "model.answered",
        "tool.requested",
        "tool.requested",
        "tool.finished",
        "tool.finished",
        "model.requested",
        "model.answered",
        "output.accepted",
        "budget.settled",
        "run.completed",
    ]
    assert [stored.seq for stored in acme.events(run.id)] == list(range(1, 15))
    assert LEDGER.effects[f"lookup a{acme.slug}"] == 1


def test_an_approved_call_is_made_once_and_the_run_goes_on(acme: World, driver: Driver, settles: Settles) -> None:
    acme.define("payer", role="You pay.", tool_specs={"pay": PAY})
    run = acme.submit("payer", {"to": acme.slug})
    assert settles(acme, run.id).waiting_for == "decision"
    assert LEDGER.effects[f"pay 500 to {acme.slug}"] == 0

    with tenant_scope(acme.tenant_id):
        escalation = Escalation.objects.get(run_id=run.id)
    made = Answer("approve", escalation.digest)
    acme.grant("review", acme.agent("payer"), acme.rita)
    decide(escalation.id, made, acting_as=acme.rita)

    ended = settles(acme, run.id)
    while ended.status != "completed":
        ended = settles(acme, run.id)
    assert LEDGER.effects[f"pay 500 to {acme.slug}"] == 1
