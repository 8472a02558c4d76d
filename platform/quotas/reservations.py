"""Reserve before a run starts, settle when it ends: no run starts on money that others hold.

A run stops at its own limit, which its last model call can pass; so can then the tenant's spending.

Each is one conditional UPDATE of the month's window row, in the transaction of the step that it belongs to; the engine
makes it a part of the step's own statement. Lock order: the run's row first, then the window's. Isolation: READ
COMMITTED; the row lock serialises.
"""

from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Protocol
from uuid import UUID

from db.models import new_id


class Executes(Protocol):
    """A psycopg connection or cursor."""

    def execute(self, query: str, params: Any = ...) -> Any: ...


@dataclass(frozen=True, slots=True)
class Change:
    """What a step does to its tenant's month.

    hold_usd, hold_tokens: added to what is reserved; negative gives back. spent_usd, spent_tokens: added to what is
    spent. Amounts in nano-USD and tokens. window_on: the month's first day.
    """

    hold_usd: int
    hold_tokens: int
    spent_usd: int
    spent_tokens: int
    window_on: date

    def settled(self, *, usd_nano: int, tokens: int) -> "Change":
        """Return the change that gives this reservation back and counts what was really spent, in the same month."""
        return Change(-self.hold_usd, -self.hold_tokens, usd_nano, tokens, self.window_on)


def reservation(usd_nano: int, tokens: int, *, on: date) -> Change:
    """Return the change that reserves both amounts in the month of `on`."""
    return Change(usd_nano, tokens, 0, 0, on.replace(day=1))


def change_sql(*, given: str, source: str | None = None) -> str:
    """Return the UPDATE that reserves or settles beside a run's step, as a part of its statement.

    given: a relation of one row with the columns `tenant`, `window_on` (date), `hold_usd`, `hold_tokens` (added to what
    is reserved: negative gives back) and `spent_usd`, `spent_tokens` (bigint). source: a relation that has a row when
    the change shall happen. Yields a row when the month was changed: not when the limits do not allow it.
    """
    return f"""
    UPDATE quotas_window w
    SET reserved_usd_nano = w.reserved_usd_nano + c.hold_usd, reserved_tokens = w.reserved_tokens + c.hold_tokens,
        spent_usd_nano = w.spent_usd_nano + c.spent_usd, spent_tokens = w.spent_tokens + c.spent_tokens
    FROM quotas_budget b, {given} c{f", {source}" if source else ""}
    WHERE b.tenant_id = c.tenant AND b.of = 'tenant' AND w.budget_id = b.id AND w.starts_on = c.window_on
      AND (b.usd_nano IS NULL OR c.hold_usd <= 0 OR w.spent_usd_nano + w.reserved_usd_nano + c.hold_usd <= b.usd_nano)
      AND (b.tokens IS NULL OR c.hold_tokens <= 0
           OR w.spent_tokens + w.reserved_tokens + c.hold_tokens <= b.tokens)
    RETURNING 1
"""  # noqa: S608 - relations of our own


_OPEN_BUDGET = """
INSERT INTO quotas_budget (id, tenant_id, of) VALUES (%(id)s, %(tenant)s, 'tenant') ON CONFLICT DO NOTHING
"""

_OPEN_WINDOW = """
INSERT INTO quotas_window
    (id, tenant_id, budget_id, starts_on, reserved_usd_nano, reserved_tokens, spent_usd_nano, spent_tokens)
SELECT %(id)s, %(tenant)s, b.id, %(window)s, 0, 0, 0, 0 FROM quotas_budget b
WHERE b.tenant_id = %(tenant)s AND b.of = 'tenant' ON CONFLICT DO NOTHING
"""

_CHANGE = change_sql(
    given="(SELECT %(tenant)s::uuid AS tenant, "
    "%(hold_usd)s::bigint AS hold_usd, %(hold_tokens)s::bigint AS hold_tokens, "
    "%(spent_usd)s::bigint AS spent_usd, %(spent_tokens)s::bigint AS spent_tokens, %(window_on)s::date AS window_on)"
)


def make(connection: Executes, change: Change, *, tenant_id: UUID) -> bool:
    """Change the tenant's month; False, and nothing done, when its limits do not allow it or it was never opened."""
    parameters = {"tenant": tenant_id, **asdict(change)}
    return connection.execute(_CHANGE, parameters).fetchone() is not None


def reserve(connection: Executes, change: Change, *, tenant_id: UUID) -> bool:
    """Do the same, and open the month if it was not; False says that the tenant's budget does not allow it now."""
    if make(connection, change, tenant_id=tenant_id):
        return True
    parameters = {"tenant": tenant_id, "window": change.window_on}
    connection.execute(_OPEN_BUDGET, parameters | {"id": new_id()})
    connection.execute(_OPEN_WINDOW, parameters | {"id": new_id()})
    # Also when it was open: another run may have opened it since the first try.
    return make(connection, change, tenant_id=tenant_id)
