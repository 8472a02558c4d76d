"""Add members, change them, let them go, look them up. Whether one may is for the caller to check (`admin`)."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from uuid import UUID

from django.contrib.auth.hashers import make_password
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import connection

from audit import journal
from db.roles import dispatch
from db.scope import current_tenant_id
from tenants.actions.belongings import take_belongings, withdraw_invitations
from tenants.actions.names import check_name
from tenants.actions.owners import changing_people, check_another
from tenants.errors import BadEmail, BadPassword, MemberInactive, UnknownMember
from tenants.models import Membership, Role, Tenant, User
from tenants.principal import Principal
from tenants.scopes import LOOKING

#: Ends the addresses of services' accounts; nobody receives mail there.
SERVICE_DOMAIN = "@accounts.service"


def put(*, tenant: Tenant, email: str, role: Role, password: str | None = None, acting_as: str) -> Membership:
    """Make `email` a member with that role, or change the role; a password is set when one is given.

    A person new to the installation gets an account, without a usable password unless one is given. A member who has
    that role already, without a new password, is returned without a record. `password` is for commands alone: a
    tenant's owner must not be able to sign in as somebody who may belong to others too. Raises `BadEmail`,
    `BadPassword`, `MemberInactive`, `LastOwner`, `NotAnOwner`.
    """
    address = check_address(email)
    with changing_people(tenant.id, acting_as):
        user, _ = User.objects.get_or_create(email=address, defaults={"password": make_password(None)})
        if password is not None:
            set_password(user, password)
        return _put(user, role, password_set=password is not None, acting_as=acting_as)


def check_address(email: str) -> str:
    """Return the address as it is kept; raises `BadEmail` unless it is one of a person."""
    address = email.strip().lower()
    try:
        User(email=address).clean_fields(exclude={"password"})
    except ValidationError as error:
        raise BadEmail(f"{email!r} is not an e-mail address.") from error
    if address.endswith(SERVICE_DOMAIN):
        raise BadEmail(f"{email} is the account of a service, not of a person.")
    return address


def set_password(user: User, password: str) -> None:
    """Set the password; raises `BadPassword`."""
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise BadPassword(" ".join(error.messages)) from error
    user.set_password(password)
    user.save(update_fields=["password"])


def put_service(*, name: str, role: Role, acting_as: str) -> User:
    """Make a service's account in the tenant in scope: it holds keys, and can neither sign in nor decide.

    Raises `BadName`, `NotAnOwner`.
    """
    check_name(name)
    with changing_people(current_tenant_id(), acting_as):
        user = User(is_service=True, name=name)
        user.email = f"{user.id}{SERVICE_DOMAIN}"
        user.set_unusable_password()
        user.save()
        _put(user, role, password_set=False, acting_as=acting_as)
        return user


def _put(user: User, role: Role, *, password_set: bool, acting_as: str) -> Membership:
    membership, created = Membership.objects.select_for_update().get_or_create(user=user, defaults={"role": role})
    before = Role(membership.role)
    if not membership.is_active:
        raise MemberInactive
    if not created and before == role and not password_set:
        return membership
    _set_role(membership, role)
    journal.record(
        "member.added" if created else "member.changed",
        stream=membership.id,
        actor=acting_as,
        subject=f"user:{user.id}",
        facts={"role": str(role), "before": None if created else str(before), "password_set": password_set},
    )
    return membership


def _set_role(membership: Membership, role: Role) -> None:
    if membership.role == role:
        return
    if membership.role == Role.OWNER:
        check_another(membership.user)
        withdraw_invitations(membership.user)
    membership.role = role
    membership.save(update_fields=["role"])


def change_role(membership: Membership, role: Role, *, acting_as: str) -> Membership:
    """Give the member another role; one who has it already is returned without a record.

    An owner who becomes something else leaves no pending invitations behind. Raises `UnknownMember`, `LastOwner`,
    `NotAnOwner`.
    """
    with _changing(membership, acting_as) as present:
        before = present.role
        if before != role:
            _set_role(present, role)
            journal.record(
                "member.changed",
                stream=present.id,
                actor=acting_as,
                subject=f"user:{present.user_id}",
                facts={"role": str(role), "before": str(before), "password_set": False},
            )
        return present


def deactivate(membership: Membership, *, acting_as: str) -> Membership:
    """Take everything from the member but the place and the role: keys, team places, grants, queues, invitations.

    One who is inactive already is returned without a record. Raises `UnknownMember`, `LastOwner`, `NotAnOwner`.
    """
    with _changing(membership, acting_as) as present:
        if present.is_active:
            check_another(present.user)
            present.is_active = False
            present.save(update_fields=["is_active"])
            _record_leaving("member.deactivated", present, acting_as)
        return present


def reactivate(membership: Membership, *, acting_as: str) -> Membership:
    """Let the member in again with the role from before, and nothing else of what they held.

    One who is active is returned without a record. Raises `UnknownMember`, `NotAnOwner`.
    """
    with _changing(membership, acting_as) as present:
        if not present.is_active:
            present.is_active = True
            present.save(update_fields=["is_active"])
            journal.record(
                "member.reactivated",
                stream=present.id,
                actor=acting_as,
                subject=f"user:{present.user_id}",
                facts={"role": str(present.role)},
            )
        return present


def remove(membership: Membership, *, acting_as: str) -> None:
    """End the membership and all that came with it. Raises `UnknownMember`, `LastOwner`, `NotAnOwner`."""
    with _changing(membership, acting_as) as present:
        check_another(present.user)
        _record_leaving("member.removed", present, acting_as)
        present.delete()


@contextmanager
def _changing(membership: Membership, acting_as: str) -> Iterator[Membership]:
    """Lock the member as it is now (FOR UPDATE: whoever gives them something waits, or is waited for)."""
    with changing_people(membership.tenant_id, acting_as):
        rows = Membership.objects.select_for_update(of=("self",)).select_related("user")
        present = rows.filter(id=membership.id).first()
        if present is None:
            raise UnknownMember("There is no such member any more.")
        yield present


def _record_leaving(action: str, membership: Membership, acting_as: str) -> None:
    journal.record(
        action,
        stream=membership.id,
        actor=acting_as,
        subject=f"user:{membership.user_id}",
        facts={"role": str(membership.role), **take_belongings(membership.user)},
    )


def hold(user: User) -> None:
    """Keep an active member of the tenant in scope from leaving until the transaction ends; raises `UnknownMember`.

    For whoever gives them something that has to go with them. Lock: the membership, FOR KEY SHARE.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM tenants_membership WHERE tenant_id = %s AND user_id = %s AND is_active FOR KEY SHARE",
            [current_tenant_id(), user.id],
        )
        if cursor.fetchone() is None:
            raise UnknownMember


def by_email(email: str) -> User:
    """Return the active member of the tenant in scope with that address; raises `UnknownMember`."""
    found = by_emails([email])
    if not found:
        raise UnknownMember(f"{email} is not a member of this tenant.")
    return found[email]


def any_by_email(email: str) -> Membership:
    """Return the membership in the tenant in scope of the one with that address, active or not; or `UnknownMember`."""
    membership = Membership.objects.select_related("user").filter(user__email=email.strip().lower()).first()
    if membership is None:
        raise UnknownMember(f"{email} is not a member of this tenant.")
    return membership


def by_emails(emails: Collection[str]) -> dict[str, User]:
    """Return the active members of the tenant in scope by the addresses given; who is none is missing."""
    addresses = {email: email.strip().lower() for email in emails}
    rows = Membership.objects.filter(
        is_active=True, user__is_active=True, user__email__in=set(addresses.values())
    ).select_related("user")
    found = {membership.user.email: membership.user for membership in rows}
    return {email: found[address] for email, address in addresses.items() if address in found}


#: A member's own place comes before what was opened for them as one of the platform's staff.
_PRINCIPAL = """
SELECT m.role, u.is_service, NULL::uuid
FROM tenants_membership m JOIN tenants_user u ON u.id = m.user_id
WHERE m.tenant_id = %(tenant)s AND m.user_id = %(user)s AND m.is_active AND u.is_active
UNION ALL
SELECT NULL, FALSE, a.id
FROM tenants_staffaccess a JOIN tenants_user u ON u.id = a.user_id
WHERE a.tenant_id = %(tenant)s AND a.user_id = %(user)s AND a.closed_at IS NULL AND a.expires_at > now()
  AND u.is_active AND u.is_staff
ORDER BY 3 NULLS FIRST LIMIT 1
"""


def principal(*, tenant_id: UUID, user_id: UUID) -> Principal | None:
    """Return the user as an active member of that tenant, as staff who may look into it now, or None.

    Works outside any scope.
    """
    with dispatch(), connection.cursor() as cursor:
        cursor.execute(_PRINCIPAL, {"tenant": tenant_id, "user": user_id})
        row = cursor.fetchone()
    if row is None:
        return None
    role, is_service, access_id = row
    if access_id is not None:
        return Principal(tenant_id, user_id, Role.COMPLIANCE, scopes=LOOKING, staff_access_id=access_id)
    return Principal(tenant_id, user_id, Role(role), is_service=is_service)


_TENANTS = """
SELECT id, slug FROM tenants_tenant WHERE id IN (
    SELECT tenant_id FROM tenants_membership WHERE user_id = %(user)s AND is_active
    UNION ALL
    SELECT a.tenant_id FROM tenants_staffaccess a JOIN tenants_user u ON u.id = a.user_id
    WHERE a.user_id = %(user)s AND a.closed_at IS NULL AND a.expires_at > now() AND u.is_staff)
ORDER BY slug
"""


def tenants_of(user_id: UUID) -> list[tuple[UUID, str]]:
    """Return (tenant id, slug) of every tenant the user belongs to, or may look into as staff now, by slug."""
    with dispatch(), connection.cursor() as cursor:
        cursor.execute(_TENANTS, {"user": user_id})
        found: list[tuple[UUID, str]] = cursor.fetchall()
    return found
