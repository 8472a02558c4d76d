"""That a worker process is there, for `/metrics` to count: a lock of a session which ends with the process."""

import threading
from typing import Final

import psycopg

from db import session
from db.pool import Connection

#: First key of the advisory lock, which all workers share.
WORKERS: Final = 0x43530005

_TAKE: Final = "SELECT pg_advisory_lock_shared(%s, 0)"


class Presence:
    """The session of one process. Thread-safe: it may be left while it is being seen to."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards the others
        self._kept: Connection | None = None
        self._left = False

    def keep(self) -> None:
        """Begin, or see that the session is still there; nothing once it was left.

        Raises `psycopg.Error`; the next time it begins anew.
        """
        with self._lock:
            try:
                if self._left:
                    return
                if self._kept is None:
                    self._kept = session.connect()
                    self._kept.execute(_TAKE, [WORKERS])
                else:
                    self._kept.execute("SELECT 1")
            except psycopg.Error:
                self._close()
                raise

    def leave(self) -> None:
        """End, for good."""
        with self._lock:
            self._left = True
            self._close()

    def _close(self) -> None:
        if self._kept is not None:
            self._kept.close()
            self._kept = None
