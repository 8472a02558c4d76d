"""What an installation tells of itself, and to whom."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from django.conf import settings as installed
from django.db import connection, transaction
from django.db.models.functions import Now
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import Settings

from agents.engine import leases
from agents.engine.django_q import DjangoQ
from agents.models import Run, Tool, ToolBreaker
from db.roles import dispatch
from db.scope import tenant_scope
from metrics import counters
from metrics.models import Total
from ops import metrics
from ops.machine import close_connections
from tests.agents.engine.serving import serving
from tests.agents.providers.servers import rehearsal
from tests.locks import PATIENCE_S, until_waited_for
from tests.ops.processes import eventually
from tests.worlds import LOOKUP, PAY, World, world

SCRIPTS = Path(__file__).parents[1] / "agents" / "engine" / "scripts"

Read = Callable[..., float]


@pytest.fixture
def read(database: None, client: Client) -> Read:
    """Return the value of a series now; 0 for one that is not told of."""

    def value(name: str, **labels: str) -> float:
        metrics._kept.forget()
        text = client.get("/metrics").content.decode()
        samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
        return sum(each.value for each in samples if each.name == f"countersign_{name}" and each.labels == labels)

    return value


@pytest.fixture
def acme(database: None) -> World:
    return world()


def test_this_machine_may_read_them(database: None, client: Client) -> None:
    answer = client.get("/metrics")

    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/plain; version=")
    assert "no-store" in answer["Cache-Control"]


@pytest.mark.parametrize(
    "request_of",
    [
        {"REMOTE_ADDR": "203.0.113.9"},
        {"REMOTE_ADDR": ""},
        {"HTTP_X_FORWARDED_FOR": "127.0.0.1"},  # a proxy on this machine, which nobody said is there
        {"HTTP_FORWARDED": "for=127.0.0.1"},
    ],
)
def test_others_may_not(client: Client, request_of: dict[str, str]) -> None:
    assert client.get("/metrics", **request_of).status_code == 403  # type: ignore[arg-type]


def test_behind_a_proxy_it_is_the_client_that_counts(database: None, client: Client, settings: Settings) -> None:
    settings.TRUST_PROXY = 1

    assert client.get("/metrics", HTTP_X_FORWARDED_FOR="203.0.113.9").status_code == 403
    assert client.get("/metrics").status_code == 200  # the scraper came to the process itself


@pytest.mark.parametrize(("shown", "status"), [("Bearer s3cret", 200), ("Bearer other", 403), ("", 403), ("é", 403)])
def test_with_a_token_whoever_shows_it_may(
    database: None, client: Client, settings: Settings, shown: str, status: int
) -> None:
    settings.METRICS_TOKEN = "s3cret"

    for address in ("127.0.0.1", "203.0.113.9"):
        assert client.get("/metrics", HTTP_AUTHORIZATION=shown, REMOTE_ADDR=address).status_code == status


def test_a_run_that_waits_for_a_worker_shows(acme: World, read: Read) -> None:
    acme.define("looker", role="You look keys up.", tool_specs={"lookup": LOOKUP})
    before = read("queue_depth"), read("runs", status="queued", waiting_for="")
    acme.submit("looker", {"a": "a", "b": "b"})

    assert (read("queue_depth"), read("runs", status="queued", waiting_for="")) == (before[0] + 1, before[1] + 1)
    assert read("queue_oldest_seconds") > 0


def test_a_tool_that_is_not_called_shows(acme: World, read: Read) -> None:
    acme.define("looker", role="You look keys up.", tool_specs={"lookup": LOOKUP, "find": LOOKUP})
    before, now = read("breakers_open"), timezone.now()
    with tenant_scope(acme.tenant_id):
        for tool, opened_at in zip(Tool.objects.all(), (now, None), strict=True):
            ToolBreaker.objects.create(tool=tool, failures=1, failed_at=now, opened_at=opened_at, retry_at=opened_at)

    assert read("breakers_open") == before + 1


def test_a_run_that_was_begun_long_ago_does_not_make_the_queue_old(acme: World, read: Read) -> None:
    acme.define("looker", role="You look keys up.", tool_specs={"lookup": LOOKUP})
    run = acme.submit("looker", {"a": "a", "b": "b"})
    week = timedelta(days=7)
    with tenant_scope(acme.tenant_id):
        ago = Now() - week
        Run.objects.filter(id=run.id).update(status="waiting", waiting_for="decision", created_at=ago, ready_at=None)
    before = read("queue_depth")
    with tenant_scope(acme.tenant_id):
        DjangoQ().wake(run.id)

    assert read("queue_depth") == before + 1
    assert read("queue_oldest_seconds") < week.total_seconds() / 2
    with tenant_scope(acme.tenant_id):
        Run.objects.filter(id=run.id).update(ready_at=None)


@pytest.fixture
def begun(acme: World) -> Iterator[Run]:
    """A run that was begun and waits, while no run of another test is in line or due; nor is it afterwards."""
    with dispatch(), connection.cursor() as cursor:
        cursor.execute("UPDATE agents_run SET ready_at = NULL, due_at = NULL WHERE num_nulls(ready_at, due_at) < 2")
    acme.define("looker", role="You look keys up.", tool_specs={"lookup": LOOKUP})
    run = acme.submit("looker", {"a": "a", "b": "b"})
    change(run, status="waiting", waiting_for="decision", ready_at=None)
    yield run
    change(run, ready_at=None, due_at=None)


def change(run: Run, **values: object) -> None:
    with tenant_scope(run.tenant_id):
        Run.objects.filter(id=run.id).update(**values)


def test_an_answered_run_that_no_worker_takes_shows(acme: World, begun: Run, read: Read) -> None:
    acme.submit("looker", {"a": "a", "b": "b"})
    assert read("queue_begun") == 0
    with tenant_scope(acme.tenant_id):
        DjangoQ().wake(begun.id)
    assert (read("queue_begun"), read("queue_depth")) == (1, 2)

    change(begun, waiting_for="provider")

    assert (read("queue_begun"), read("queue_depth")) == (0, 1)


def test_a_run_whose_lease_ran_out_shows_until_a_worker_sweeps(begun: Run, read: Read) -> None:
    change(begun, status="running", waiting_for=None, worker="gone", due_at=Now() + timedelta(hours=1))
    assert (read("queue_begun"), read("runs_overdue"), read("runs_overdue_seconds")) == (0, 0, 0)
    change(begun, due_at=Now() - timedelta(hours=1))

    assert (read("queue_begun"), read("runs_overdue")) == (0, 1)
    assert 3600 <= read("runs_overdue_seconds") < 3700
    leases.sweep_and_next()
    assert (read("queue_begun"), read("runs_overdue"), read("runs_overdue_seconds")) == (1, 0, 0)


def test_what_is_in_line_is_not_overdue_whatever_engine_looks_after_it(begun: Run, read: Read) -> None:
    change(begun, status="running", waiting_for=None, ready_at=Now(), due_at=Now() - timedelta(hours=1))

    assert (read("queue_begun"), read("runs_overdue")) == (1, 0)


@pytest.mark.parametrize(("query", "index"), [(metrics._QUEUE, "run_ready"), (metrics._OVERDUE, "run_due")])
def test_the_queue_is_looked_up_by_its_indexes(database: None, query: str, index: str) -> None:
    with dispatch(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN {query}")
        plan = "\n".join(row[0] for row in cursor.fetchall())

    assert index in plan, plan


def test_what_workers_do_is_counted(acme: World, read: Read) -> None:
    acme.define("payer", role="You pay.", tool_specs={"pay": PAY})
    acme.define("looker", role="You look keys up.", tool_specs={"lookup": LOOKUP})
    series: tuple[tuple[str, dict[str, str]], ...] = (
        ("claims_total", {}),
        ("model_calls_total", {"model": "claude-opus-4-7", "outcome": "answered"}),
        ("tool_calls_total", {"outcome": "finished"}),
        ("runs_ended_total", {"status": "completed"}),
        ("runs_waited_total", {"waiting_for": "decision", "reason": ""}),
        ("escalations_open", {"kind": "tool_call"}),
        ("steps_total", {}),
    )
    before = {name: read(name, **labels) for name, labels in series}
    tokens = read("tokens_total", model="claude-opus-4-7", kind="output")
    with rehearsal(SCRIPTS) as url, serving(url):
        runs = [acme.submit("looker", {"a": "a", "b": "b"}), acme.submit("payer", {"to": "b"})]
        assert eventually(lambda: all(acme.run(run.id).status in {"completed", "waiting"} for run in runs))

    # Runs that other tests left in the queue are driven too.
    at_least = {"claims_total": 2, "steps_total": 6, "model_calls_total": 3, "tool_calls_total": 2}
    for name, labels in series:
        assert read(name, **labels) - before[name] >= at_least.get(name, 1), name
    assert read("tokens_total", model="claude-opus-4-7", kind="output") > tokens


def test_tenants_are_named_only_where_that_is_asked_for(
    acme: World, client: Client, read: Read, settings: Settings
) -> None:
    acme.define("looker", role="You look keys up.", tool_specs={"lookup": LOOKUP})
    acme.submit("looker", {"a": "a", "b": "b"})
    metrics._kept.forget()
    assert acme.slug not in client.get("/metrics").content.decode()
    assert read("tenant_queue_depth", tenant=acme.slug) == 0

    settings.METRICS_TENANTS = True

    assert read("tenant_queue_depth", tenant=acme.slug) == 1
    assert read("tenant_queue_oldest_seconds", tenant=acme.slug) > 0


def test_the_journals_partitions_and_the_processs_own_connections_show(read: Read) -> None:
    assert read("partitions_ahead_months") == 12
    assert read("web_pool_connections") >= 1
    assert read("workers") == 0


def test_places_at_the_supplier_show_where_they_are_limited(read: Read, settings: Settings) -> None:
    assert read("provider_places") == 0
    settings.PROVIDER_CONCURRENCY = 7

    assert (read("provider_places"), read("provider_places_taken")) == (7, 0)


def test_many_that_add_at_once_lose_nothing(database: None) -> None:
    before = dict((name, value) for name, _, value in counters.totals())

    def work(number: int) -> None:
        counters.count("leases_lost")
        counters.count("claims", by=2)
        counters.flush()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(80)))

    after = dict((name, value) for name, _, value in counters.totals())
    assert after["leases_lost"] - before.get("leases_lost", 0) == 80
    assert after["claims"] - before.get("claims", 0) == 160


def test_what_could_not_be_added_is_added_the_next_time(database: None, monkeypatch: pytest.MonkeyPatch) -> None:
    counters.flush()
    before = sum(value for name, _, value in counters.totals() if name == "leases_lost")
    counters.count("leases_lost")
    with monkeypatch.context() as patched:
        close_connections()
        patched.setitem(connection.settings_dict, "NAME", "absent")
        patched.setitem(connection.settings_dict["OPTIONS"], "pool", {"min_size": 0, "max_size": 1, "timeout": 0.5})
        with pytest.raises(psycopg.OperationalError):
            counters.flush()
        close_connections()
    counters.flush()

    assert sum(value for name, _, value in counters.totals() if name == "leases_lost") == before + 1


def test_the_last_to_hand_in_does_not_return_before_what_is_being_handed_in_is_there(database: None) -> None:
    counters.count("leases_lost")
    counters.flush()
    with ThreadPoolExecutor(2) as threads:
        with transaction.atomic():
            Total.objects.select_for_update().get(series="leases_lost")
            counters.count("leases_lost")
            under_way = threads.submit(counters.flush)
            until_waited_for()
            last = threads.submit(counters.flush)
            assert not wait([last], timeout=0.5).done
        for each in (under_way, last):
            each.result(PATIENCE_S)


def test_series_of_an_older_release_are_left_out(read: Read) -> None:
    Total.objects.update_or_create(series="claims\tsomething", defaults={"value": 1})
    Total.objects.update_or_create(series="gone", defaults={"value": 1})

    assert {"claims\tsomething", "gone"}.isdisjoint("\t".join((name, *labels)) for name, labels, _ in counters.totals())
    assert read("gone_total") == 0


@pytest.fixture
def absent_database(database: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the runtime alias name a database that isn't there."""
    close_connections()
    monkeypatch.setitem(connection.settings_dict, "NAME", "absent")
    monkeypatch.setitem(connection.settings_dict["OPTIONS"], "pool", {"min_size": 0, "max_size": 1, "timeout": 0.5})
    yield
    close_connections()


def test_without_the_database_it_says_so(absent_database: None, client: Client) -> None:
    metrics._kept.forget()

    assert client.get("/metrics").status_code == 503


def test_only_models_of_the_price_table_are_named() -> None:
    from agents.core import pricing

    assert pricing.listed("claude-opus-4-7") == "claude-opus-4-7"
    assert pricing.listed("somebody's-own-model") == "other"
    assert installed.METRICS_TENANTS is False
