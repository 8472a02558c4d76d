"""What the pool does after the server was restarted: every connection in it is dead, and nobody has noticed."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, cast

import psycopg
import pytest
from django.db import connection
from django.db.backends.postgresql.base import DatabaseWrapper
from psycopg_pool import ConnectionPool

from db.backend.base import LOOK
from db.pool import transaction_connection
from tests.ops.processes import eventually

#: More than psycopg's own check, which pauses twice as long after each dead one, can get past before it gives up.
IDLE = 8


@pytest.fixture
def pool(database: None) -> Iterator[ConnectionPool[Any]]:
    """This process's pool, with nothing in it from before."""
    with transaction_connection():
        made = cast(DatabaseWrapper, connection).pool
    made.drain()
    yield made
    made.drain()


@pytest.fixture
def restarted(pool: ConnectionPool[Any], superuser: psycopg.Connection[Any]) -> None:
    """A pool whose idle connections were all ended by the server."""
    with ExitStack() as stack:
        for _ in range(IDLE):
            stack.enter_context(transaction_connection())
    # One more may be on its way, which the pool began while others were asked for.
    assert eventually(lambda: pool.get_stats()["pool_available"] == pool.get_stats()["pool_size"])
    pids = [raw.info.backend_pid for raw in pool._pool]
    assert len(pids) >= IDLE
    superuser.execute("SELECT pg_terminate_backend(pid, 5000) FROM unnest(%s::integer[]) AS pid", [pids])


def test_the_connection_that_came_back_last_is_lent_next(pool: ConnectionPool[Any]) -> None:
    with ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(transaction_connection())
    assert eventually(lambda: pool.get_stats()["pool_available"] == pool.get_stats()["pool_size"])
    with transaction_connection() as one, transaction_connection():
        pass  # the outer one comes back last
    for _ in range(8):
        with transaction_connection() as again:
            assert again is one


def test_a_request_gets_a_connection_that_lives(restarted: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connection.settings_dict, LOOK, True)
    connection.close()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)


def test_a_worker_meets_one_dead_connection_and_not_all_of_them(restarted: None) -> None:
    with pytest.raises(psycopg.OperationalError), transaction_connection() as first:
        first.execute("SELECT 1")
    with transaction_connection() as second:
        assert second.execute("SELECT 1").fetchone() == (1,)


def test_a_request_is_told_when_every_connection_is_cut(
    restarted: None, superuser: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def dead(raw: psycopg.Connection[Any]) -> None:
        superuser.execute("SELECT pg_terminate_backend(%s, 5000)", [raw.info.backend_pid])
        raw.execute("SELECT 1")

    monkeypatch.setitem(connection.settings_dict, LOOK, True)
    monkeypatch.setattr(ConnectionPool, "check_connection", dead)
    connection.close()
    with pytest.raises(psycopg.OperationalError):
        cast(DatabaseWrapper, connection).get_new_connection({})
