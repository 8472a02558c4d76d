"""Whether somebody has shown, or can show, more than a password."""

from typing import Final

from allauth.mfa.models import Authenticator

from db.scope import PLATFORM
from signin import letters, records
from signin.reach import Admission, Reach
from tenants.models import Tenant, User
from tenants.models.user import SECOND_FACTORS
from vault.holders import Holder

#: What the vault's encryption binds their secrets to; a colon stands in no secret's name.
SEALED_AS: Final = "second_factor:"

#: Under which name each type keeps its secret.
_SECRET: Final = {Authenticator.Type.TOTP: "secret", Authenticator.Type.RECOVERY_CODES: "seed"}


def is_missing(reach: Reach, tenant: Tenant, *, staff: bool) -> bool:
    """Say whether the tenant asks for a second factor that the session has not got.

    Adding the first one ends the account's other sessions, so a session of an account that has one has shown it.
    staff: whether the platform's staff look, who are asked for one of their own everywhere.
    """
    if staff:
        return not (reach.by_own_means and reach.user.has_second_factor())
    if not tenant.require_mfa:
        return False
    vouched = not reach.by_own_means and reach.admits(tenant.id) is Admission.OPEN
    if tenant.trust_provider_mfa and vouched:
        return False
    return not reach.user.has_second_factor()


def remove_all(user: User) -> int:
    """Take an account's second factors and recovery codes away, for somebody who lost them; returns how many factors.

    One record for each factor; the person is told.
    """
    with records.together(user):
        removed = 0
        for each in Authenticator.objects.select_for_update().filter(user_id=user.id).order_by("id"):
            each.delete()
            removed += each.type in SECOND_FACTORS
        if removed:
            letters.tell(user, of="second_factors_taken")
    return removed


def _write(row: Authenticator, sealed: str) -> None:
    row.data[_SECRET[row.type]] = sealed
    row.save(update_fields=["data"])


#: What `secret rotate` goes through here.
HOLDER: Final = Holder(
    "second factors",
    rows=lambda: Authenticator.objects.filter(type__in=list(_SECRET)),
    read=lambda row: row.data.get(_SECRET[row.type], ""),
    write=_write,
    bound=lambda _: (PLATFORM, SEALED_AS),
    of_tenants=False,
)
