"""What the supplier of models takes from this installation at once: calls in the air, and tokens a minute.

All workers share it, on whatever host. A place for a call is an advisory lock of a session that the process keeps, so
that it costs no commit and comes free by itself when the process dies, however it dies. Tokens are counted by call in
an unlogged table: at most, while the call is in the air; then as it used them, for as long as the window lasts. So what
ended within the window and what is in the air are never above the limit together.

Nobody waits here. Who gets no place, or no tokens, is told so and lets go of the run. After a restart of the database
the sessions take their places anew, before anybody gets another one; the tokens of before a crash are forgotten.
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Final
from uuid import UUID

import psycopg
from django.conf import settings

from db import session, trip
from db.models import new_id
from db.pool import Connection

_logger = logging.getLogger(__name__)

#: First keys of the advisory locks: of places, of the sessions' own numbers, and of the turnstile of tokens.
PLACES: Final = 0x43530002
_WORKERS: Final = 0x43530003
_TURNSTILE: Final = 0x43530004

WINDOW_S: Final = 60.0

#: Seconds to wait when only calls in the air stand in the way, as nobody knows when they end.
UNKNOWN_S: Final = 2.0

#: Seconds after which to ask for a place again: whoever had one may be done.
BUSY_S: Final = 0.25

#: Seconds without new places after a session broke: time for the other workers to take theirs anew.
QUIET_S: Final = 10.0

# From anywhere on, so that workers do not all try the same ones. What the session has already it would get again.
_TAKE: Final = """
SELECT place FROM (
    SELECT (n + %(first)s::integer) %% %(all)s::integer AS place FROM generate_series(1, %(all)s::integer) AS n) AS each
WHERE CASE WHEN place = ANY(%(held)s::integer[]) THEN false ELSE pg_try_advisory_lock(%(places)s, place) END LIMIT 1
"""
_RETAKE: Final = "SELECT pg_try_advisory_lock(%s, place) FROM unnest(%s::integer[]) AS place"
_GIVE_BACK: Final = "SELECT pg_advisory_unlock(%s, %s)"

# One at a time, until the transaction of the trip ends: the sum below must hold whoever else adds to it.
_ENTER: Final = trip.statement("provider_enter", f"SELECT pg_advisory_xact_lock({_TURNSTILE}, 0)")

_CHARGE: Final = trip.statement(
    "provider_charge",
    """
WITH counted AS (
    SELECT tokens, counts_until FROM quotas_modelcall
    WHERE counts_until IS NULL OR counts_until > statement_timestamp()
), gone AS (
    DELETE FROM quotas_modelcall WHERE counts_until <= statement_timestamp()
), room AS (
    SELECT %(most)s::bigint - coalesce(sum(tokens), 0) AS tokens FROM counted
), made AS (
    INSERT INTO quotas_modelcall (id, worker, tokens)
    SELECT %(id)s::uuid, %(worker)s::integer, %(tokens)s::bigint FROM room WHERE room.tokens >= %(tokens)s::bigint
    RETURNING 1
)
SELECT (SELECT count(*) FROM made), (
    SELECT extract(epoch FROM min(counts_until) - statement_timestamp()) FROM (
        SELECT counts_until, sum(tokens) OVER (ORDER BY counts_until) AS freed FROM counted) AS ending, room
    WHERE ending.freed >= %(tokens)s::bigint - room.tokens)
""",
    *("most", "id", "worker", "tokens"),
)

_SETTLE: Final = trip.statement(
    "provider_settle",
    """
UPDATE quotas_modelcall SET tokens = %(tokens)s::bigint, counts_until = statement_timestamp() + %(window)s::interval
WHERE id = %(id)s::uuid
""",
    *("tokens", "window", "id"),
)

# The calls of a worker that is gone ended with it.
_BURY: Final = trip.statement(
    "provider_bury",
    f"""
UPDATE quotas_modelcall SET counts_until = statement_timestamp() + %(window)s::interval
WHERE counts_until IS NULL AND worker <> %(worker)s::integer AND pg_try_advisory_xact_lock({_WORKERS}, worker)
""",  # noqa: S608 - constants only
    *("window", "worker"),
)


class Gate:
    """One process's share. Thread-safe; made after the fork.

    concurrency: calls in the air over all workers; tokens: of `window_s` seconds. 0 limits nothing. freed: called when
    a place came free here.
    """

    def __init__(self, *, concurrency: int, tokens: int, window_s: float = WINDOW_S) -> None:
        self.concurrency = concurrency
        self.tokens = tokens
        self.freed: Callable[[], None] = lambda: None
        self._window = f"{window_s} seconds"
        self._lock = threading.Lock()  # guards what follows, and whose turn it is on the session
        self._kept: Connection | None = None
        self._worker = 0
        self._held: set[int] = set()
        self._closed_until = 0.0

    def enter(self) -> "Place | None":
        """Take a place for one call; None when all are taken, or the window's tokens are known to be spent."""
        with self._lock, self._session() as kept:
            if time.monotonic() < self._closed_until:
                return None
            if not self.concurrency:
                return Place(self, None)
            first = random.randrange(self.concurrency)  # noqa: S311 - no secret
            asked = {"first": first, "all": self.concurrency, "held": list(self._held), "places": PLACES}
            row = kept.execute(_TAKE, asked).fetchone()
            if row is None:
                return None
            self._held.add(row[0])
            return Place(self, row[0])

    def wait_s(self) -> float:
        """Return the seconds after which to ask again."""
        return max(BUSY_S, self._closed_until - time.monotonic())

    def close(self) -> None:
        """End the session, and with it what it holds."""
        with self._lock:
            self._drop()

    # --- for places ---------------------------------------------------------------------------------------------

    def charge(self, call: UUID, tokens: int) -> float:
        """Count a call that will use so many tokens at most; returns 0, or the seconds to wait and nothing counted."""
        with self._lock, self._session() as kept:
            asked = [str(self.tokens), str(call), str(self._worker), str(tokens)]
            _, ((made, wait_s),) = trip.make(kept, (_ENTER, ()), (_CHARGE, asked))
            if made == b"1":
                return 0.0
            trip.make(kept, (_BURY, [self._window, str(self._worker)]))
            seconds = UNKNOWN_S if wait_s is None else max(0.1, float(wait_s))
            self._closed_until = time.monotonic() + seconds
            return seconds

    def leave(self, number: int | None, call: UUID | None, tokens: int) -> None:
        """Say what a call used, and let another one have its place."""
        try:
            with self._lock:
                if number is not None:
                    self._held.discard(number)  # first: should the session break, nobody takes the place anew
                with self._session() as kept:
                    if call is not None:
                        trip.make(kept, (_SETTLE, [str(tokens), self._window, str(call)]))
                    if number is not None:
                        kept.execute(_GIVE_BACK, [PLACES, number])
        finally:  # also when the session broke: the place is free with it
            if number is not None:
                self._tell()

    def _tell(self) -> None:
        """Tell of a place that came free; whoever has an answer in their hands must not lose it over that."""
        try:
            self.freed()
        except Exception:
            _logger.exception("nobody was told that a place came free")

    # --- the session, under the lock ----------------------------------------------------------------------------

    @contextmanager
    def _session(self) -> Iterator[Connection]:
        kept = self._kept or self._connect()
        try:
            yield kept
        except psycopg.Error:
            self._drop()
            raise

    def _connect(self) -> Connection:
        kept = session.connect()
        try:
            number = _own_number(kept)
            kept.execute(_RETAKE, [PLACES, list(self._held)])
        except BaseException:  # or it would hold places for as long as the process lives
            kept.close()
            raise
        again, self._worker = self._worker != 0, number
        if again:
            self._closed_until = max(self._closed_until, time.monotonic() + QUIET_S)
        self._kept = kept
        return kept

    def _drop(self) -> None:
        if self._kept is not None:
            self._kept.close()
            self._kept = None


def _own_number(kept: Connection) -> int:
    """Return a number that no other session has, and that is this one's until it ends."""
    while True:
        number = random.randrange(1, 2**31)  # noqa: S311 - no secret
        if kept.execute("SELECT pg_try_advisory_lock(%s, %s)", [_WORKERS, number]).fetchone() == (True,):
            return number


class Place:
    """A place for one call of a model, from before its intent is written until it has ended."""

    def __init__(self, gate: Gate, number: int | None) -> None:
        self._gate = gate
        self._number = number
        self._call: UUID | None = None

    def charge(self, tokens: int) -> float:
        """Count the call, which will use so many tokens at most; returns 0, or the seconds to wait when it may not be.

        A call that is larger than the limit itself is let through when nothing else counts.
        """
        if not self._gate.tokens or self._call is not None:
            return 0.0
        call = new_id()
        wait_s = self._gate.charge(call, min(tokens, self._gate.tokens))
        if not wait_s:
            self._call = call
        return wait_s

    def leave(self, tokens: int = 0) -> None:
        """Give the place back; tokens: what the call used. The database's failures are its own."""
        call, self._call = self._call, None
        number, self._number = self._number, None
        if call is None and number is None:
            return
        try:
            self._gate.leave(number, call, tokens)
        except psycopg.Error as error:
            _logger.warning("what a model call took of the supplier's limits is not settled: %s", error)


@lru_cache(maxsize=1)
def gate() -> Gate | None:
    """Return this process's gate; None when nothing is limited."""
    if not (settings.PROVIDER_CONCURRENCY or settings.PROVIDER_TOKENS_PER_MINUTE):
        return None
    return Gate(concurrency=settings.PROVIDER_CONCURRENCY, tokens=settings.PROVIDER_TOKENS_PER_MINUTE)
