"""Who may ask for holds, erasures and terms, and who may confirm them: two persons, each with the right at that moment.

A member's key acts for the member, as it does for decisions (docs/adr/0006). A service account is nobody.
"""

from typing import Final
from uuid import UUID

from access import permissions
from retention.errors import AskerLeft, NotAPerson, SamePerson
from retention.models import Order
from tenants.models import Membership, Role
from tenants.principal import Principal

HOLD: Final = "audit:hold"
ERASE: Final = "audit:erase"

#: Kind of order → what asking for it, confirming and refusing it takes.
NEEDED: Final[dict[str, str]] = {"hold": HOLD, "release": HOLD, "erasure": ERASE, "terms": ERASE}


def check_ask(principal: Principal, kind: str) -> None:
    """Raise `AccessDenied` or `NotAPerson` unless this member may ask for it."""
    permissions.check(principal, NEEDED[kind])
    if principal.is_service:
        raise NotAPerson


def check_confirm(principal: Principal, order: Order) -> None:
    """Raise `AccessDenied`, `NotAPerson`, `SamePerson` or `AskerLeft` unless this member may confirm it now."""
    check_ask(principal, order.kind)
    if principal.user_id == order.asked_by_id:
        raise SamePerson
    if not _may(order.asked_by_id, NEEDED[order.kind]):
        raise AskerLeft


def _may(user_id: UUID, permission: str) -> bool:
    rows = Membership.objects.filter(user_id=user_id, is_active=True, user__is_active=True, user__is_service=False)
    role = rows.values_list("role", flat=True).first()
    return role is not None and permission in permissions.ALLOWED[Role(role)]
