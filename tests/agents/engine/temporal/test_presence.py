"""Who watches the installation sees the workers of this engine, and all that they counted."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from agents.engine.temporal.presence import WORKERS, Presence
from db import session
from db.pool import Connection
from db.roles import dispatch
from metrics import counters
from ops import metrics
from tests.agents.engine.temporal.serving import rehearsed, serving
from tests.agents.engine.temporal.test_runs import until
from tests.worlds import LOOKUP, World


def told(name: str) -> float:
    """Read what `/metrics` tells now, summed over its labels."""
    metrics._kept.forget()
    text = Client().get("/metrics").content.decode()
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return sum(sample.value for sample in samples if sample.name == f"countersign_{name}")


def ended() -> int:
    """Count the runs of all tenants that have ended."""
    with dispatch(), connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM agents_run WHERE ended_at IS NOT NULL")
        count: int = cursor.fetchone()[0]
        return count


@pytest.fixture
def presence(database: None) -> Iterator[Presence]:
    made = Presence()
    yield made
    made.leave()


def test_workers_are_counted_while_they_serve(acme: World, on_temporal: None, model_url: str) -> None:
    assert told("workers") == 0

    with serving(rehearsed(model_url)), serving(rehearsed(model_url)):
        until(lambda: told("workers") == 2)

    assert told("workers") == 0


def test_a_session_that_broke_is_begun_anew(presence: Presence) -> None:
    presence.keep()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE classid::bigint = %s", [WORKERS])
    with pytest.raises(Exception, match="terminat"):
        presence.keep()
    assert told("workers") == 0

    presence.keep()
    presence.keep()

    assert told("workers") == 1


def test_a_session_that_was_left_is_not_begun_anew(presence: Presence) -> None:
    presence.keep()
    presence.leave()

    presence.keep()

    assert told("workers") == 0


def test_a_session_that_is_left_while_it_begins_ends(presence: Presence, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go, connect = threading.Event(), threading.Event(), session.connect

    def slow() -> Connection:
        begun.set()
        go.wait(10)
        return connect()

    monkeypatch.setattr(session, "connect", slow)
    with ThreadPoolExecutor(2) as threads:
        threads.submit(presence.keep)
        begun.wait(10)
        threads.submit(presence.leave)
        time.sleep(0.1)
        go.set()

    assert told("workers") == 0


def test_a_worker_that_stops_adds_what_it_counted(acme: World, on_temporal: None, model_url: str) -> None:
    acme.define("looker", role="You look keys up.", tool_specs={"lookup": LOOKUP})
    with serving(rehearsed(model_url)):
        counters.flush()
        before, ended_before = told("runs_ended_total"), ended()
        run = acme.submit("looker", {"a": "a", "b": "b"})
        until(lambda: acme.run(run.id).status == "completed")

    # What other tests left behind may have been taken up here, and have ended, too.
    assert told("runs_ended_total") - before == ended() - ended_before >= 1
