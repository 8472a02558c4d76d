"""Add members, change their roles, look them up."""

from uuid import UUID

from django.contrib.auth.hashers import make_password
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import connection

from audit import journal
from db.roles import dispatch
from db.scope import tenant_scope
from tenants.errors import BadEmail, BadPassword, UnknownMember
from tenants.models import Membership, Role, Tenant, User
from tenants.principal import Principal

#: Ends the addresses of services' accounts; nobody receives mail there.
SERVICE_DOMAIN = "@accounts.service"


def put(*, tenant: Tenant, email: str, role: Role, password: str | None = None, acting_as: str) -> Membership:
    """Make `email` a member with that role, or change the role; a password is set when one is given.

    A person new to the installation gets an account, without a usable password unless one is given. A member who has
    that role already, without a new password, is returned without a record. Raises `BadEmail`, `BadPassword`.
    """
    address = _address(email)
    with tenant_scope(tenant.id):
        user, _ = User.objects.get_or_create(email=address, defaults={"password": make_password(None)})
        if password is not None:
            _set_password(user, password)
        return _put(user, role, password_set=password is not None, acting_as=acting_as)


def _address(email: str) -> str:
    address = email.strip().lower()
    try:
        User(email=address).clean_fields(exclude={"password"})
    except ValidationError as error:
        raise BadEmail(f"{email!r} is not an e-mail address.") from error
    if address.endswith(SERVICE_DOMAIN):
        raise BadEmail(f"{email} is the account of a service, not of a person.")
    return address


def _set_password(user: User, password: str) -> None:
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise BadPassword(" ".join(error.messages)) from error
    user.set_password(password)
    user.save(update_fields=["password"])


def put_service(*, name: str, role: Role, acting_as: str) -> User:
    """Make a service's account in the tenant in scope: it holds keys, and can neither sign in nor decide."""
    user = User(is_service=True, name=name)
    user.email = f"{user.id}{SERVICE_DOMAIN}"
    user.set_unusable_password()
    user.save()
    _put(user, role, password_set=False, acting_as=acting_as)
    return user


def _put(user: User, role: Role, *, password_set: bool, acting_as: str) -> Membership:
    membership, created = Membership.objects.select_for_update().get_or_create(user=user, defaults={"role": role})
    before = membership.role
    if not created and before == role and not password_set:
        return membership
    if before != role:
        membership.role = role
        membership.save(update_fields=["role"])
    journal.record(
        "member.added" if created else "member.changed",
        stream=membership.id,
        actor=acting_as,
        subject=f"user:{user.id}",
        facts={"role": str(role), "before": None if created else str(before), "password_set": password_set},
    )
    return membership


def by_email(email: str) -> User:
    """Return the active member of the tenant in scope with that address; raises `UnknownMember`."""
    members = Membership.objects.select_related("user").filter(user__is_active=True)
    membership = members.filter(user__email=email.strip().lower()).first()
    if membership is None:
        raise UnknownMember(f"{email} is not a member of this tenant.")
    return membership.user


def principal(*, tenant_id: UUID, user_id: UUID) -> Principal | None:
    """Return the user as an active member of that tenant, or None. Works outside any scope."""
    with dispatch(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT m.role, u.is_service FROM tenants_membership m JOIN tenants_user u ON u.id = m.user_id "
            "WHERE m.tenant_id = %s AND m.user_id = %s AND u.is_active",
            [tenant_id, user_id],
        )
        row = cursor.fetchone()
    return Principal(tenant_id, user_id, Role(row[0]), is_service=row[1]) if row else None


def tenants_of(user_id: UUID) -> list[tuple[UUID, str]]:
    """Return (tenant id, slug) of every tenant the user belongs to, by slug."""
    with dispatch(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT t.id, t.slug FROM tenants_membership m JOIN tenants_tenant t ON t.id = m.tenant_id "
            "WHERE m.user_id = %s ORDER BY t.slug",
            [user_id],
        )
        found: list[tuple[UUID, str]] = cursor.fetchall()
    return found
