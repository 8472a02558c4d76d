"""Set up where a tenant's people sign in. Whether one may is checked here too (`admin`)."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from allauth.socialaccount.models import SocialAccount
from django.db.models import QuerySet

from access.acting import acting
from audit import journal
from signin import sealing
from signin.domains import canonical
from signin.errors import (
    BadClient,
    BadIssuer,
    BadJoiningRole,
    DomainNotAllowed,
    DomainTaken,
    IssuerFixed,
    UnknownProvider,
)
from signin.models import EmailDomain, IdentityProvider
from signin.oidc.addresses import why_unfit
from tenants.actions.names import check_name, check_slug
from tenants.models import Role
from tenants.principal import Principal

Json = Any

_MAX_ISSUER: Final = 500
_MAX_CLIENT: Final = 191
_SECRET_CHARS: Final = range(4, 1001)
_PLAIN: Final = ("name", "client_id", "joins_as", "enforced", "enabled")


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a provider shall be.

    client_secret: None keeps the present one, "" is for a client without. domains: of the e-mail addresses it answers
    for, each allowed to the tenant. joins_as: role of people new to the installation; None: by invitation only.
    """

    issuer: str
    client_id: str
    name: str = ""
    client_secret: str | None = None
    domains: Collection[str] = ()
    joins_as: Role | None = None
    enforced: bool = False
    enabled: bool = True


def put(slug: str, wanted: Wanted, *, acting_as: Principal | str) -> IdentityProvider:
    """Make the provider, or change it; one that is so already is returned without a record.

    Raises `BadSlug`, `BadName`, `BadIssuer`, `BadClient`, `BadJoiningRole`, `BadDomain`, `DomainNotAllowed`,
    `DomainTaken`, `IssuerFixed`; `acting`'s errors for `admin`. Lock: the provider's row.
    """
    with acting(acting_as, "admin") as actor:
        _check(slug, wanted)
        provider = IdentityProvider.objects.select_for_update().filter(slug=slug).first()
        created = provider is None
        provider = provider or IdentityProvider(slug=slug, issuer=wanted.issuer)
        if provider.issuer != wanted.issuer:
            raise IssuerFixed
        secret_changed = _take_over(provider, wanted)
        if secret_changed or created or _differs(provider):
            provider.save()
        elif not _answers_for_others(provider, wanted):
            return provider
        domains = _answer_for(provider, {canonical(each) for each in wanted.domains})
        verb = "added" if created else "changed"
        _record(f"identity_provider.{verb}", provider, domains, actor=actor, secret_changed=secret_changed)
        return provider


def remove(provider: IdentityProvider, *, acting_as: Principal | str) -> None:
    """Remove a provider of the tenant in scope; its domains stay the tenant's.

    Sessions that it vouched for open nothing any more. Who was bound to it stays so, and is not bound by their address
    to another one: removing a provider must be no way to come in as its people. Raises `UnknownProvider`; `acting`'s
    errors for `admin`.
    """
    with acting(acting_as, "admin") as actor:
        present = IdentityProvider.objects.select_for_update().filter(id=provider.id).first()
        if present is None:
            raise UnknownProvider
        bindings = SocialAccount.objects.filter(provider=str(present.id)).count()
        EmailDomain.objects.filter(provider=present).update(provider=None)
        present.delete()
        journal.record(
            "identity_provider.removed",
            stream=provider.id,
            actor=actor,
            facts={"identities": bindings},
            payload={"slug": provider.slug},
        )


def all_of_tenant() -> "QuerySet[IdentityProvider]":
    """Return the providers of the tenant in scope, with their domains."""
    return IdentityProvider.objects.prefetch_related("domains")


def by_slug(slug: str) -> IdentityProvider:
    """Return the provider of the tenant in scope; raises `UnknownProvider`."""
    provider = all_of_tenant().filter(slug=slug).first()
    if provider is None:
        raise UnknownProvider(f"There is no identity provider {slug!r}.")
    return provider


def _check(slug: str, wanted: Wanted) -> None:
    check_slug(slug)
    check_name(wanted.name)
    if why := why_unfit(wanted.issuer):
        raise BadIssuer(f"{BadIssuer.__doc__} {why}")
    parts = urlsplit(wanted.issuer)
    if parts.query or parts.fragment or len(wanted.issuer) > _MAX_ISSUER or "/.well-known/" in wanted.issuer:
        raise BadIssuer
    secret = wanted.client_secret
    if not (0 < len(wanted.client_id) <= _MAX_CLIENT and wanted.client_id.isprintable()):
        raise BadClient
    if secret and not (len(secret) in _SECRET_CHARS and secret.isprintable()):
        raise BadClient
    if wanted.joins_as == Role.OWNER:
        raise BadJoiningRole


def _take_over(provider: IdentityProvider, wanted: Wanted) -> bool:
    """Set the provider's fields; say whether its secret became another one."""
    provider.name, provider.client_id = wanted.name, wanted.client_id
    provider.joins_as = str(wanted.joins_as or "")
    provider.enforced, provider.enabled = wanted.enforced, wanted.enabled
    if wanted.client_secret is None or wanted.client_secret == sealing.opened(provider):
        return False
    provider.sealed_secret = sealing.sealed(provider, wanted.client_secret)
    return True


def _differs(provider: IdentityProvider) -> bool:
    present = IdentityProvider.objects.filter(id=provider.id).values(*_PLAIN).first()
    return bool(present != {name: getattr(provider, name) for name in _PLAIN})


def _record(action: str, provider: IdentityProvider, domains: list[str], *, actor: str, secret_changed: bool) -> None:
    journal.record(
        action,
        stream=provider.id,
        actor=actor,
        facts={
            "enabled": provider.enabled,
            "enforced": provider.enforced,
            "joins_as": provider.joins_as or None,
            "secret_set": bool(provider.sealed_secret),
            "secret_changed": secret_changed,
        },
        payload={
            "slug": provider.slug,
            "name": provider.name,
            "issuer": provider.issuer,
            "client_id": provider.client_id,
            "domains": domains,
        },
    )


def _answers_for_others(provider: IdentityProvider, wanted: Wanted) -> bool:
    return {each.domain for each in provider.domains.all()} != {canonical(each) for each in wanted.domains}


def _answer_for(provider: IdentityProvider, wanted: set[str]) -> list[str]:
    rows = {row.domain: row for row in EmailDomain.objects.select_for_update().filter(domain__in=wanted)}
    if missing := sorted(wanted - rows.keys()):
        raise DomainNotAllowed(f"{', '.join(missing)}: {DomainNotAllowed.__doc__}")
    if taken := sorted(row.domain for row in rows.values() if row.provider_id not in (None, provider.id)):
        raise DomainTaken(f"{', '.join(taken)}: {DomainTaken.__doc__}")
    provider.domains.exclude(domain__in=wanted).update(provider=None)
    EmailDomain.objects.filter(domain__in=wanted).update(provider=provider)
    return sorted(wanted)
