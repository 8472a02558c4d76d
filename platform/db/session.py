"""Connections outside the pool, for what belongs to a session: LISTEN, and locks that end with it."""

import psycopg
from django.db import connection

from db.pool import Connection

#: So a server notices in half a minute that a worker's whole machine is gone, and frees its locks. TCP only.
_KEEP_ALIVE = "SET tcp_keepalives_idle = 15; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3"


def connect() -> Connection:
    """Open a connection in autocommit mode; as a context manager it closes itself."""
    parameters = connection.get_connection_params()
    for ours in ("pool", "context", "cursor_factory"):
        parameters.pop(ours, None)
    session: Connection = psycopg.connect(**parameters, autocommit=True)
    session.execute(_KEEP_ALIVE)
    return session
