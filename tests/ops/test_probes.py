"""What load balancers ask."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import Client

from db import partitions
from ops import readiness
from ops.machine import close_connections

NEWEST = "SELECT id, app, name, applied FROM django_migrations ORDER BY id DESC LIMIT 1"


@pytest.fixture
def absent_database(database: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the runtime alias name a database that isn't there."""
    close_connections()
    monkeypatch.setitem(connection.settings_dict, "NAME", "absent")
    monkeypatch.setitem(connection.settings_dict["OPTIONS"], "pool", {"min_size": 0, "max_size": 1, "timeout": 0.5})
    yield
    close_connections()


def test_health_asks_nothing_of_the_database(client: Client) -> None:
    answer = client.get("/healthz")

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert "no-store" in answer["Cache-Control"]


def test_ready(database: None, client: Client) -> None:
    answer = client.get("/readyz")

    assert (answer.status_code, answer.json()) == (200, {"status": "ready"})


def test_not_ready_without_the_database(absent_database: None, client: Client) -> None:
    answer = client.get("/readyz")

    assert answer.status_code == 503
    assert answer.json()["problems"] == {"database": "The database can't be reached."}


def test_not_ready_before_the_migrations(
    owner_connection: BaseDatabaseWrapper, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "_migrated", False)
    with owner_connection.cursor() as cursor:
        cursor.execute(NEWEST)
        row = cursor.fetchone()
        cursor.execute("DELETE FROM django_migrations WHERE id = %s", row[:1])
        try:
            answer = client.get("/readyz")
        finally:
            cursor.execute("INSERT INTO django_migrations VALUES (%s, %s, %s, %s)", row)

    assert answer.status_code == 503
    assert answer.json()["problems"]["migrations"].startswith("1 migrations are not applied")


@pytest.mark.parametrize(
    ("later", "words"),
    [(10, ""), (11, "has partitions for 1 months ahead"), (12, "for 0 months"), (13, "lacks this month's partitions")],
)
def test_not_ready_when_the_journals_partitions_run_out(database: None, later: int, words: str) -> None:
    """So many months after the last time that any were made."""
    day = list(partitions.months(datetime.now(UTC).date(), later + 1))[-1]

    assert words in readiness.partition_shortage(day)
    assert bool(readiness.partition_shortage(day)) == bool(words)


def test_the_probe_says_so(database: None, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "MIN_MONTHS_AHEAD", 13)

    answer = client.get("/readyz")

    assert answer.status_code == 503
    assert answer.json()["problems"] == {
        "partitions": "The journal has partitions for 12 months ahead: run `manage.py partitions`, which makes a "
        "year's, and see to it that it runs daily."
    }


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_probes_change_nothing(client: Client, path: str) -> None:
    assert client.post(path).status_code == 405
