"""Several hosts on one database: real qclusters and web processes, and what becomes of runs when they come and go."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from uuid import UUID

import pytest
from django.db import connection

from agents.models import Run
from db.roles import dispatch
from tests.agents.engine.clusters import cluster, drivers, wait_for_drivers
from tests.agents.providers.servers import rehearsal
from tests.ops.processes import eventually
from tests.worlds import World

SCRIPTS = Path(__file__).parent / "scripts"

Settles = Callable[[World, UUID], Run]


@pytest.fixture
def alone(database: None) -> None:
    """Let no run of another test be due."""
    with dispatch(), connection.cursor() as cursor:
        cursor.execute("UPDATE agents_run SET ready_at = NULL, due_at = NULL")


def test_each_host_has_its_drivers(database: None, process_environment: dict[str, str], model_url: str) -> None:
    with ExitStack() as hosts:
        for _ in range(3):
            hosts.enter_context(cluster(process_environment, model_url))
        wait_for_drivers(3)


def test_a_host_that_is_lost_is_made_up_for_by_another(
    acme: World, alone: None, process_environment: dict[str, str], model_url: str, settles: Settles
) -> None:
    brief = process_environment | {"LEASE_SECONDS": "3"}
    acme.define("slow", role="You are slow.")
    with cluster(brief, model_url) as lost, cluster(brief, model_url):
        wait_for_drivers(2)
        runs = [acme.submit("slow", {"number": number, "of": acme.slug}) for number in range(12)]
        assert eventually(lambda: all(acme.run(run.id).status == "running" for run in runs))
        lost.kill()
        assert all(settles(acme, run.id).status == "completed" for run in runs)


def test_a_worker_told_to_stop_does_not_wait_for_a_call_that_hangs(
    acme: World, alone: None, process_environment: dict[str, str], settles: Settles
) -> None:
    acme.define("slow", role="You take two minutes.")
    with rehearsal(SCRIPTS) as url, cluster(process_environment, url) as stopped:
        run = acme.submit("slow", {"of": acme.slug})
        assert eventually(lambda: acme.run(run.id).status == "running")
        assert stopped.stop() == 0
        given_back = acme.run(run.id)
        assert given_back.worker is None
        assert given_back.ready_at is not None
        assert drivers() == 0
