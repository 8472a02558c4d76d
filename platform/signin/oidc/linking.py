"""Whose account a provider's person has here.

Accounts are bound to (provider, subject), which a provider never gives to anybody else (OpenID Connect Core 1.0, 5.7).
An e-mail address only leads to the account the first time, and only inside the provider's tenant and domains: the
tenant runs the provider, so it may vouch for nobody else's people (docs/adr/0007). Who is bound to one provider is not
bound by an address to another: an owner who sets one up could otherwise come in as anybody.
"""

from typing import Final

from allauth.socialaccount.models import SocialAccount
from django.contrib.auth.hashers import make_password
from django.db import IntegrityError, transaction

from audit import journal
from db.scope import tenant_scope
from signin import letters
from signin.domains import domain_of
from signin.models import IdentityProvider
from signin.oidc.errors import NotAdmitted
from signin.oidc.installed import Door
from signin.oidc.provider import Claims
from tenants.actions import members, tenants
from tenants.errors import BadEmail
from tenants.models import Membership, User

#: Who acts when somebody's first sign-in changes something here.
ACTOR: Final = "system:single_sign_on"


def account_of(door: Door, claims: Claims, *, present: User | None) -> SocialAccount:
    """Return the binding of the person, made now at their first sign-in; raises `NotAdmitted`.

    present: who is signed in in this browser by their own means, and so speaks for their account themselves.
    One transaction, with a record for the new member and one for the new binding. Lock at a first sign-in: the
    provider's row, so that two of one person don't both bind them, and none outlives the provider.
    """
    with tenant_scope(door.tenant_id):
        bound = _bound(door, claims)
        if bound is None:
            if IdentityProvider.objects.select_for_update(no_key=True).filter(id=door.id).first() is None:
                raise NotAdmitted("not_a_member")
            bound = _bound(door, claims) or _bind(door, claims, _by_address(door, claims, present))
        _check_admitted(door, bound.user)
        return bound


def take_from_member(user: User) -> dict[str, int]:
    """Unbind a leaving member from the providers of the tenant in scope; returns how many bindings there were."""
    providers = [str(each) for each in IdentityProvider.objects.values_list("id", flat=True)]
    count, _ = SocialAccount.objects.filter(user=user, provider__in=providers).delete()
    return {"identities": count}


def _bound(door: Door, claims: Claims) -> SocialAccount | None:
    return SocialAccount.objects.select_related("user").filter(provider=str(door.id), uid=claims.subject).first()


def _by_address(door: Door, claims: Claims, present: User | None) -> User:
    if not claims.vouched:
        raise NotAdmitted("email_unverified")
    email = _address(claims.email)
    if domain_of(email) not in door.domains:
        raise NotAdmitted("email_domain")
    user = User.objects.filter(email=email).first()
    if user is None and door.joins_as is not None:
        return _join(door, email, claims.name)
    if user is None:
        raise NotAdmitted("not_a_member")
    _check_admitted(door, user)
    bound_to = set(SocialAccount.objects.filter(user=user).values_list("provider", flat=True))
    if str(door.id) in bound_to:
        raise NotAdmitted("other_identity")
    if bound_to and user != present:
        raise NotAdmitted("other_provider")
    return user


def _address(said: str) -> str:
    """Return the address as it is kept, or "" for what is none; beyond ASCII two can look, or become, alike."""
    try:
        return members.check_address(said) if said.isascii() else ""
    except BadEmail:
        return ""


def _check_admitted(door: Door, user: User) -> None:
    member = Membership.objects.filter(user=user, is_active=True).exists()
    if not member or not user.is_active or user.is_service:
        raise NotAdmitted("not_a_member")
    if domain_of(user.email) not in door.domains:
        raise NotAdmitted("email_domain")


def _join(door: Door, email: str, name: str) -> User:
    assert door.joins_as is not None  # noqa: S101 - the caller looked
    try:
        with transaction.atomic():
            user = User.objects.create(email=email, name=name, password=make_password(None))
    except IntegrityError as error:  # made elsewhere this instant: an account that exists does not join by itself
        raise NotAdmitted("not_a_member") from error
    members.put(tenant=tenants.by_id(door.tenant_id), email=email, role=door.joins_as, acting_as=ACTOR)
    return user


def _bind(door: Door, claims: Claims, user: User) -> SocialAccount:
    bound = SocialAccount.objects.create(provider=str(door.id), uid=claims.subject, user=user)
    journal.record(
        "identity.bound",
        stream=door.id,
        actor=ACTOR,
        subject=f"user:{user.id}",
        facts={"provider": str(door.id)},
        payload={"subject": claims.subject},
    )
    letters.tell(user, of="identity_bound", provider=door.name, tenant=door.tenant)
    return bound
