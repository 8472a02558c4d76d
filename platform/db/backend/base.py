"""Django's PostgreSQL backend, whose pooled connections are looked at before their use where settings ask for it."""

from typing import Any, Final

import psycopg
from django.db.backends.postgresql.base import DatabaseWrapper as PostgreSQLWrapper
from psycopg_pool import ConnectionPool

#: Of the entry in DATABASES: whether a connection is looked at when it leaves the pool. Django's CONN_HEALTH_CHECKS
#: would have psycopg's pool do it, which pauses after each one found dead, twice as long each time: after a restart of
#: the server five idle ones are a quarter of a minute, and requests are refused meanwhile.
LOOK: Final = "LOOK_AT_POOLED"

#: How many connections in a row may be found dead. After the first all that lay idle with it are gone.
_TRIES: Final = 5


class DatabaseWrapper(PostgreSQLWrapper):
    """PostgreSQL as the runtime reaches it."""

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
