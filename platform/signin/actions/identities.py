"""Let people be bound to another provider than before. Only who runs the installation does: docs/adr/0007."""

from allauth.socialaccount.models import SocialAccount

from audit import journal
from db.scope import tenant_scope
from signin.domains import domain_of
from signin.models import EmailDomain
from tenants.actions import members
from tenants.models import Tenant, User


def release(tenant: Tenant, email: str | None = None, *, acting_as: str) -> int:
    """Unbind the member with that address, or all whose address is in the tenant's domains, from their providers.

    The next sign-in through a provider binds them by their address. Returns how many bindings there were; none leaves
    no record. Raises `UnknownMember`.
    """
    with tenant_scope(tenant.id):
        domains = set(EmailDomain.objects.values_list("domain", flat=True))
        people = User.objects.filter(memberships__tenant_id=tenant.id)
        if email is not None:
            people = people.filter(id=members.by_email(email).id)
        own = [user.id for user in people if domain_of(user.email) in domains]
        count: int
        count, _ = SocialAccount.objects.filter(user_id__in=own).delete()
        if count:
            journal.record(
                "identity.released",
                stream=tenant.id,
                actor=acting_as,
                subject=f"user:{own[0]}" if email is not None else None,
                facts={"identities": count},
            )
        return count
