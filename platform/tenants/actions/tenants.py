"""Make and find tenants."""

from typing import Final
from uuid import UUID

from django.db import IntegrityError, transaction

from audit import journal
from db.scope import PLATFORM, tenant_scope
from tenants.actions.names import check_name, check_slug
from tenants.errors import BadSlug, SlugTaken, UnknownTenant
from tenants.models import Tenant

#: First parts of the installation's own addresses, which a tenant's pages must not hide behind.
RESERVED: Final = frozenset(
    {
        "accounts",
        "admin",
        "api",
        "assets",
        "csp-reports",
        "favicon",
        "feedback",
        "healthz",
        "log",
        "metrics",
        "readyz",
        "static",
        "theme",
    }
)


def create(*, slug: str, name: str = "", acting_as: str) -> Tenant:
    """Make a tenant; the record opens the tenant's own journal. Raises `BadSlug`, `BadName`, `SlugTaken`."""
    check_slug(slug)
    if slug in RESERVED:
        raise BadSlug(f"{slug!r} is an address of the installation itself; choose another slug.")
    check_name(name)
    with transaction.atomic():
        try:
            with transaction.atomic():
                tenant = Tenant.objects.create(slug=slug, name=name or slug)
        except IntegrityError as error:
            raise SlugTaken(f"There is a tenant {slug!r} already; choose another slug.") from error
        with tenant_scope(tenant.id):
            journal.record("tenant.created", stream=tenant.id, actor=acting_as, payload={"slug": slug, "name": name})
    return tenant


def by_slug(slug: str) -> Tenant:
    """Return the tenant of that slug; raises `UnknownTenant`."""
    try:
        return Tenant.objects.get(slug=slug)
    except Tenant.DoesNotExist as error:
        raise UnknownTenant(f"There is no tenant {slug!r}. `tenant create {slug}` makes it.") from error


def log_named(name: str) -> UUID:
    """Return whose a log is: `platform`, a tenant's slug, or its id. Raises `UnknownTenant`."""
    if name == "platform":
        return PLATFORM
    try:
        return UUID(name)
    except ValueError:
        return by_slug(name).id


def by_id(tenant_id: UUID) -> Tenant:
    """Return the tenant of that id; raises `UnknownTenant`."""
    try:
        return Tenant.objects.get(id=tenant_id)
    except Tenant.DoesNotExist as error:
        raise UnknownTenant from error


def set_second_factor(*, tenant: Tenant, require: bool, trust_provider: bool, acting_as: str) -> Tenant:
    """Say whether the tenant's pages ask for a second factor, and whether its own provider's sign-in counts as one.

    One record; none when nothing changes.
    """
    with tenant_scope(tenant.id):
        row = Tenant.objects.select_for_update().get(id=tenant.id)
        before = (row.require_mfa, row.trust_provider_mfa)
        if before == (require, trust_provider):
            return row
        row.require_mfa, row.trust_provider_mfa = require, trust_provider
        row.save(update_fields=["require_mfa", "trust_provider_mfa"])
        journal.record(
            "tenant.changed",
            stream=tenant.id,
            actor=acting_as,
            subject=f"tenant:{tenant.id}",
            facts={
                "require_mfa": require,
                "trust_provider_mfa": trust_provider,
                "before": {"require_mfa": before[0], "trust_provider_mfa": before[1]},
            },
        )
    return row
