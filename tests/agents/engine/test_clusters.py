"""Several hosts on one database: real qclusters and web processes, and what becomes of runs when they come and go."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import httpx2
import pytest
from django.db import connection

from agents.engine.claims import claim
from agents.engine.executor import Means, RunExecutor
from agents.engine.toolbox import perform_call
from agents.models import Run
from agents.providers.claude import ClaudeProvider
from db.models import new_id
from db.roles import dispatch
from db.scope import tenant_scope
from tenants.actions import api_keys, tenants
from tenants.principal import COMMAND
from tests.agents.engine.clusters import cluster, wait_for_drivers, web
from tests.agents.providers.servers import rehearsal
from tests.ops.processes import eventually
from tests.worlds import LOOKUP, World, world

#: What a flood is.
FLOOD = 10_000

SCRIPTS = Path(__file__).parent / "scripts"

Settles = Callable[[World, UUID], Run]


@pytest.fixture
def means(model_url: str) -> Means:
    """What an executor of the test's own performs with."""
    answer = ClaudeProvider("rehearsal", model_url).answer
    return Means(answer, perform_call, tools=None, stopping=lambda: False)  # type: ignore[arg-type]


@pytest.fixture
def alone(database: None) -> Iterator[None]:
    """Let no run of another test be due, nor one of this test afterwards."""
    forget_runs()
    yield
    forget_runs()


def forget_runs() -> None:
    """Let no run be due any more."""
    with dispatch(), connection.cursor() as cursor:
        cursor.execute(
            "UPDATE agents_run SET ready_at = NULL, due_at = NULL WHERE ready_at > '1970-1-1' OR due_at > '1970-1-1'"
        )


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
        wait_for_drivers(0)


def flood(of: World, agent: str) -> list[UUID]:
    """Queue so many runs of a tenant; the first two can be driven, the others stand in the queue alone."""
    real = [of.submit(agent, {"a": f"{number}", "b": of.slug}) for number in range(2)]
    with tenant_scope(of.tenant_id):
        row = Run.objects.get(id=real[0].id)
        Run.objects.bulk_create(copy_of(row) for _ in range(FLOOD - len(real)))
    return [run.id for run in real]


def copy_of(run: Run) -> Run:
    """A run like it that came later."""
    values = {field.attname: getattr(run, field.attname) for field in Run._meta.concrete_fields}
    return Run(**values | {"id": new_id(), "ready_at": run.created_at + timedelta(seconds=1)})


def claims(number: int, means: Means) -> list[UUID]:
    """Claim so many runs as one worker, and begin them; returns their ids."""
    claimed, last = [], UUID(int=0)
    for _ in range(number):
        with claim("test", after=last) as found:
            assert found is not None
            step, run = found
            RunExecutor(run, means).begin(step)
            last = run.tenant_id
            claimed.append(run.id)
    return claimed


def test_behind_a_flood_another_tenants_run_starts_within_two_claims(alone: None, means: Means) -> None:
    flooder, other = world(), world()
    for each in (flooder, other):
        each.define("looker", role="You look up twice.", tool_specs={"lookup": LOOKUP})
    first = flood(flooder, "looker")
    waiting = other.submit("looker", {"a": "a", "b": other.slug})

    served = claims(2, means)

    assert waiting.id in served
    assert set(served) <= {waiting.id, *first}


def test_within_a_tenant_the_more_urgent_goes_first_and_overtakes_no_other_tenant(alone: None, means: Means) -> None:
    flooder, other = world(), world()
    for each in (flooder, other):
        each.define("looker", role="You look up twice.", tool_specs={"lookup": LOOKUP})
    first = flood(flooder, "looker")
    urgent = [flooder.submit("looker", {"a": "a", "b": "b"}, priority=priority) for priority in (5, 9)]
    plain = other.submit("looker", {"a": "a", "b": other.slug})

    served = claims(4, means)

    assert [run for run in served if run != plain.id] == [urgent[1].id, urgent[0].id, first[0]]
    assert served.index(plain.id) < 2


def test_two_hosts_and_two_web_processes_are_one_installation(
    acme: World, alone: None, process_environment: dict[str, str], model_url: str
) -> None:
    acme.define("looker", role="You look keys up.", tool_specs={"lookup": LOOKUP})
    _, key = api_keys.create(
        tenant=tenants.by_id(acme.tenant_id), name="app", scopes=["runs:write", "runs:read"], acting_as=COMMAND
    )
    with (
        web(process_environment) as one,
        web(process_environment) as two,
        cluster(process_environment, model_url),
        cluster(process_environment, model_url),
        httpx2.Client(headers={"Authorization": f"Bearer {key}"}, timeout=60) as client,
    ):

        def submit(number: int) -> str:
            body = {"agent": "looker", "input": {"a": f"{number}", "b": acme.slug}}
            headers = {"Idempotency-Key": f"order {number}"}
            ids = {client.post(f"{url}/api/v1/runs", json=body, headers=headers).json()["id"] for url in (one, two)}
            assert len(ids) == 1
            return str(ids.pop())

        with ThreadPoolExecutor(8) as threads:
            runs = list(threads.map(submit, range(16)))
        wait_for_drivers(2)

        def ended(url: str, run: str) -> bool:
            return bool(client.get(f"{url}/api/v1/runs/{run}").json()["status"] == "completed")

        assert eventually(lambda: all(ended(url, run) for url in (one, two) for run in runs))
    assert all(acme.actions(UUID(run)).count("run.started") == 1 for run in runs)
