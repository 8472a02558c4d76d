"""Make a race certain: go on when somebody waits for what this transaction holds."""

import time
from typing import Final

from django.db import connection

#: Asks `pg_locks`, which is read anew each time; a transaction sees `pg_stat_activity` as it first read it.
WAITED_FOR: Final = (
    "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid)))"
)

#: Generous bound on how long somebody takes to come that far.
PATIENCE_S: Final = 60.0


def until_waited_for() -> None:
    """Return when somebody waits for a lock of the open transaction."""
    until = time.monotonic() + PATIENCE_S
    with connection.cursor() as cursor:
        while time.monotonic() < until:
            cursor.execute(WAITED_FOR)
            if cursor.fetchone() == (True,):
                return
            time.sleep(0.01)
    raise AssertionError("nobody waits for this transaction")
