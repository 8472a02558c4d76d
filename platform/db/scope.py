"""The tenant scope: the one door to tenant data.

`tenant_scope(tenant_id)` opens a transaction (or a savepoint inside one), tells PostgreSQL's row-level security which
tenant it is for, and tells the managers of `db.models` the same. Leaving restores what was before. The database's
policies read `app.tenant` without a default, so a query outside any scope raises there too.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.db import connection, transaction

from db import trip
from db.errors import OutsideTenantScope

#: The scope of what concerns the installation as a whole (its own journal and log), not any one tenant.
PLATFORM = UUID(int=0)


@dataclass(slots=True)
class _Scope:
    tenant_id: UUID
    thread: int
    open: bool = True

    @property
    def in_force(self) -> bool:
        """Say whether this is the scope of a transaction that the asking thread is in."""
        return self.open and self.thread == threading.get_ident() and connection.in_atomic_block


#: Opens a tenant's scope in the database for the rest of the trip's transaction.
SCOPE: Final = trip.statement("scope", "SELECT set_config('app.tenant', %(tenant)s, true)", "tenant")

_current: ContextVar[_Scope | None] = ContextVar("tenant_scope", default=None)


def current_tenant_id() -> UUID:
    """Return the tenant of the scope this thread is in; raises `OutsideTenantScope` when there is none.

    A context copied to another thread does not carry the scope over: that thread has another connection, whose
    transaction knows nothing of the tenant. Nor does a copy outlive the scope, even in a thread of the same number.
    """
    scope = _current.get()
    if scope is None or not scope.in_force:
        raise OutsideTenantScope
    return scope.tenant_id


def set_local_tenant(value: str) -> None:
    """Set `app.tenant` for the rest of the current transaction; an empty string means nobody."""
    trip.make_here((SCOPE, [value]))


@contextmanager
def tenant_scope(tenant_id: UUID) -> Iterator[None]:
    """Run the block as one transaction that sees `tenant_id`'s rows and no others.

    Nests: an inner scope is a savepoint, and the outer tenant is back in force afterwards. Raises what the block
    raises, after rolling it back; `OutsideTenantScope` when scopes are not left in the order they were entered, as two
    generators can do that each hold one while they yield.
    """
    with transaction.atomic():
        outer = _current.get()
        inherited = str(outer.tenant_id) if outer and outer.in_force else ""
        # Also when it is the outer scope's: after the rollback of a savepoint the database may be elsewhere.
        set_local_tenant(str(tenant_id))
        scope = _Scope(tenant_id, threading.get_ident())
        token = _current.set(scope)
        try:
            yield
            if _current.get() is not scope:
                raise OutsideTenantScope("This tenant scope was left while another one, entered later, is still open.")
        finally:
            scope.open = False
            _current.reset(token)
        if len(connection.atomic_blocks) > 1:  # else the transaction, and what is set for it, ends here
            set_local_tenant(inherited)
