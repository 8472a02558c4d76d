"""Reserve before a run starts, settle when it ends: no run starts on money that others hold.

A run stops at its own limit, which its last model call can pass; so can then the tenant's spending.

Each is one conditional UPDATE of the month's window row, on the connection (and so in the transaction) of the step that
it belongs to. Lock order: the run's row first, then the window's. Isolation: READ COMMITTED; the row lock serialises.
"""

from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol
from uuid import UUID

from db.models import new_id


class Executes(Protocol):
    """A psycopg connection or cursor."""

    def execute(self, query: str, params: Any = ...) -> Any: ...


@dataclass(frozen=True, slots=True)
class Reservation:
    """What a run holds of its tenant's month. Amounts in nano-USD and tokens; window: the month's first day."""

    usd_nano: int
    tokens: int
    window: date


_RESERVE = """
UPDATE quotas_window w
SET reserved_usd_nano = w.reserved_usd_nano + %(usd)s, reserved_tokens = w.reserved_tokens + %(tokens)s
FROM quotas_budget b
WHERE b.tenant_id = %(tenant)s AND b.of = 'tenant' AND w.budget_id = b.id AND w.starts_on = %(window)s
  AND (b.usd_nano IS NULL OR w.spent_usd_nano + w.reserved_usd_nano + %(usd)s <= b.usd_nano)
  AND (b.tokens IS NULL OR w.spent_tokens + w.reserved_tokens + %(tokens)s <= b.tokens)
RETURNING w.id
"""


def change_sql(
    *, reserved_usd: str, reserved_tokens: str, spent_usd: str, spent_tokens: str, window: str, tenant: str, source: str
) -> str:
    """Return the UPDATE that changes a tenant's month by amounts that are SQL expressions over the relations `source`.

    It is for a statement that does it beside a run's step: reserving where the amounts are positive and within the
    limits, settling where what was reserved is taken back. Yields a row when it changed the month.
    """
    return f"""
    UPDATE quotas_window w
    SET reserved_usd_nano = w.reserved_usd_nano + {reserved_usd}, reserved_tokens = w.reserved_tokens + {reserved_tokens},
        spent_usd_nano = w.spent_usd_nano + {spent_usd}, spent_tokens = w.spent_tokens + {spent_tokens}
    FROM quotas_budget b, {source}
    WHERE b.tenant_id = {tenant} AND b.of = 'tenant' AND w.budget_id = b.id AND w.starts_on = {window}
      AND (b.usd_nano IS NULL OR {reserved_usd} <= 0
           OR w.spent_usd_nano + w.reserved_usd_nano + {reserved_usd} <= b.usd_nano)
      AND (b.tokens IS NULL OR {reserved_tokens} <= 0
           OR w.spent_tokens + w.reserved_tokens + {reserved_tokens} <= b.tokens)
    RETURNING 1
"""  # noqa: S608 - expressions of our own


_OPEN_BUDGET = """
INSERT INTO quotas_budget (id, tenant_id, of) VALUES (%(id)s, %(tenant)s, 'tenant') ON CONFLICT DO NOTHING
"""

_OPEN_WINDOW = """
INSERT INTO quotas_window
    (id, tenant_id, budget_id, starts_on, reserved_usd_nano, reserved_tokens, spent_usd_nano, spent_tokens)
SELECT %(id)s, %(tenant)s, b.id, %(window)s, 0, 0, 0, 0 FROM quotas_budget b
WHERE b.tenant_id = %(tenant)s AND b.of = 'tenant' ON CONFLICT DO NOTHING
"""

_SETTLE = """
UPDATE quotas_window w
SET reserved_usd_nano = w.reserved_usd_nano - %(usd)s, reserved_tokens = w.reserved_tokens - %(tokens)s,
    spent_usd_nano = w.spent_usd_nano + %(spent_usd)s, spent_tokens = w.spent_tokens + %(spent_tokens)s
FROM quotas_budget b
WHERE b.tenant_id = %(tenant)s AND b.of = 'tenant' AND w.budget_id = b.id AND w.starts_on = %(window)s
"""


def reserve(connection: Executes, *, tenant_id: UUID, usd_nano: int, tokens: int, today: date) -> Reservation | None:
    """Reserve both amounts for a run, or neither: None says that the tenant's budget does not allow it now."""
    window = today.replace(day=1)
    parameters = {"tenant": tenant_id, "usd": usd_nano, "tokens": tokens, "window": window}
    if connection.execute(_RESERVE, parameters).fetchone() is None:
        connection.execute(_OPEN_BUDGET, parameters | {"id": new_id()})
        connection.execute(_OPEN_WINDOW, parameters | {"id": new_id()})
        # Also when it was open: another run may have opened it since the first try.
        if connection.execute(_RESERVE, parameters).fetchone() is None:
            return None
    return Reservation(usd_nano, tokens, window)


def settle(connection: Executes, *, tenant_id: UUID, held: Reservation, usd_nano: int, tokens: int) -> None:
    """Give a reservation back and count what was really spent, in the month it was reserved in."""
    connection.execute(
        _SETTLE,
        {
            "tenant": tenant_id,
            "usd": held.usd_nano,
            "tokens": held.tokens,
            "spent_usd": usd_nano,
            "spent_tokens": tokens,
            "window": held.window,
        },
    )
