"""Temporal away, killed, come back: no run is lost, none is driven twice, and no journal shows it."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from uuid import UUID

import pytest
from pytest_django import Settings

from agents.actions.runs import cancel
from agents.engine.temporal.worker import TemporalWorker
from agents.models import Run
from tests.agents.engine.temporal.server import DevServer, dev_server
from tests.agents.engine.temporal.serving import rehearsed, serving
from tests.agents.engine.temporal.test_runs import approve, until
from tests.worlds import LEDGER, LOOKUP, PAY, World

Settles = Callable[[World, UUID], Run]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevServer]:
    """A server to kill."""
    with dev_server(tmp_path_factory.mktemp("temporal")) as running:
        yield running


@pytest.fixture
def killable(server: DevServer, settings: Settings) -> DevServer:
    """The server, on which new runs start; it runs."""
    settings.ENGINE = "temporal"
    settings.TEMPORAL = replace(settings.TEMPORAL, address=server.address)
    server.start()
    return server


@pytest.fixture
def worker(database: None, killable: DevServer, model_url: str) -> Iterator[TemporalWorker]:
    """A worker of that server."""
    with serving(rehearsed(model_url)) as made:
        yield made


def lookups(acme: World) -> Run:
    acme.define("looker", role="You look up twice.", tool_specs={"lookup": LOOKUP})
    return acme.submit("looker", {"a": f"a {acme.slug}", "b": f"b {acme.slug}"})


def test_a_run_that_was_submitted_while_it_was_away_starts_when_it_is_back(
    acme: World, killable: DevServer, worker: TemporalWorker
) -> None:
    killable.kill()
    run = lookups(acme)
    time.sleep(1.0)
    assert acme.run(run.id).status == "queued"

    killable.start()

    until(lambda: acme.run(run.id).status == "completed")
    assert acme.actions(run.id).count("run.started") == 1


def test_an_answer_given_while_it_was_away_counts_when_it_is_back(
    acme: World, killable: DevServer, worker: TemporalWorker
) -> None:
    acme.define("payer", role="You pay.", tool_specs={"pay": PAY})
    run = acme.submit("payer", {"to": acme.slug})
    until(lambda: acme.run(run.id).waiting_for == "decision")
    killable.kill()
    approve(acme, acme.run(run.id))
    time.sleep(1.0)
    assert LEDGER.effects[f"pay 500 to {acme.slug}"] == 0

    killable.start()

    until(lambda: acme.run(run.id).status == "completed")
    assert LEDGER.effects[f"pay 500 to {acme.slug}"] == 1


def test_a_run_goes_on_where_it_was_when_it_is_killed_in_the_middle(
    acme: World, killable: DevServer, worker: TemporalWorker
) -> None:
    run = lookups(acme)
    until(lambda: "tool.finished" in acme.actions(run.id))
    killable.kill()
    time.sleep(1.0)

    killable.start()

    until(lambda: acme.run(run.id).status == "completed", 150)
    happened = acme.actions(run.id)
    assert "run.resumed" not in happened
    assert "model.failed" not in happened
    assert LEDGER.effects[f"lookup b {acme.slug}"] == 1


def test_a_worker_that_starts_while_it_is_away_waits_for_it(acme: World, killable: DevServer, model_url: str) -> None:
    killable.kill()
    run = lookups(acme)
    with serving(rehearsed(model_url)):
        time.sleep(1.0)
        killable.start()
        until(lambda: acme.run(run.id).status == "completed")


def test_a_worker_that_stops_while_it_is_away_gives_its_runs_back(
    acme: World, killable: DevServer, model_url: str
) -> None:
    acme.define("payer", role="You pay.", tool_specs={"pay": PAY | {"approval": {"when": "false"}}})
    with serving(rehearsed(model_url)) as first:
        run = acme.submit("payer", {"to": acme.slug})
        until(lambda: len(first.hands) == 1)
        killable.kill()
    assert acme.run(run.id).worker is None
    killable.start()
    with serving(rehearsed(model_url)):
        until(lambda: bool(acme.run(run.id).ended_at), 150)
    assert acme.run(run.id).status == "completed"
    assert "tool.unknown" not in acme.actions(run.id)
    assert LEDGER.effects[f"pay 500 to {acme.slug}"] == 1


def test_a_run_is_cancelled_while_it_is_away(acme: World, killable: DevServer, worker: TemporalWorker) -> None:
    killable.kill()
    run = lookups(acme)
    cancel(run.id, acting_as=acme.alice)

    killable.start()

    until(lambda: acme.run(run.id).status == "cancelled")
    assert LEDGER.effects[f"lookup a {acme.slug}"] == 0
