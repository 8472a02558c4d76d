"""What a tenant's owner settles for all of it."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from audit import journal
from db.scope import tenant_scope
from tenants.errors import SettingsChanged
from tenants.models import Tenant

#: The longest that an answer can be taken back, in seconds, and how many hosts can be named.
MAX_UNDO_S: Final = 24 * 3600
MAX_HOSTS: Final = 100


def state(tenant: Tenant) -> str:
    """Return what a form that changes the settings was made from, for `put` to tell whether it is of now."""
    return f"{tenant.undo_s}:{tenant.webhook_hosts}"


def put(
    tenant_id: UUID, *, undo_s: int, webhook_hosts: Sequence[str] | None, expected: str | None = None, acting_as: str
) -> Tenant:
    """Settle it. One that is so already is returned without a record.

    undo_s: seconds for which an answer can be taken back where its queue does not say; 0 for none. webhook_hosts: the
    only hosts that webhooks and callbacks may tell, in canonical form; None for any. expected: the `state` that is
    changed; None for whichever it is. Who may is the caller's to check. Raises `SettingsChanged`, under the lock that
    the change is made in.
    """
    with tenant_scope(tenant_id):
        row = Tenant.objects.select_for_update().get(id=tenant_id)
        if expected not in (None, state(row)):
            raise SettingsChanged
        wanted = (undo_s, None if webhook_hosts is None else sorted(set(webhook_hosts)))
        if (row.undo_s, row.webhook_hosts) == wanted:
            return row
        before = row.undo_s
        row.undo_s, row.webhook_hosts = wanted
        row.save(update_fields=["undo_s", "webhook_hosts"])
        journal.record(
            "tenant.changed",
            stream=tenant_id,
            actor=acting_as,
            subject=f"tenant:{tenant_id}",
            facts={"undo_s": undo_s, "hosts": len(wanted[1] or ()), "before": {"undo_s": before}},
            payload={"webhook_hosts": wanted[1]},
        )
    return row
