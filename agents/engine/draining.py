"""Which engines still have runs: after a change of `ENGINE`, the former one's workers are needed until it has none."""

from django.db import connection

from agents.engine.seam import DEFAULT
from db.roles import dispatch

_IN_USE = "SELECT DISTINCT engine FROM agents_run WHERE ended_at IS NULL"


def in_use() -> frozenset[str]:
    """Return the names of the engines that runs are open on. It reads all runs: for the start of a process."""
    with dispatch(), connection.cursor() as cursor:
        cursor.execute(_IN_USE)
        return frozenset(name or DEFAULT for (name,) in cursor.fetchall())
