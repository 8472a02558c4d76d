"""Tell once a window that the soft limit of its budget is spent."""

import logging
from typing import Final
from uuid import UUID

from django.db import InterfaceError, OperationalError, connection

from audit import journal
from db.scope import tenant_scope
from metrics import counters
from quotas.reservations import SOFT_SPENT

log = logging.getLogger(__name__)

#: Whoever of many sets the mark writes the record, in the same transaction. A limit that is set today says nothing of
#: months gone by. Locks the windows in the order in which `quotas.reservations` does.
_MARK: Final = f"""
UPDATE quotas_window w SET soft_told = true
FROM quotas_budget b JOIN (
    SELECT id FROM quotas_window WHERE tenant_id = %(tenant)s AND NOT soft_told
    AND starts_on >= date_trunc('month', (now() - interval '2 days') AT TIME ZONE 'UTC')::date
    ORDER BY budget_id, starts_on FOR UPDATE) AS recent ON true
WHERE w.id = recent.id AND w.tenant_id = %(tenant)s AND b.tenant_id = w.tenant_id AND b.id = w.budget_id
    AND {SOFT_SPENT}
RETURNING b.id, w.id, w.starts_on, w.spent_usd_nano, w.spent_tokens, b.of, b.period
"""  # noqa: S608 - constants only


def tell(tenant_id: UUID) -> None:
    """Write one record a window whose soft limit is spent, if nobody has; for a thread without a transaction.

    While the database is away nothing is lost: whoever settles next in the window tells.
    """
    try:
        with tenant_scope(tenant_id):
            marked = mark(tenant_id)
    except (OperationalError, InterfaceError) as error:
        log.warning("a soft limit is spent, and the next run to end says so: %s", type(error).__name__)
    else:
        for of, period in marked:
            counters.count("soft_limits_reached", of, period)
    finally:
        connection.close()


def mark(tenant_id: UUID) -> list[tuple[str, str]]:
    """Do the same inside the tenant's scope, as part of its transaction; returns what the budgets are of, and when."""
    with connection.cursor() as cursor:
        cursor.execute(_MARK, {"tenant": tenant_id})
        marked = cursor.fetchall()
    for budget, window, starts_on, usd_nano, tokens, _, _ in marked:
        facts = {"window": str(window), "starts_on": starts_on.isoformat(), "usd_nano": usd_nano, "tokens": tokens}
        journal.record("budget.soft_limit_reached", stream=budget, actor="engine", facts=facts)
    return [row[5:] for row in marked]
