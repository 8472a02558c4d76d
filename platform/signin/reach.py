"""What a session is good for: which tenants, by the means its person signed in with.

Whoever came by their own means (password, passkey) reaches every tenant they belong to, but for one that wants its own
provider asked. Whoever came through a tenant's identity provider reaches that tenant and no other, whatever else the
account belongs to: the provider is the tenant's, which could let it say anything (docs/adr/0007). What a session is
good for is asked at each request, so that a provider switched off ends it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final
from uuid import UUID

from allauth.account.internal.flows.login import get_authentication_records
from allauth.socialaccount.models import SocialAccount
from django.contrib.auth.signals import user_logged_in
from django.db import connection
from django.dispatch import receiver
from django.http import HttpRequest

from db.roles import dispatch
from signin.domains import domain_of
from tenants.actions.members import tenants_of
from tenants.models import User

_KEY: Final = "signin.reach"


class Admission(Enum):
    """Whether a session opens a tenant its person belongs to. ASK: sign in through its provider first."""

    OPEN = "open"
    CLOSED = "closed"
    ASK = "ask"


@dataclass(frozen=True, slots=True)
class Answering:
    """The enabled provider that answers for an e-mail domain; one at most, as a domain is one tenant's."""

    tenant_id: UUID
    provider_id: UUID
    enforced: bool


@dataclass(frozen=True, slots=True)
class Reach:
    """How far a session reaches.

    by_own_means: whether the person signed in here. providers: ids of those that vouched for them. A session of which
    nothing is known has neither, and opens nothing.
    """

    user: User
    by_own_means: bool
    providers: tuple[UUID, ...] = ()

    def admits(self, tenant_id: UUID) -> Admission:
        """Say whether the session opens this tenant now. Membership is another question. Works outside any scope."""
        answering = answering_for(domain_of(self.user.email))
        here = answering if answering is not None and answering.tenant_id == tenant_id else None
        if self.by_own_means:
            return Admission.ASK if here and here.enforced else Admission.OPEN
        return Admission.OPEN if here and here.provider_id in self.providers else Admission.CLOSED

    def tenants(self) -> list[tuple[UUID, str]]:
        """Return (tenant id, slug) of the person's tenants that the session opens, or could after asking, by slug."""
        found = tenants_of(self.user.id)
        if self.by_own_means:
            return found
        return [(tenant_id, slug) for tenant_id, slug in found if self.admits(tenant_id) is Admission.OPEN]


def only_by_provider(user: User) -> bool:
    """Say whether the account has no password and comes in by the provider that answers for its address.

    A link or an invitation gives no password to such an account. Works outside any scope.
    """
    if user.has_usable_password():
        return False
    bound = list(SocialAccount.objects.filter(user_id=user.pk).values_list("provider", flat=True))
    with dispatch(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM signin_emaildomain WHERE domain = %s AND provider_id::text = ANY(%s))",
            [domain_of(user.email), bound],
        )
        (found,) = cursor.fetchone()
    return bool(found)


def reach_of(request: HttpRequest, user: User) -> Reach:
    """Return how far the request's session reaches for the person signed in with it."""
    kept = request.session.get(_KEY) or {}
    if kept.get("user") != str(user.pk):
        return Reach(user, by_own_means=False)
    return _reach(user, kept["providers"])


def reach_at_sign_in(request: HttpRequest, user: User) -> Reach:
    """Return how far the session will reach for who signs in with it just now."""
    return _reach(user, _providers(request, user))


def _reach(user: User, providers: Sequence[str]) -> Reach:
    return Reach(user, not providers, tuple(UUID(each) for each in providers))


def _providers(request: HttpRequest, user: User) -> list[str]:
    # One provider's word limits the session, whatever else was shown with it.
    records = get_authentication_records(request, user)
    return sorted({str(record["provider"]) for record in records if record["method"] == "socialaccount"})


@receiver(user_logged_in)
def _keep(request: HttpRequest, user: User, **_: Any) -> None:
    request.session[_KEY] = {"user": str(user.pk), "providers": _providers(request, user)}


def answering_for(domain: str) -> Answering | None:
    """Return the enabled provider that answers for the domain, of whichever tenant. Works outside any scope."""
    if not domain:
        return None
    with dispatch(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT p.tenant_id, p.id, p.enforced FROM signin_emaildomain d "
            "JOIN signin_identityprovider p ON p.id = d.provider_id AND p.tenant_id = d.tenant_id "
            "WHERE d.domain = %s AND p.enabled",
            [domain],
        )
        row = cursor.fetchone()
    return Answering(*row) if row else None
