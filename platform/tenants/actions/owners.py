"""Who changes people, teams and keys of others: the tenant's owners; and that there is always one left.

All changes of who may what in a tenant happen one after the other, under a lock on the tenant's row. So two owners who
demote each other at once do not both succeed: the second one is no owner any more when its turn comes.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from django.db.models import QuerySet

from db.scope import tenant_scope
from tenants.errors import LastOwner, NotAnOwner
from tenants.models import Membership, Role, Tenant, User

_PERSON = "user:"


@contextmanager
def changing_people(tenant_id: UUID, acting_as: str) -> Iterator[None]:
    """Run the block as the one transaction in the tenant that changes people, by `acting_as` if still an owner.

    acting_as: the opaque id of an owner, or of a part of the system itself, whose caller vouches for it. Raises
    `NotAnOwner`.

    Lock: the tenant's row, FOR NO KEY UPDATE, before any other; isolation READ COMMITTED, so what those before
    committed is seen.
    """
    with tenant_scope(tenant_id):
        Tenant.objects.select_for_update(no_key=True).get(id=tenant_id)
        if acting_as.startswith(_PERSON) and not _active().filter(user_id=acting_as.removeprefix(_PERSON)).exists():
            raise NotAnOwner
        yield


def check_another(user: User) -> None:
    """Raise `LastOwner` if `user` is the tenant's only person who is an active owner. Call inside `changing_people`."""
    owners = _active().filter(user__is_service=False)
    if owners.filter(user=user).exists() and not owners.exclude(user=user).exists():
        raise LastOwner


def _active() -> "QuerySet[Membership]":
    return Membership.objects.filter(role=Role.OWNER, is_active=True, user__is_active=True)
