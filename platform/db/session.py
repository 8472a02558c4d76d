"""Connections outside the pool, for what belongs to a session: LISTEN, and locks that end with it."""

import psycopg
from django.db import connection

from db.pool import Connection


def connect() -> Connection:
    """Open a connection in autocommit mode; as a context manager it closes itself.

    It has the settings of all others (`config.database`): so this side and the server notice in half a minute that the
    other's machine is gone, and a worker's locks are freed.
    """
    parameters = connection.get_connection_params()
    for ours in ("pool", "context", "cursor_factory"):
        parameters.pop(ours, None)
    session: Connection = psycopg.connect(**parameters, autocommit=True)
    return session
