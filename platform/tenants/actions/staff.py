"""Break-glass: the platform's staff look into a tenant for a stated reason and a few hours, and leave a trail there.

Staff are accounts of the installation, made by a command. They belong to no tenant; while an access is open they read
one, and change nothing. Its owners see each access and each request in their own journal.
"""

from datetime import timedelta
from typing import Final
from uuid import UUID

from django.contrib.auth.hashers import make_password
from django.db import connection, transaction
from django.utils import timezone

from audit import journal
from db.roles import dispatch
from db.scope import PLATFORM, tenant_scope
from tenants.actions import members
from tenants.errors import AccessNotOpen, AccessOpen, BadAccess, NoSecondFactor, UnknownStaff
from tenants.models import Membership, StaffAccess, Tenant, User
from tenants.principal import Principal

MAX_HOURS: Final = 4
MIN_REASON: Final = 10
MAX_REASON: Final = 2000


def add(*, email: str, password: str | None = None, acting_as: str) -> User:
    """Make `email` one of the platform's staff, with a new account if there is none; records it for the platform.

    Who is staff already, without a new password, is returned without a record. Raises `BadEmail`, `BadPassword`.
    """
    address = members.check_address(email)
    with tenant_scope(PLATFORM):
        user, _ = User.objects.get_or_create(email=address, defaults={"password": make_password(None)})
        if password is not None:
            members.set_password(user, password)
        if user.is_staff and password is None:
            return user
        before, user.is_staff = user.is_staff, True
        user.save(update_fields=["is_staff"])
        journal.record(
            "staff.changed" if before else "staff.added",
            stream=user.id,
            actor=acting_as,
            facts={"password_set": password is not None},
        )
        return user


def remove(*, email: str, acting_as: str) -> None:
    """Take somebody off the staff and close what is open for them: one record there each. Raises `UnknownStaff`."""
    user = by_email(email)
    with dispatch(), connection.cursor() as cursor:
        cursor.execute("SELECT tenant_id FROM tenants_staffaccess WHERE user_id = %s AND closed_at IS NULL", [user.id])
        open_in: list[UUID] = [tenant_id for (tenant_id,) in cursor.fetchall()]
    with transaction.atomic():
        with tenant_scope(PLATFORM):
            User.objects.filter(id=user.id).update(is_staff=False)
            journal.record("staff.removed", stream=user.id, actor=acting_as)
        for tenant_id in open_in:
            with tenant_scope(tenant_id):
                _close(user, acting_as)


def by_email(email: str) -> User:
    """Return the member of staff with that address; raises `UnknownStaff`."""
    user = User.objects.filter(email=email.strip().lower(), is_staff=True, is_active=True).first()
    if user is None:
        raise UnknownStaff(f"{email} is not one of the platform's staff; `staff add` makes them so.")
    return user


def open_access(tenant: Tenant, *, email: str, reason: str, hours: int, acting_as: str) -> StaffAccess:
    """Let one of the staff look into the tenant for so many hours (1 to 4), and say so in its journal.

    reason: 10 to 2000 characters; it stands in the record's payload alone. Raises `UnknownStaff`, `BadAccess`,
    `NoSecondFactor`, `AccessOpen`.
    """
    user, now, reason = by_email(email), timezone.now(), reason.strip()
    if not 1 <= hours <= MAX_HOURS or not MIN_REASON <= len(reason) <= MAX_REASON:
        raise BadAccess
    with tenant_scope(tenant.id):
        _lock(user)
        if Membership.objects.filter(user=user).exists():
            raise BadAccess(f"{email} is a member of {tenant.slug} and looks there as such.")
        if not user.has_second_factor():
            raise NoSecondFactor(f"{email} has no second factor; they sign in and add one first.")
        _retire(user)
        access = StaffAccess(user=user, opened_at=now, expires_at=now + timedelta(hours=hours))
        access.record_id = journal.record(
            "staff.opened",
            stream=access.id,
            actor=acting_as,
            subject=f"user:{user.id}",
            facts={"hours": hours, "expires_at": access.expires_at.isoformat()},
            payload={"reason": reason},
        )
        access.save()
    return access


def close_access(tenant: Tenant, *, email: str, acting_as: str) -> None:
    """End the open access before its time. Raises `UnknownStaff`, `AccessNotOpen`."""
    user = by_email(email)
    with tenant_scope(tenant.id):
        _lock(user)
        if not _close(user, acting_as):
            raise AccessNotOpen(f"Nothing of {tenant.slug} is open for {email}.")


def looked(principal: Principal, *, route: str, method: str, path: str) -> None:
    """Record one request of somebody who looks as staff, before it is answered: a transaction of its own.

    Does nothing for everybody else. A request that cannot be recorded is not answered.
    """
    if principal.staff_access_id is None:
        return
    with tenant_scope(principal.tenant_id):
        journal.record(
            "staff.looked",
            stream=principal.staff_access_id,
            actor=principal.actor,
            facts={"route": route, "method": method},
            payload={"path": path},
        )


def looked_at_queues(user: User, *, route: str, method: str, path: str) -> None:
    """Record one request of one of the staff for the installation's own pages, before it is answered."""
    with tenant_scope(PLATFORM):
        journal.record(
            "staff.looked",
            stream=user.id,
            actor=f"user:{user.id}",
            facts={"route": route, "method": method},
            payload={"path": path},
        )


def _lock(user: User) -> None:
    if User.objects.select_for_update(no_key=True).filter(id=user.id, is_staff=True).first() is None:
        raise UnknownStaff


def _retire(user: User) -> None:
    """Make room for a new access: one that ran out is over since then, one that did not is in the way."""
    unclosed = StaffAccess.objects.filter(user=user, closed_at=None).first()
    if unclosed is None:
        return
    if unclosed.expires_at > timezone.now():
        raise AccessOpen
    unclosed.closed_at = unclosed.expires_at
    unclosed.save(update_fields=["closed_at"])


def _close(user: User, acting_as: str) -> bool:
    access = StaffAccess.objects.filter(user=user, closed_at=None, expires_at__gt=timezone.now()).first()
    if access is None:
        return False
    access.closed_at = timezone.now()
    access.save(update_fields=["closed_at"])
    journal.record("staff.closed", stream=access.id, actor=acting_as, subject=f"user:{user.id}")
    return True
