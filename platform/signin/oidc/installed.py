"""Providers as whoever signs in meets them: found by address, with what is needed to talk to them."""

from dataclasses import dataclass
from uuid import UUID

from allauth.socialaccount.models import SocialApp
from django.db import connection

from db.roles import dispatch
from db.scope import tenant_scope
from signin.models import IdentityProvider
from signin.sealing import opened
from tenants.actions import tenants
from tenants.actions.names import check_slug
from tenants.errors import BadSlug, UnknownTenant
from tenants.models import Role, Tenant


class NotInUse(SocialApp.DoesNotExist, ValueError):  # type: ignore[misc]
    """The provider was removed or switched off. (A ValueError, too: allauth gives such a pending sign-in up.)"""


@dataclass(frozen=True, slots=True)
class Door:
    """A provider in use, and where it stands. joins_as: None when membership is by invitation only."""

    id: UUID
    tenant_id: UUID
    tenant: str
    slug: str
    name: str
    domains: frozenset[str]
    joins_as: Role | None


def doors_of(tenant: str) -> list[Door]:
    """Return the providers in use of the tenant with that slug, by name; none when there is no such tenant."""
    try:
        check_slug(tenant)
        found = tenants.by_slug(tenant)
    except (BadSlug, UnknownTenant):
        return []
    with tenant_scope(found.id):
        rows = IdentityProvider.objects.filter(enabled=True).prefetch_related("domains").order_by("name", "slug")
        return [_door(row, found) for row in rows]


def door_for(domain: str) -> Door | None:
    """Return the provider in use that answers for the e-mail domain, of whichever tenant."""
    with dispatch(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT p.id FROM signin_emaildomain d JOIN signin_identityprovider p ON p.id = d.provider_id "
            "AND p.tenant_id = d.tenant_id WHERE d.domain = %s AND p.enabled",
            [domain],
        )
        row = cursor.fetchone()
    return door(row[0]) if row else None


def door(provider_id: UUID) -> Door | None:
    """Return the provider in use with that id, of whichever tenant."""
    tenant = _tenant_of(provider_id)
    if tenant is None:
        return None
    return next((each for each in doors_of(tenant.slug) if each.id == provider_id), None)


def app(provider_id: UUID) -> SocialApp:
    """Return a provider in use as allauth knows one, never saved; raises `NotInUse`."""
    tenant = _tenant_of(provider_id)
    if tenant is None:
        raise NotInUse
    with tenant_scope(tenant.id):
        row = IdentityProvider.objects.filter(id=provider_id, enabled=True).first()
        if row is None:
            raise NotInUse
        return SocialApp(
            provider="openid_connect",
            provider_id=str(row.id),
            name=row.name,
            client_id=row.client_id,
            secret=opened(row),
            settings={
                "server_url": row.issuer,
                "tenant": tenant.slug,
                "slug": row.slug,
                "version": f"{row.id}:{row.updated_at.isoformat()}",
            },
        )


def _tenant_of(provider_id: UUID) -> Tenant | None:
    with dispatch(), connection.cursor() as cursor:
        cursor.execute("SELECT tenant_id FROM signin_identityprovider WHERE id = %s AND enabled", [provider_id])
        row = cursor.fetchone()
    return Tenant.objects.filter(id=row[0]).first() if row else None


def _door(row: IdentityProvider, tenant: Tenant) -> Door:
    return Door(
        id=row.id,
        tenant_id=tenant.id,
        tenant=tenant.slug,
        slug=row.slug,
        name=row.name or row.slug,
        domains=frozenset(each.domain for each in row.domains.all()),
        joins_as=Role(row.joins_as) if row.joins_as else None,
    )
