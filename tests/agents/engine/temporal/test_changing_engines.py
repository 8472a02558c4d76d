"""After a change of ENGINE new runs start there, and old ones drain where they were started."""

import time
from collections.abc import Callable
from uuid import UUID

from pytest_django import Settings

from agents.engine import claims, draining, leases
from agents.models import Run
from tests.agents.engine import serving as default
from tests.agents.engine.temporal.serving import rehearsed, serving
from tests.agents.engine.temporal.test_runs import approve, until
from tests.worlds import LEDGER, PAY, World

Settles = Callable[[World, UUID], Run]


def payer(acme: World) -> Run:
    return acme.submit("payer", {"to": acme.slug})


def test_runs_end_on_the_engine_they_were_started_on(
    acme: World, on_temporal: None, model_url: str, settings: Settings, settles: Settles
) -> None:
    acme.define("payer", role="You pay.", tool_specs={"pay": PAY})
    with default.serving(model_url), serving(rehearsed(model_url)) as worker:
        settings.ENGINE = "django_q"
        old = payer(acme)
        assert settles(acme, old.id).waiting_for == "decision"
        settings.ENGINE = "temporal"
        new = payer(acme)
        assert settles(acme, new.id).waiting_for == "decision"
        assert draining.in_use() == {"django_q", "temporal"}
        queue = worker.hands.queue
        for run in (old, new):
            approve(acme, acme.run(run.id))
        until(lambda: bool(acme.run(old.id).ended_at and acme.run(new.id).ended_at))
    assert acme.run(old.id).engine is None
    assert acme.run(new.id).engine == "temporal"
    assert queue.startswith("countersign-")
    assert LEDGER.effects[f"pay 500 to {acme.slug}"] == 2


def test_a_run_of_temporal_drains_there_after_the_change_back(
    acme: World, on_temporal: None, model_url: str, settings: Settings, settles: Settles
) -> None:
    acme.define("payer", role="You pay.", tool_specs={"pay": PAY})
    with serving(rehearsed(model_url)):
        run = payer(acme)
        parked = settles(acme, run.id)
        settings.ENGINE = "django_q"
        with default.serving(model_url):
            approve(acme, parked)
            until(lambda: acme.run(run.id).status == "completed")
    assert acme.run(run.id).engine == "temporal"


def test_the_default_engine_leaves_the_others_runs_alone(acme: World, on_temporal: None) -> None:
    acme.define("payer", role="You pay.", tool_specs={"pay": PAY})
    run = payer(acme)
    time.sleep(0.1)
    leases.sweep_and_next()

    with claims.claim("test", after=UUID(int=acme.tenant_id.int - 1)) as claimed:
        assert claimed is None or claimed[1].id != run.id

    assert acme.run(run.id).status == "queued"


def test_a_run_of_the_default_engine_is_not_claimed_by_its_id(
    acme: World, on_temporal: None, settings: Settings
) -> None:
    settings.ENGINE = "django_q"
    acme.define("payer", role="You pay.", tool_specs={"pay": PAY})
    run = payer(acme)

    with claims.claim_run(run.id, "test") as claimed:
        assert claimed is None
