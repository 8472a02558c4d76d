"""Reserve before a run starts, settle when it ends: no run starts on money that others hold.

A run reserves all that its own limit lets it spend, and stops within it, so what is spent and reserved together never
passes a budget.

Both are one conditional UPDATE, which the engine makes a part of the step's own statement. Where nothing but the
tenant's month counts, that is one row; where budgets of the run's agent, of whom it acts for, or by day count too, it
is one row each, all or none. Lock order: the run's row first, then the windows' in the order of their budgets' ids.
Isolation: READ COMMITTED; the row locks serialise.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final, Protocol
from uuid import UUID

from db.models import new_id


class Executes(Protocol):
    """A psycopg connection or cursor."""

    def execute(self, query: str, params: Any = ...) -> Any: ...


@dataclass(frozen=True, slots=True)
class Change:
    """What a step does to its tenant's month or, where more counts, to all the windows that do.

    hold_usd, hold_tokens: added to what is reserved; negative gives back. spent_usd, spent_tokens: added to what is
    spent. Amounts in nano-USD and tokens. window_on: the month's first day. windows: the ids of all windows, the
    month's among them; empty when it alone counts.
    """

    hold_usd: int
    hold_tokens: int
    spent_usd: int
    spent_tokens: int
    window_on: date
    windows: tuple[UUID, ...] = ()

    def settled(self, *, usd_nano: int, tokens: int) -> "Change":
        """Return the change that gives this reservation back and counts what was really spent, in the same windows."""
        return replace(
            self, hold_usd=-self.hold_usd, hold_tokens=-self.hold_tokens, spent_usd=usd_nano, spent_tokens=tokens
        )

    def values(self) -> dict[str, Any]:
        """Return it as JSON for `change_sql`."""
        return {
            "hold_usd": self.hold_usd,
            "hold_tokens": self.hold_tokens,
            "spent_usd": self.spent_usd,
            "spent_tokens": self.spent_tokens,
            "window_on": self.window_on.isoformat(),
            "windows": [str(each) for each in self.windows],
        }


@dataclass(frozen=True, slots=True)
class Payer:
    """Who pays for a run: its tenant; and its agent and whom it acts for, which may have budgets of their own.

    above: the agents of the runs that it is part of, which pay as well.
    """

    tenant_id: UUID
    agent_id: UUID | None = None
    user_id: UUID | None = None
    above: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True)
class Full:
    """A window without room for a reservation. budget: the name of its budget; kind: what that is of, and for how long.

    usd, tokens: whether that one lacks.
    """

    window_id: UUID
    budget: str
    kind: str
    usd: bool
    tokens: bool


def reservation(usd_nano: int, tokens: int, *, on: date, windows: Sequence[UUID] = ()) -> Change:
    """Return the change that reserves both amounts in the month of `on`, or in `windows` if there are some."""
    return Change(usd_nano, tokens, 0, 0, on.replace(day=1), tuple(windows))


# --- the statements -------------------------------------------------------------------------------------------------

_USD_FITS: Final = (
    "(b.usd_nano IS NULL OR c.hold_usd <= 0"
    " OR w.spent_usd_nano + w.reserved_usd_nano + c.hold_usd <= b.usd_nano + w.extra_usd_nano)"
)
_TOKENS_FIT: Final = (
    "(b.tokens IS NULL OR c.hold_tokens <= 0"
    " OR w.spent_tokens + w.reserved_tokens + c.hold_tokens <= b.tokens + w.extra_tokens)"
)
_SET: Final = """
    SET reserved_usd_nano = w.reserved_usd_nano + c.hold_usd, reserved_tokens = w.reserved_tokens + c.hold_tokens,
        spent_usd_nano = w.spent_usd_nano + c.spent_usd, spent_tokens = w.spent_tokens + c.spent_tokens
"""

#: Whether the soft limit of the window `w` of the budget `b` is spent and nobody was told.
SOFT_SPENT: Final = """
    b.soft IS NOT NULL AND NOT w.soft_told
    AND (coalesce(w.spent_usd_nano >= b.soft * (b.usd_nano + w.extra_usd_nano), false)
         OR coalesce(w.spent_tokens >= b.soft * (b.tokens + w.extra_tokens), false))
"""


def _counts(budget: str, *, agent: str, user: str) -> str:
    return f"""({budget}.of = 'tenant' OR ({budget}.of = 'agent' AND {budget}.of_id = {agent})
        OR ({budget}.of = 'user' AND {budget}.of_id = {user}))"""


def change_sql(*, given: str, source: str | None = None, alone: bool = False, when: str = "true") -> str:
    """Return the CTE `budget`, which reserves or settles in the tenant's month beside a run's step.

    given: a relation of one row with the columns `tenant`, `window_on` (date), `hold_usd`, `hold_tokens` (added to what
    is reserved: negative gives back) and `spent_usd`, `spent_tokens` (bigint). source: a relation that has a row when
    the change shall happen. alone: whether nothing shall happen when more than the month counts; then `agent` and
    `for_user` (uuid) are given too. when: a condition over the given relation as `c`. Holds a row when the month was
    changed, not when the limits do not allow it; it says whether the soft limit is spent and nobody was told.
    """
    others = f"""
      AND NOT EXISTS (SELECT FROM quotas_budget o WHERE o.tenant_id = c.tenant AND o.id <> b.id
          AND {_counts("o", agent="c.agent", user="c.for_user")})"""
    return f"""
budget (soft_spent) AS (
    UPDATE quotas_window w {_SET}
    FROM quotas_budget b, {given} c{f", {source}" if source else ""}
    WHERE b.tenant_id = c.tenant AND b.of = 'tenant' AND b.period = 'month' AND w.budget_id = b.id
      AND w.starts_on = c.window_on AND {_USD_FITS} AND {_TOKENS_FIT} AND {when}{others if alone else ""}
    RETURNING {SOFT_SPENT}
)
"""


def changes_sql(*, given: str, source: str | None = None) -> str:
    """Return the same for several windows, all or none: `windows` (JSON, their ids) is given too.

    They are locked in the order of their budgets' ids before the first is changed.
    """
    return f"""
windows_held AS MATERIALIZED (
    SELECT w.id, {_USD_FITS} AND {_TOKENS_FIT} AS fits
    FROM {given} c, quotas_budget b, quotas_window w{f", {source}" if source else ""}
    WHERE w.tenant_id = c.tenant AND b.tenant_id = c.tenant AND w.budget_id = b.id
      AND w.id = ANY(ARRAY(SELECT e::uuid FROM {given} g, json_array_elements_text(g.windows) AS e))
    ORDER BY w.budget_id, w.id FOR NO KEY UPDATE OF w
), budget (soft_spent) AS (
    UPDATE quotas_window w {_SET}
    FROM windows_held, quotas_budget b, {given} c
    WHERE w.id = windows_held.id AND b.tenant_id = c.tenant AND b.id = w.budget_id
      AND NOT EXISTS (SELECT FROM windows_held WHERE NOT fits)
    RETURNING {SOFT_SPENT}
)
"""  # noqa: S608 - relations of our own


def settlements_sql(*, source: str) -> str:
    """Return the CTE `budget` that settles the runs of several steps, each window once: (window_on, soft_spent).

    source: a relation of the steps that were written, with `tenant_id` and the columns of `change_sql`; `window_on` is
    null in those of runs that do not settle. Only for runs of which nothing but the tenant's month counts.
    """
    return f"""
budget (window_on, soft_spent) AS (
    UPDATE quotas_window w {_SET}
    FROM quotas_budget b, (
        SELECT tenant_id AS tenant, window_on, sum(hold_usd)::bigint AS hold_usd, sum(spent_usd)::bigint AS spent_usd,
            sum(hold_tokens)::bigint AS hold_tokens, sum(spent_tokens)::bigint AS spent_tokens
        FROM {source} WHERE window_on IS NOT NULL GROUP BY tenant_id, window_on) AS c
    WHERE b.tenant_id = c.tenant AND b.of = 'tenant' AND b.period = 'month' AND w.budget_id = b.id
      AND w.starts_on = c.window_on
    RETURNING w.starts_on, {SOFT_SPENT}
)
"""  # noqa: S608 - a relation of our own


_GIVEN: Final = """
WITH given AS MATERIALIZED (
    SELECT %(tenant)s::uuid AS tenant, %(hold_usd)s::bigint AS hold_usd, %(hold_tokens)s::bigint AS hold_tokens,
        %(spent_usd)s::bigint AS spent_usd, %(spent_tokens)s::bigint AS spent_tokens, %(window_on)s::date AS window_on,
        to_json(%(windows)s::uuid[]) AS windows)
"""
_CHANGE: Final = f"{_GIVEN}, {change_sql(given='given')} SELECT soft_spent FROM budget"  # noqa: S608 - constants only
_CHANGES: Final = f"{_GIVEN}, {changes_sql(given='given')} SELECT soft_spent FROM budget"  # noqa: S608

_OPEN_BUDGET: Final = """
INSERT INTO quotas_budget (id, tenant_id, of) VALUES (%(id)s, %(tenant)s, 'tenant') ON CONFLICT DO NOTHING
"""

_STARTS_ON: Final = "CASE b.period WHEN 'month' THEN date_trunc('month', %(on)s::date)::date ELSE %(on)s::date END"
_COUNTING: Final = f"""
    b.tenant_id = %(tenant)s AND {_counts("b", agent="ANY(%(agents)s::uuid[])", user="%(user)s::uuid")}
    AND (b.of = 'agent' OR NOT %(agents_alone)s)
"""

#: In the order of the budgets, so that two who open the same windows wait for each other in turn.
_OPEN_WINDOWS: Final = f"""
INSERT INTO quotas_window
    (id, tenant_id, budget_id, starts_on, reserved_usd_nano, reserved_tokens, spent_usd_nano, spent_tokens)
SELECT gen_random_uuid(), %(tenant)s, b.id, {_STARTS_ON}, 0, 0, 0, 0 FROM quotas_budget b
WHERE {_COUNTING} AND NOT EXISTS (
    SELECT FROM quotas_window w WHERE w.tenant_id = %(tenant)s AND w.budget_id = b.id AND w.starts_on = {_STARTS_ON})
ORDER BY b.id
ON CONFLICT DO NOTHING
"""  # noqa: S608 - constants only

_WINDOWS: Final = f"""
SELECT w.id FROM quotas_budget b
JOIN quotas_window w ON w.tenant_id = %(tenant)s AND w.budget_id = b.id AND w.starts_on = {_STARTS_ON}
WHERE {_COUNTING} ORDER BY b.id
"""  # noqa: S608 - constants only

_FULL: Final = f"""
SELECT w.id, coalesce(b.name, b.of || '-' || b.period), b.of || '-' || b.period, NOT {_USD_FITS}, NOT {_TOKENS_FIT}
FROM quotas_budget b JOIN quotas_window w ON w.tenant_id = %(tenant)s AND w.budget_id = b.id,
    (SELECT %(hold_usd)s::bigint AS hold_usd, %(hold_tokens)s::bigint AS hold_tokens) AS c
WHERE b.tenant_id = %(tenant)s AND NOT ({_USD_FITS} AND {_TOKENS_FIT})
  AND CASE WHEN %(windows)s::uuid[] = '{{}}' THEN b.of = 'tenant' AND b.period = 'month' AND w.starts_on = %(window_on)s
           ELSE w.id = ANY(%(windows)s::uuid[]) END
ORDER BY b.id LIMIT 1
"""  # noqa: S608 - constants only

#: Locks what the reservation behind it will change, too, so that the order of locks is kept.
_EXTEND: Final = """
WITH held AS MATERIALIZED (
    SELECT id FROM quotas_window
    WHERE tenant_id = %(tenant)s AND (id = %(window)s OR id = ANY(%(windows)s::uuid[]))
    ORDER BY budget_id, id FOR NO KEY UPDATE)
UPDATE quotas_window w
SET extra_usd_nano = w.extra_usd_nano + %(usd)s, extra_tokens = w.extra_tokens + %(tokens)s
FROM held WHERE w.tenant_id = %(tenant)s AND w.id = held.id AND held.id = %(window)s RETURNING 1
"""


# --- what is done with them -----------------------------------------------------------------------------------------


def make(connection: Executes, change: Change, *, tenant_id: UUID) -> bool:
    """Change the tenant's month, or the windows; False, and nothing done, when a limit does not allow it.

    Also when the month was never opened.
    """
    parameters = _parameters(change, tenant_id)
    return connection.execute(_CHANGES if change.windows else _CHANGE, parameters).fetchone() is not None


def reserve(connection: Executes, change: Change, *, tenant_id: UUID) -> bool:
    """Do the same, and open the month if it was not; False says that a budget does not allow it now."""
    if make(connection, change, tenant_id=tenant_id):
        return True
    if change.windows:
        return False
    counting_windows(connection, Payer(tenant_id), on=change.window_on)
    # Also when it was open: another run may have opened it since the first try.
    return make(connection, change, tenant_id=tenant_id)


def counting_windows(connection: Executes, payer: Payer, *, on: date) -> tuple[UUID, ...]:
    """Return the ids of all windows that count for a run which reserves on that day (UTC), opened where they were not.

    Empty when the tenant's month alone does.
    """
    connection.execute(_OPEN_BUDGET, {"tenant": payer.tenant_id, "id": new_id()})
    found = _opened(connection, payer, on, agents_alone=False)
    return found if len(found) > 1 else ()


def agent_windows(connection: Executes, payer: Payer, *, on: date) -> tuple[UUID, ...]:
    """Return the ids of the windows of that day (UTC) of the payer's own agent alone, opened where they were not.

    For a run that spends what another one holds: none when that one's line has the same agent, whose windows hold it.
    """
    alone = replace(payer, above=())
    return () if payer.agent_id in payer.above else _opened(connection, alone, on, agents_alone=True)


def _opened(connection: Executes, payer: Payer, on: date, *, agents_alone: bool) -> tuple[UUID, ...]:
    agents = [str(agent) for agent in (payer.agent_id, *payer.above) if agent is not None]
    parameters = {
        "tenant": payer.tenant_id,
        "agents": agents,
        "user": payer.user_id,
        "on": on,
        "agents_alone": agents_alone,
    }
    connection.execute(_OPEN_WINDOWS, parameters)
    return tuple(row[0] for row in connection.execute(_WINDOWS, parameters).fetchall())


def first_full(connection: Executes, change: Change, *, tenant_id: UUID) -> Full | None:
    """Return the first window in the order of locks that has no room for this reservation now."""
    row = connection.execute(_FULL, _parameters(change, tenant_id)).fetchone()
    return None if row is None else Full(*row)


def extend(
    connection: Executes, window_id: UUID, change: Change, *, usd_nano: int, tokens: int, tenant_id: UUID
) -> bool:
    """Add to what may be spent in this window alone; False when its budget is gone.

    change: what is reserved next in the same transaction; its windows are locked along.
    """
    windows = [str(each) for each in change.windows]
    parameters = {"tenant": tenant_id, "window": window_id, "windows": windows, "usd": usd_nano, "tokens": tokens}
    return connection.execute(_EXTEND, parameters).fetchone() is not None


def _parameters(change: Change, tenant_id: UUID) -> dict[str, Any]:
    return {"tenant": tenant_id, **change.values()}
