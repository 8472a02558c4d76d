"""Allow a tenant the domains of its people's e-mail addresses. Only who runs the installation does: docs/adr/0007."""

from django.db import IntegrityError, transaction

from audit import journal
from db.scope import tenant_scope
from signin.domains import canonical
from signin.errors import DomainTaken, UnknownDomain
from signin.models import EmailDomain
from tenants.models import Tenant


def allow(tenant: Tenant, domain: str, *, acting_as: str) -> EmailDomain:
    """Make the domain the tenant's; one that is so already is returned without a record.

    Raises `BadDomain`, `DomainTaken` when it is another tenant's.
    """
    name = canonical(domain)
    with tenant_scope(tenant.id):
        present = EmailDomain.objects.filter(domain=name).first()
        if present is not None:
            return present
        try:
            with transaction.atomic():
                made = EmailDomain.objects.create(domain=name)
        except IntegrityError as error:
            raise DomainTaken(f"{name} is allowed to another tenant; withdraw it there first.") from error
        journal.record("email_domain.allowed", stream=made.id, actor=acting_as, payload={"domain": name})
        return made


def withdraw(tenant: Tenant, domain: str, *, acting_as: str) -> None:
    """Take the domain back, so that no provider of the tenant answers for it. Raises `BadDomain`, `UnknownDomain`."""
    with tenant_scope(tenant.id):
        present = EmailDomain.objects.filter(domain=canonical(domain)).first()
        if present is None:
            raise UnknownDomain(f"{domain} is not allowed to {tenant.slug}.")
        stream = present.id
        present.delete()
        journal.record("email_domain.withdrawn", stream=stream, actor=acting_as, payload={"domain": present.domain})


def of(tenant: Tenant) -> list[tuple[str, str | None]]:
    """Return (domain, slug of the provider that answers for it, if any) of each of the tenant's domains."""
    with tenant_scope(tenant.id):
        return list(EmailDomain.objects.order_by("domain").values_list("domain", "provider__slug"))
