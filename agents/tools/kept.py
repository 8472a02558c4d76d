"""The session that a process keeps for what workers share of tools: its advisory locks end when the process does.

So whoever is killed in the middle of a call, however, holds nothing up: the server lets go of the locks with the
session. When the session breaks while the process lives on, it takes them anew at once, else before it asks for
anything else, as far as nobody else was quicker. An error that leaves the session whole costs no lock of another call.
A process that is frozen keeps its locks until it is thawed or killed.
"""

import hashlib
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final, TypeVar

import psycopg
from django.db import InterfaceError, OperationalError
from psycopg import pq

from agents.tools import attempts
from agents.tools.seam import ToolContext
from db import session, trip
from db.pool import Connection

logger = logging.getLogger(__name__)
T = TypeVar("T")

#: Seconds after a session broke in which a process takes no new place: time for the others to take theirs anew.
QUIET_S: Final = 10.0

#: What the database raises, through Django or not, when it is away.
AWAY: Final = (psycopg.OperationalError, OperationalError, InterfaceError)

BEGIN: Final[trip.Call] = (trip.statement("kept_begin", "BEGIN"), ())
COMMIT: Final[trip.Call] = (trip.statement("kept_commit", "COMMIT"), ())
_GIVE_BACK: Final = trip.statement("kept_give_back", "SELECT pg_advisory_unlock(%(key)s::bigint)", "key")
_ROLLBACK: Final[trip.Call] = (trip.statement("kept_rollback", "ROLLBACK"), ())
# A lock outlives the transaction that took it, also one that failed.
_LET_GO: Final = trip.statement(
    "kept_let_go",
    """
WITH own AS MATERIALIZED (
    SELECT (classid::bigint << 32) | objid::bigint AS key FROM pg_locks
    WHERE locktype = 'advisory' AND objsubid = 1 AND granted AND pid = pg_backend_pid())
SELECT pg_advisory_unlock(key) FROM own WHERE NOT key = ANY(%(held)s::bigint[])
""",
    "held",
)
_RETAKE: Final = "SELECT pg_try_advisory_lock(key) FROM unnest(%s::bigint[]) AS key"

#: What a trip brought back.
Rows = list[list[trip.Row]]


class Kept:
    """One process's session. Thread-safe; connects when it is first asked."""

    def __init__(self) -> None:
        self._start_afresh()
        os.register_at_fork(after_in_child=self._start_afresh)

    def _start_afresh(self) -> None:
        self._lock = threading.Lock()  # guards what follows, and whose turn it is on the session
        self._connection: Connection | None = None  # a parent's is not ours to close
        self._held: set[int] = set()
        self._was_connected = False
        self.quiet_until = 0.0

    def ask(
        self, calls: Callable[[frozenset[int]], Sequence[trip.Call]], taken: Callable[[Rows], int | None]
    ) -> tuple[Rows, int | None]:
        """Make a trip, a transaction of its own, and keep the lock that it took.

        calls: the trip, made from the keys of the locks that this process holds: the session would get them once more.
        taken: the key that the rows say was taken, if any; returned with them. Raises `psycopg.Error`.
        """
        with self._lock, self._session() as kept:
            rows = trip.make(kept, *calls(frozenset(self._held)))
            key = taken(rows)
            if key is not None:
                self._held.add(key)
            return rows, key

    def give_back(self, key: int, *before: trip.Call) -> None:
        """Let go of a lock, in the same trip as what comes `before`; it is free whatever happens.

        That what comes before may be lost is no fault of the call, whose outcome is at hand: the log says so.
        """
        with self._lock:
            self._held.discard(key)  # first: whatever happens now, it is free
            try:
                with self._session() as kept:
                    trip.make(kept, *before, (_GIVE_BACK, [str(key)]))
            except (psycopg.Error, UnicodeError) as error:  # the latter before anything was sent
                names = ", ".join(called.name.decode() for called, _ in before)
                logger.warning("A lock came free (%s), without %s.", type(error).__name__, names or "any loss")

    def close(self) -> None:
        """End the session, and with it what it holds."""
        with self._lock:
            self._drop()
            self._held.clear()

    @contextmanager
    def _session(self) -> Iterator[Connection]:
        kept = self._connection or self._connect()
        try:
            yield kept
        except (psycopg.Error, UnicodeError):
            self._settle(kept)
            raise

    def _settle(self, kept: Connection) -> None:
        """After an error: undo what was begun and let go of all but what is held; else connect anew."""
        try:
            if kept.info.transaction_status != pq.TransactionStatus.IDLE:
                trip.make(kept, _ROLLBACK)
            trip.make(kept, (_LET_GO, [array(self._held)]))
        except psycopg.Error:
            self._drop()
            if self._held:
                with suppress(psycopg.Error):  # it is away: whoever asks next tries again
                    self._connect()

    def _connect(self) -> Connection:
        kept = session.connect()
        try:
            if self._held:
                kept.execute(_RETAKE, [list(self._held)])
        except BaseException:  # or it would hold them for as long as the process lives
            kept.close()
            raise
        if self._was_connected:
            self.quiet_until = time.monotonic() + QUIET_S
        self._connection, self._was_connected = kept, True
        return kept

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class Turns:
    """Threads of this process that want the same thing: one at a time asks the database for all of them."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.taken = False
        self.users = 0


def patiently(context: ToolContext, tool: str, ask: Callable[[], T]) -> T:
    """Return what the database answers, however long it is away, for as long as the run is ours.

    Raises `NoLongerOurs`.
    """
    away_since: float | None = None
    while True:
        context.begin()
        try:
            found = ask()
        except AWAY as error:
            if away_since is None:
                away_since = time.monotonic()
                why = type(error).__name__
                logger.warning("A call of the tool %s waits for the platform's database (%s).", tool, why)
            time.sleep(attempts.AWAY_PAUSE_S)
        else:
            if away_since is not None:
                waited_s = time.monotonic() - away_since
                logger.warning("A call of the tool %s waits no longer, after %.1f s.", tool, waited_s)
            return found


def array(keys: Iterable[int]) -> str:
    """Return keys as a parameter of the type bigint[]."""
    return f"{{{','.join(map(str, keys))}}}"


def key_of(*parts: object) -> int:
    """Return the key of a lock, the same in every process: 64 bits of a SHA-256, signed as PostgreSQL takes it."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


kept: Final = Kept()
