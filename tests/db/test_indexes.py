"""Indexes made while everybody works."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.apps import apps
from django.db import connections, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.state import ProjectState

from db.embedded import Server
from db.indexes import BuildIndex
from tests.ops.processes import eventually

NAME = "test_built_while_used"


@pytest.fixture
def owner(owner_connection: BaseDatabaseWrapper) -> Iterator[BaseDatabaseWrapper]:
    """The owner's connection as `migrate` uses it, with less patience; the index is gone afterwards."""
    with owner_connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '50ms'")
        yield owner_connection
        cursor.execute("SET lock_timeout = 0")
        cursor.execute(f"DROP INDEX IF EXISTS {NAME}")


def build() -> None:
    state = ProjectState.from_apps(apps)
    operation = BuildIndex("team", models.Index(fields=["tenant_id", "name"], name=NAME))
    with connections["owner"].schema_editor(atomic=False) as editor:
        operation.database_forwards("tenants", editor, state, state)


def is_valid(superuser: psycopg.Connection[tuple[Any, ...]]) -> bool:
    query = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)"
    return superuser.execute(query, [NAME]).fetchone() == (True,)


def test_an_index_waits_for_who_reads_the_database_for_long(
    owner: BaseDatabaseWrapper, superuser: psycopg.Connection[tuple[Any, ...]], embedded_server: Server
) -> None:
    builder = owner.connection.info.backend_pid
    waits = "SELECT 1 FROM pg_locks WHERE pid = %s AND locktype = 'virtualxid' AND NOT granted"
    with psycopg.connect(embedded_server.dsn(database=superuser.info.dbname)) as dump:
        dump.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        dump.execute("SELECT count(*) FROM pg_class")

        def end() -> None:
            assert eventually(lambda: superuser.execute(waits, [builder]).fetchone() is not None)
            time.sleep(0.3)
            dump.rollback()

        ending = threading.Thread(target=end)
        ending.start()
        build()
        ending.join()

    assert is_valid(superuser)
    with owner.cursor() as cursor:
        cursor.execute("SHOW lock_timeout")
        assert cursor.fetchone() == ("50ms",)


def test_an_index_whose_making_broke_off_is_made_anew(
    owner: BaseDatabaseWrapper, superuser: psycopg.Connection[tuple[Any, ...]]
) -> None:
    with owner.cursor() as cursor:
        cursor.execute(f"CREATE INDEX {NAME} ON tenants_team (tenant_id, name)")
    superuser.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = to_regclass(%s)", [NAME])

    build()

    assert is_valid(superuser)
