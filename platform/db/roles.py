"""The database roles, and the only way from one to another.

| role | for |
|---|---|
| owner | migrations; never serves, and cannot reach the journal by mistake |
| journal | owns the journal's tables; entered by name only, for their migrations, partitions and retention |
| app | everything a tenant sees; subject to row-level security; cannot change the journal |
| dispatch | claiming runs and looking up keys and sign-ins across tenants, by column grants only |
| seal | moving journal records into the transparency log |

The process logs in as app (or as a login that assumes it). `dispatch()` enters the dispatch role for one transaction.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from django.db import connections, transaction

from db import trip

OWNER = "countersign_owner"
JOURNAL = "countersign_journal"
APP = "countersign_app"
DISPATCH = "countersign_dispatch"
SEAL = "countersign_seal"


#: Into the dispatch role, until the transaction ends or leaves it.
ENTER_DISPATCH: Final[trip.Call] = (trip.statement("enter_dispatch", f"SET LOCAL ROLE {DISPATCH}"), ())
#: Back to the role that the connection began in. NONE would be the login itself, which may be anybody.
LEAVE_DISPATCH: Final[trip.Call] = (trip.statement("leave_dispatch", "SET LOCAL role TO DEFAULT"), ())


@contextmanager
def dispatch() -> Iterator[None]:
    """Run the block as one transaction in the dispatch role.

    It sees, of every tenant, only the columns that claiming and look-up need (`tables.py` of each app). Must not be
    opened inside a tenant scope: the two never mix.
    """
    with transaction.atomic(durable=True):
        trip.make_here(ENTER_DISPATCH)
        yield


@contextmanager
def seal() -> Iterator[None]:
    """Run the block as one transaction in the seal role, which sees the outbox and every tenant's records and leaves.

    Must not be opened inside a tenant scope: the two never mix.
    """
    with transaction.atomic(durable=True):
        with connections["default"].cursor() as cursor:
            cursor.execute(f"SET LOCAL ROLE {SEAL}")
        yield


@contextmanager
def journal(using: str) -> Iterator[None]:
    """Run the block as one transaction of the journal's owner, over the owner's connection `using`.

    Nothing else may drop, detach or alter what the journal is made of; its triggers bind this role too.
    """
    with transaction.atomic(using=using):
        with connections[using].cursor() as cursor:
            cursor.execute(f"SET LOCAL ROLE {JOURNAL}")
        yield
        with connections[using].cursor() as cursor:
            cursor.execute(f"SET LOCAL ROLE {OWNER}")
