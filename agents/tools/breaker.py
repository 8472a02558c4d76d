"""Stop calling what fails, and look from time to time whether it is well again: a circuit breaker a tool and tenant.

Closed, calls are made. After so many failures in a row, of all workers, it opens: calls fail at once. When its time is
over one call is let through (half open), and closes it or opens it anew. Who makes that call holds an advisory lock
(`agents.tools.kept`), so that a worker that dies in it leaves the next call to try.

State is a row of the tool while it fails. Each process asks once a second, while it calls tools, which do, of all
tenants at once; a success of a tool that is well costs nothing.
"""

import logging
import threading
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import Error, connection

from agents.core.guards import Breaker
from agents.core.spec import ToolSpec
from agents.models import ToolBreaker
from agents.tools.kept import AWAY, Kept, Rows, kept, key_of, patiently
from agents.tools.seam import Failed, Finished, Outcome, OutcomeUnknown, ToolContext
from audit import journal
from db import trip
from db.models import new_id
from db.roles import ENTER_DISPATCH
from db.scope import SCOPE, tenant_scope
from metrics.counters import count

logger = logging.getLogger(__name__)

ACTOR: Final = "engine"

#: Seconds that what a process knows is good for.
KNOWN_S: Final = 1.0

#: Failures further apart than this are not in a row, in words of PostgreSQL.
ROW: Final = "10 minutes"

#: Codes of failures that tell nothing of the other side: it was not asked.
NOT_ASKED: Final = frozenset({"busy", "circuit_open", "misconfigured", "bad_arguments", "egress_denied", "raised"})

# Few rows: a success takes its tool's away, and those that nobody calls any more drop out.
_READ: Final = trip.statement(
    "tool_breakers",
    f"""
SELECT tool_id, failures, extract(epoch FROM retry_at - statement_timestamp()) FROM agents_toolbreaker
WHERE opened_at IS NOT NULL OR failed_at > statement_timestamp() - interval '{ROW}'
""",  # noqa: S608 - a constant only
)

_FORGET: Final = trip.statement(
    "tool_breaker_forget", "DELETE FROM agents_toolbreaker WHERE tool_id = %(tool)s::uuid AND opened_at IS NULL", "tool"
)
_CLOSE: Final = """
DELETE FROM agents_toolbreaker WHERE tool_id = %s AND opened_at IS NOT NULL RETURNING failures
"""

_PROBE: Final = trip.statement(
    "tool_breaker_probe",
    """
SELECT failures, extract(epoch FROM retry_at - statement_timestamp()),
    CASE WHEN retry_at <= statement_timestamp() AND %(free)s::boolean
    THEN pg_try_advisory_lock(%(lock)s::bigint) ELSE false END
FROM agents_toolbreaker WHERE tool_id = %(tool)s::uuid AND opened_at IS NOT NULL
""",
    *("lock", "free", "tool"),
)

_FAILED: Final = f"""
INSERT INTO agents_toolbreaker AS present (id, tenant_id, tool_id, failures, failed_at)
VALUES (%(id)s, %(tenant)s, %(tool)s, 1, statement_timestamp())
ON CONFLICT (tenant_id, tool_id) DO UPDATE SET failed_at = excluded.failed_at, failures = CASE
    WHEN present.opened_at IS NULL AND present.failed_at < statement_timestamp() - interval '{ROW}' THEN 1
    ELSE present.failures + 1 END
RETURNING failures, opened_at IS NOT NULL
"""  # noqa: S608 - a constant only

_OPEN: Final = """
UPDATE agents_toolbreaker SET retry_at = statement_timestamp() + make_interval(secs => %(open_s)s),
    opened_at = coalesce(opened_at, statement_timestamp())
WHERE tool_id = %(tool)s
"""


@dataclass(frozen=True, slots=True)
class _Known:
    """A tool that fails. retry_at: when a call may be tried, on the monotonic clock; None while it is closed."""

    failures: int
    retry_at: float | None


@dataclass(frozen=True, slots=True)
class Probe:
    """The one call that is made to see whether the tool is well again. key: of the lock that it holds."""

    key: int


class Breakers:
    """The breakers of all tools, as this process knows them. Thread-safe."""

    def __init__(self, session: Kept) -> None:
        self._session = session
        self._looking = threading.Lock()
        self._next_look = 0.0
        self._known: dict[UUID, _Known] = {}

    def admit(self, tool: ToolSpec, context: ToolContext) -> Probe | Failed | None:
        """Say whether the call may be made: None for yes, as the probe, or why not. Raises `NoLongerOurs`."""
        self._look()
        known = self._known.get(tool.id)
        if known is None or known.retry_at is None:
            return None
        if time.monotonic() < known.retry_at:
            return _open(tool, known.failures)
        return patiently(context, tool.name, lambda: self._probe(tool, context.tenant_id))

    def tell(
        self, tool: ToolSpec, breaker: Breaker, tenant_id: UUID, probe: Probe | None, outcome: Outcome | None
    ) -> None:
        """Take note of what came of a call that was admitted; None for nothing. Never raises what the database raises.

        A failure that is not noted for want of the database is forgotten, as is a success.
        """
        well = None if outcome is None else is_well(outcome)
        try:
            if well is False:
                self._failed(tool, breaker, tenant_id, again=probe is not None)
            elif well and probe is not None:
                self._close(tool, tenant_id)
            elif well and self._fails(tool):
                self._forget(tool, tenant_id)
        except Error as error:
            logger.warning("the breaker of the tool %s misses a call (%s)", tool.name, type(error).__name__)
        finally:
            if probe is not None:
                self._session.give_back(probe.key)

    def forget(self) -> None:
        """Ask anew before the next call."""
        self._next_look = 0.0

    # --- what is known here ---------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Ask which tools fail, if that is due; other threads go on meanwhile with what was known before."""
        if time.monotonic() < self._next_look or not self._looking.acquire(blocking=False):
            return
        try:
            self._next_look = time.monotonic() + KNOWN_S
            _, rows = trip.make_alone(ENTER_DISPATCH, (_READ, ()))
            now = time.monotonic()
            self._known = {
                trip.uuid(tool): _Known(trip.integer(failures), None if left_s is None else now + float(left_s))
                for tool, failures, left_s in rows
            }
        except AWAY as error:
            logger.warning("it is not known which tools fail (%s)", type(error).__name__)
        finally:
            connection.close()
            self._looking.release()

    def _probe(self, tool: ToolSpec, tenant_id: UUID) -> Probe | Failed | None:
        lock = key_of("probe", tool.id)

        def calls(held: frozenset[int]) -> list[trip.Call]:
            free = "f" if lock in held else "t"
            return [(SCOPE, [str(tenant_id)]), (_PROBE, [str(lock), free, str(tool.id)])]

        def taken(rows: Rows) -> int | None:
            return lock if rows[1] and rows[1][0][2] == b"t" else None

        rows, key = self._session.ask(calls, taken)
        if key is not None:
            return Probe(key)
        if not rows[1]:
            self._known.pop(tool.id, None)
            return None
        failures, left_s, _ = rows[1][0]
        wait_s = max(float(left_s or b"0"), KNOWN_S)  # when it is being tried now, nobody needs to ask again at once
        self._known[tool.id] = _Known(trip.integer(failures), time.monotonic() + wait_s)
        return _open(tool, trip.integer(failures))

    # --- what happened --------------------------------------------------------------------------------------------

    def _failed(self, tool: ToolSpec, breaker: Breaker, tenant_id: UUID, *, again: bool) -> None:
        values: dict[str, UUID | int] = {"id": new_id(), "tenant": tenant_id, "tool": tool.id, "open_s": breaker.open_s}
        try:
            with tenant_scope(tenant_id), connection.cursor() as cursor:
                cursor.execute(_FAILED, values)
                failures, is_open = cursor.fetchone()
                opens = not is_open and failures >= breaker.failures
                if opens or (again and is_open):
                    cursor.execute(_OPEN, values)
                if opens:
                    _record("tool.breaker_opened", tool, {"failures": failures, "open_s": breaker.open_s})
        finally:
            connection.close()
        if opens:
            count("breaker_changes", "open")
        if opens or (again and is_open):
            self._known[tool.id] = _Known(failures, time.monotonic() + breaker.open_s)
        elif not is_open:
            self._known[tool.id] = _Known(failures, None)

    def _fails(self, tool: ToolSpec) -> bool:
        known = self._known.get(tool.id)
        return known is not None and known.retry_at is None

    def _forget(self, tool: ToolSpec, tenant_id: UUID) -> None:
        """Begin the count anew, unless the breaker has opened meanwhile: that was not the probe."""
        try:
            trip.make_alone((SCOPE, [str(tenant_id)]), (_FORGET, [str(tool.id)]))
        finally:
            connection.close()
        self._known.pop(tool.id, None)

    def _close(self, tool: ToolSpec, tenant_id: UUID) -> None:
        try:
            with tenant_scope(tenant_id), connection.cursor() as cursor:
                cursor.execute(_CLOSE, [tool.id])
                row = cursor.fetchone()
                if row is not None:
                    _record("tool.breaker_closed", tool, {"failures": row[0]})
        finally:
            connection.close()
        if row is not None:
            count("breaker_changes", "closed")
        self._known.pop(tool.id, None)


def is_well(outcome: Outcome) -> bool | None:
    """Say whether an outcome shows the other side well; None when it shows nothing."""
    if isinstance(outcome, Finished):
        return True
    if outcome.code in NOT_ASKED:
        return None
    if isinstance(outcome, OutcomeUnknown):
        return outcome.code == "bad_result"
    return not (outcome.retryable or outcome.maybe_done)


def state_of(row: ToolBreaker | None, now: datetime) -> dict[str, object]:
    """Return a breaker as the API shows it. row: None for one whose tool is well."""
    if row is None:
        return {"state": "closed", "failures": 0, "opened_at": None, "retry_at": None}
    state = "closed" if row.opened_at is None else "open" if row.retry_at and row.retry_at > now else "half_open"
    return {
        "state": state,
        "failures": row.failures,
        "opened_at": row.opened_at.isoformat() if row.opened_at else None,
        "retry_at": row.retry_at.isoformat() if row.retry_at else None,
    }


def _open(tool: ToolSpec, failures: int) -> Failed:
    told = f"{tool.name} has failed {failures} times in a row and is not called for a while. Do without it, or say so."
    return Failed("circuit_open", told, retryable=True)


def _record(action: str, tool: ToolSpec, facts: dict[str, int]) -> None:
    journal.record(action, stream=tool.id, actor=ACTOR, facts={"version": tool.version, **facts})


breakers: Final = Breakers(kept)
