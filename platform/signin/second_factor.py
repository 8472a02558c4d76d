"""Whether somebody has shown, or can show, more than a password."""

from typing import Final

from allauth.mfa.models import Authenticator

from signin.reach import Admission, Reach
from tenants.models import Tenant, User

#: What counts as a second factor; recovery codes only stand in for one.
TYPES: Final = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)


def has_one(user: User) -> bool:
    """Say whether the account has a second factor, so that nobody signs in to it without."""
    return bool(Authenticator.objects.filter(user_id=user.id, type__in=TYPES).exists())


def is_missing(reach: Reach, tenant: Tenant) -> bool:
    """Say whether the tenant asks for a second factor that the session has not got.

    Adding the first one ends the account's other sessions, so a session of an account that has one has shown it.
    """
    if not tenant.require_mfa:
        return False
    vouched = not reach.by_own_means and reach.admits(tenant.id) is Admission.OPEN
    if tenant.trust_provider_mfa and vouched:
        return False
    return not has_one(reach.user)
