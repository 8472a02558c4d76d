"""Django's PostgreSQL backend with a pool that lends what is warm, and looks at it first where settings ask for it."""

from typing import Any, Final

import psycopg
from django.db.backends.base.base import NO_DB_ALIAS
from django.db.backends.postgresql.base import DatabaseWrapper as PostgreSQLWrapper
from psycopg_pool import ConnectionPool

#: Of the entry in DATABASES: whether a connection is looked at when it leaves the pool. Django's CONN_HEALTH_CHECKS
#: would have psycopg's pool do it, which pauses after each one found dead, twice as long each time: after a restart of
#: the server five idle ones are a quarter of a minute, and requests are refused meanwhile.
LOOK: Final = "LOOK_AT_POOLED"

#: How many connections in a row may be found dead. After the first all that lay idle with it are gone.
_TRIES: Final = 5


class WarmPool(ConnectionPool[Any]):
    """psycopg's pool, which lends the connection that came back last, where psycopg takes each in its turn.

    So the few that suffice go on with the caches and plans of their servers: a step costs the server a third less than
    over eight in turn. The others grow old, and are closed as idle.
    """

    def _get_ready_connection(self, timeout: float | None) -> Any:
        self._pool.rotate()  # psycopg takes from the left what it puts back at the right
        return super()._get_ready_connection(timeout)


class DatabaseWrapper(PostgreSQLWrapper):
    """PostgreSQL as the runtime reaches it."""

    @property
    def pool(self) -> WarmPool | None:
        """The process's pool for this database, made as Django makes its own; None where none is configured."""
        pools: dict[str, WarmPool] = vars(PostgreSQLWrapper)["_connection_pools"]
        if self.alias not in pools:
            options = self.settings_dict["OPTIONS"].get("pool")
            if self.alias == NO_DB_ALIAS or not options:
                return None
            connecting = {**self.get_connection_params(), "autocommit": True}
            configure = self._configure_connection  # type: ignore[attr-defined] # the stubs do not know it
            made = WarmPool(kwargs=connecting, open=False, configure=configure, **options)
            pools.setdefault(self.alias, made)  # another thread may have made one meanwhile
        return pools[self.alias]

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Connect, or take a connection that lives out of the pool.

        Raises `psycopg.OperationalError` when each one is cut at once, `psycopg_pool.PoolTimeout` when none comes free.
        """
        for left in reversed(range(_TRIES)):
            connection = super().get_new_connection(conn_params)
            if self.pool is None or not self.settings_dict.get(LOOK):
                return connection
            try:
                ConnectionPool.check_connection(connection)
            except psycopg.OperationalError:
                self.pool.putconn(connection)
                self.pool.drain()
                if not left:
                    raise
            else:
                return connection
        raise AssertionError("the last try returns or raises")
