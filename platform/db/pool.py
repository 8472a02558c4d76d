"""psycopg's connection pool as Django made it, for the statements that are SQL on purpose.

The hot path (claim, step) and the ORM share one pool per process. A connection is held for one transaction, never while
waiting on a model, a tool or a person.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import psycopg
from django.db import DEFAULT_DB_ALIAS, connection
from django.db.backends.postgresql.base import DatabaseWrapper

Connection = psycopg.Connection[tuple[Any, ...]]


@contextmanager
def transaction_connection() -> Iterator[Connection]:
    """Lend a raw connection in autocommit mode, for one trip (`db.trip`) or one explicit transaction.

    Raises `psycopg_pool.PoolTimeout` when none comes free in time.
    """
    pool = _pools().get(DEFAULT_DB_ALIAS) or cast(DatabaseWrapper, connection).pool
    if pool.closed:
        pool.open()  # Django makes it closed and opens it at its own first use
    raw = pool.getconn()
    if not raw.autocommit:
        raw.autocommit = True
    djangos, raw.cursor_factory = raw.cursor_factory, psycopg.Cursor
    try:
        yield raw
    finally:
        raw.cursor_factory = djangos
        broken = raw.broken
        pool.putconn(raw)  # a transaction that was left open is rolled back there
        if broken:
            pool.drain()  # the server has gone: what lay idle beside it is dead too


def close() -> None:
    """Close this process's pool, before it forks."""
    cast(DatabaseWrapper, connection).close_pool()


def forget_inherited_pools_after_fork() -> None:
    """Let a forked child make pools of its own: the parent's sockets and threads are not its to use."""
    os.register_at_fork(after_in_child=_pools().clear)


def _pools() -> dict[str, Any]:
    """Return this process's pools, which Django makes at their first use, by their connection's alias."""
    pools: dict[str, Any] = vars(DatabaseWrapper)["_connection_pools"]
    return pools


def in_use() -> tuple[int, int]:
    """Return how many connections this process has, and how many of its threads wait for one."""
    stats = _stats(pop=False)
    return stats.get("pool_size", 0), stats.get("requests_waiting", 0)


def waits() -> dict[str, int]:
    """Return how often and how long (ms) this process waited for connections since it last asked, and got none."""
    stats = _stats(pop=True)
    names = {"pool_waits": "requests_queued", "pool_wait_ms": "requests_wait_ms", "pool_failures": "requests_errors"}
    return {name: stats.get(counted, 0) for name, counted in names.items()}


def _stats(*, pop: bool) -> dict[str, int]:
    pool = _pools().get(DEFAULT_DB_ALIAS)
    if pool is None:
        return {}
    stats: dict[str, int] = pool.pop_stats() if pop else pool.get_stats()
    return stats
