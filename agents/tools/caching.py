"""One cache for what tools answered: results, duplicates, and calls in flight (`cache_ttl_s` of a definition).

A call is equal to another if tenant, definition, arguments and, unless the tool shares its results in the tenant, the
member are. Of equal calls at the same time one is made, in whatever process; the others wait for its result, and when
there is none they try themselves, one after another. Who makes the call holds an advisory lock (`agents.tools.kept`).

What it costs: a hit one round trip before; a miss one before and one after the call. Who waits in the process that
makes the call pays none. Results are what the model was told: without secrets, as the schema says, cut to size.
"""

import hashlib
import json
import logging
import random
import threading
import time
from collections.abc import Callable
from typing import Final
from uuid import UUID

from django.db import Error, connection

from agents.core.exact import enclose
from agents.core.guards import Guards
from agents.core.spec import ToolSpec
from agents.tools.kept import AWAY, BEGIN, COMMIT, Kept, Rows, kept, patiently
from agents.tools.seam import Failed, Finished, Outcome, ToolCall, ToolContext
from audit.canonical import canonical
from db import trip
from db.roles import dispatch
from db.scope import SCOPE, tenant_scope

logger = logging.getLogger(__name__)

#: Seconds between two looks at what another process is calling, at first and at most.
FIRST_S: Final = 0.02
MOST_S: Final = 0.5

#: What a tenant's kept results have together at most, in characters; the nearest to their end go first.
MOST_CHARS: Final = 64 * 1024 * 1024

#: What a result counts besides its own characters.
ROW_CHARS: Final = 200

#: Results that one purge takes at most, and seconds between two of a process.
PURGED: Final = 1000
PURGE_S: Final = 60.0

#: After how many results stored a process looks, when it purges next, whether the tenant has too many.
LOOKED_AT: Final = 64

# The lock before the look: who gets it sees what the last holder wrote, for that one wrote before it let go.
_LEAD: Final = trip.statement(
    "tool_result_lead",
    """
SELECT pg_try_advisory_lock(%(lock)s::bigint)
WHERE NOT EXISTS (SELECT FROM agents_toolresult WHERE key = %(key)s AND expires_at > statement_timestamp())
""",
    *("lock", "key"),
)
_FIND: Final = trip.statement(
    "tool_result_find",
    "SELECT result, truncated FROM agents_toolresult WHERE key = %(key)s AND expires_at > statement_timestamp()",
    "key",
)
_STORE: Final = trip.statement(
    "tool_result_store",
    """
INSERT INTO agents_toolresult AS present (key, tenant_id, tool_id, run_id, result, size, truncated, expires_at)
SELECT key, current_setting('app.tenant')::uuid, tool, run, result, length(result), truncated,
    statement_timestamp() + ttl
FROM (SELECT %(key)s::text, %(tool)s::uuid, %(run)s::uuid, %(result)s::text, %(truncated)s::boolean,
    %(ttl)s::interval) AS made (key, tool, run, result, truncated, ttl)
ON CONFLICT (key) DO UPDATE SET run_id = excluded.run_id, result = excluded.result, size = excluded.size,
    truncated = excluded.truncated, expires_at = excluded.expires_at
""",
    *("key", "tool", "run", "result", "truncated", "ttl"),
)
# Latest end first, so that what is over the bound is what would have gone soonest.
_BOUND: Final = f"""
DELETE FROM agents_toolresult WHERE tenant_id = current_setting('app.tenant')::uuid AND expires_at <= (
    SELECT max(expires_at) FROM (
        SELECT expires_at, sum(size + {ROW_CHARS}) OVER (ORDER BY expires_at DESC) AS total FROM agents_toolresult
        WHERE tenant_id = current_setting('app.tenant')::uuid) AS kept
    WHERE total > %s)
"""  # noqa: S608 - a constant only
_PURGE: Final = """
DELETE FROM agents_toolresult WHERE key IN (
    SELECT key FROM agents_toolresult WHERE expires_at <= statement_timestamp() ORDER BY expires_at LIMIT %s)
"""


class _Flight:
    """Equal calls of this process. Guarded by `changed`."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.led = False
        self.found: Finished | None = None
        self.users = 0  # guarded by the cache's lock


class Cache:
    """The cache, as this process sees it. Thread-safe. most_chars: what a tenant's results have together at most."""

    def __init__(self, session: Kept, *, most_chars: int = MOST_CHARS) -> None:
        self._session = session
        self._most_chars = most_chars
        self._lock = threading.Lock()  # guards the four below, and each entry's `users`
        self._flights: dict[str, _Flight] = {}
        self._stored = random.randrange(LOOKED_AT)  # noqa: S311 - no secret; a process may live for a few calls only
        self._grown: set[UUID] = set()  # tenants who may have too many
        self._next_purge = 0.0

    def call(
        self, tool: ToolSpec, guards: Guards, call: ToolCall, context: ToolContext, make: Callable[[], Outcome]
    ) -> Outcome:
        """Return the result of an equal call, else make the call and keep its result.

        Raises `NoLongerOurs`, and what `make` raises.
        """
        key = key_of(tool, guards, call, context)
        until = time.monotonic() + call.definition.timeout_s
        flight = self._join(key)
        try:
            found = self._turn(flight, until, context)
            if found is None:
                found = self._led(flight, key, tool, guards, until, context, make)
        finally:
            self._leave(key, flight)
        return found

    # --- equal calls of this process ------------------------------------------------------------------------------

    def _join(self, key: str) -> _Flight:
        with self._lock:
            flight = self._flights.setdefault(key, _Flight())
            flight.users += 1
            return flight

    def _leave(self, key: str, flight: _Flight) -> None:
        with self._lock:
            flight.users -= 1
            if not flight.users and self._flights.get(key) is flight:
                del self._flights[key]

    def _turn(self, flight: _Flight, until: float, context: ToolContext) -> Outcome | None:
        """Wait for the result of who makes the call; None when it is this one's turn to make it."""
        with flight.changed:
            while flight.led and flight.found is None:
                context.begin()
                left_s = until - time.monotonic()
                if left_s <= 0:
                    return _waited_in_vain()
                flight.changed.wait(min(left_s, MOST_S))
            if flight.found is not None:
                return flight.found
            flight.led = True
            return None

    def _led(
        self,
        flight: _Flight,
        key: str,
        tool: ToolSpec,
        guards: Guards,
        until: float,
        context: ToolContext,
        make: Callable[[], Outcome],
    ) -> Outcome:
        outcome: Outcome | None = None
        try:
            outcome = self._found(key, tool, until, context)
            if outcome is None:
                outcome = self._made(key, tool, guards, context, make)
            return outcome
        finally:
            if isinstance(outcome, Finished):
                with self._lock:  # who comes now asks the database: what was found here may be erased there
                    if self._flights.get(key) is flight:
                        del self._flights[key]
            with flight.changed:
                flight.led = False
                if isinstance(outcome, Finished):
                    flight.found = _again(outcome)
                    flight.changed.notify_all()
                else:
                    flight.changed.notify()

    # --- all processes --------------------------------------------------------------------------------------------

    def _found(self, key: str, tool: ToolSpec, until: float, context: ToolContext) -> Outcome | None:
        """Return the kept result; None when this process is to make the call, and holds the lock for it."""
        lock, pause_s = _lock_of(key), FIRST_S
        trips = ((SCOPE, [str(context.tenant_id)]), (_LEAD, [str(lock), key]), (_FIND, [key]))

        def leads(rows: Rows) -> int | None:
            return lock if rows[1] and rows[1][0][0] == b"t" else None

        while True:
            rows, leading = patiently(context, tool.name, lambda: self._session.ask(lambda _: trips, leads))
            if rows[2]:
                if leading is not None:  # somebody's call ended just between the two looks
                    self._session.give_back(lock)
                text, truncated = rows[2][0]
                return Finished(json.loads(text or b"null"), truncated == b"t", from_cache=True)
            if leading is not None:
                return None
            left_s = until - time.monotonic()
            if left_s <= 0:
                return _waited_in_vain()
            time.sleep(min(left_s, pause_s * (0.5 + random.random() / 2)))  # noqa: S311 - no secret
            pause_s = min(pause_s * 1.5, MOST_S)

    def _made(
        self, key: str, tool: ToolSpec, guards: Guards, context: ToolContext, make: Callable[[], Outcome]
    ) -> Outcome:
        before: list[trip.Call] = []
        try:
            outcome = make()
            if isinstance(outcome, Finished):
                before = self._storing(key, tool, guards, context, outcome)
        finally:
            self._session.give_back(_lock_of(key), *before)
        return outcome

    def _storing(
        self, key: str, tool: ToolSpec, guards: Guards, context: ToolContext, outcome: Finished
    ) -> list[trip.Call]:
        run = str(context.run_id) if context.run_id is not None else None
        result = json.dumps(outcome.result, ensure_ascii=False, separators=(",", ":"))
        ttl = f"{guards.cache_ttl_s} seconds"
        values = [key, str(tool.id), run, result, "t" if outcome.truncated else "f", ttl]
        calls: list[trip.Call] = [BEGIN, (SCOPE, [str(context.tenant_id)]), (_STORE, values)]
        with self._lock:
            self._stored += 1
            if self._stored % LOOKED_AT == 0:
                self._grown.add(context.tenant_id)
        return [*calls, COMMIT]

    # --- what has expired, and what is too much ----------------------------------------------------------------------

    def purge_if_due(self) -> None:
        """Delete what has expired, whoever's it is, unless this process did so just now, and what is too much.

        Over a connection of the pool: it takes longer than anybody may have the session that all calls share.
        """
        with self._lock:
            grown, self._grown = self._grown, set()
            due = time.monotonic() >= self._next_purge
            if due:
                self._next_purge = time.monotonic() + PURGE_S
        if not (due or grown):
            return
        try:
            if due:
                purge()
            for tenant_id in grown:
                bound(tenant_id, self._most_chars)
        except AWAY as error:
            logger.warning("results of tools are not purged this time (%s)", type(error).__name__)
        except Error:
            logger.exception("results of tools are not purged this time")
        finally:
            connection.close()


def purge() -> int:
    """Delete what has expired, of all tenants, in a transaction of its own; returns how many went: `PURGED` at most."""
    with dispatch(), connection.cursor() as cursor:
        cursor.execute(_PURGE, [PURGED])
        return int(cursor.rowcount)


def bound(tenant_id: UUID, most_chars: int) -> int:
    """Delete what a tenant has over `most_chars`, in a transaction of its own; returns how many results went."""
    with tenant_scope(tenant_id), connection.cursor() as cursor:
        cursor.execute(_BOUND, [most_chars])
        return int(cursor.rowcount)


def key_of(tool: ToolSpec, guards: Guards, call: ToolCall, context: ToolContext) -> str:
    """Return the key that equal calls share: SHA-256 (hex) of whose they are, the definition and the arguments."""
    whose = {"tenant": str(context.tenant_id)}
    if not guards.tenant_wide:
        whose["principal"] = str(context.principal_id)
    known = {**whose, "tool": tool.digest, "arguments": enclose(call.arguments)}
    return hashlib.sha256(canonical(known).encode()).hexdigest()


def _lock_of(key: str) -> int:
    return int.from_bytes(bytes.fromhex(key[:16]), "big", signed=True)


def _again(outcome: Finished) -> Finished:
    return outcome if outcome.from_cache else Finished(outcome.result, outcome.truncated, from_cache=True)


def _waited_in_vain() -> Failed:
    told = "An equal call is being made, and there was no result of it within the tool's time-out."
    return Failed("busy", told, retryable=True)


cache: Final = Cache(kept)
