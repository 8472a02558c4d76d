"""The frame of every action: who acts, whether by role and key they may, and the transaction it happens in."""

from collections.abc import Iterator
from contextlib import contextmanager

from access.permissions import check
from db.scope import current_tenant_id, tenant_scope
from tenants.principal import Principal


@contextmanager
def acting(acting_as: Principal | str, permission: str | None = None) -> Iterator[str]:
    """Run the block as one transaction in the tenant of the one who acts; yields the opaque id for the record.

    acting_as: a principal, whose tenant it is and who needs `permission`; or the id of a part of the system itself
    (`tenants.principal.COMMAND`), which has opened a tenant scope already and needs no permission.
    Raises `AccessDenied`, `OutsideTenantScope`.
    """
    if isinstance(acting_as, Principal):
        if permission is not None:
            check(acting_as, permission)
        tenant_id, actor = acting_as.tenant_id, acting_as.actor
    else:
        tenant_id, actor = current_tenant_id(), acting_as
    with tenant_scope(tenant_id):
        yield actor
