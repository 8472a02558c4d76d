"""Who stands in for whom while they are away."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db.models import Q, QuerySet

from access.acting import acting
from agents.actions.runs import transaction_time
from audit import journal
from escalations.actions.life import MANAGING
from escalations.errors import BadTime, MayNotReview, NotYours, UnknownDelegation
from escalations.models import Delegation
from escalations.permissions import deciding
from tenants.actions import members
from tenants.models import User
from tenants.principal import Principal

#: The longest that anybody stands in, and how many stand in for one member at once or will.
LONGEST: Final = timedelta(days=366)
MOST: Final = 20

#: How far ahead somebody plans. Far enough for anyone, and far from the year 9999, after which a time on another clock
#: is one that the database keeps and nobody can read again.
AHEAD: Final = timedelta(days=10 * 366)


def add(*, to: str, starts_at: datetime, ends_at: datetime, acting_as: Principal, of: str | None = None) -> Delegation:
    """Have the member with the address `to` stand in from `starts_at` to `ends_at`.

    of: the address of whom, for owners and operators who set it up for somebody else; oneself when None. Both are
    members who may decide. Raises `AccessDenied`, `UnknownMember`, `MayNotReview`, `BadTime`, `NotYours`.
    """
    with acting(acting_as, "escalations:decide") as actor:
        user = members.by_email(of) if of is not None else User.objects.get(id=acting_as.user_id)
        if user.id != acting_as.user_id and acting_as.role not in MANAGING:
            raise NotYours("Only owners and operators have somebody stand in for another member.")
        delegate = members.by_email(to)
        for each in (user, delegate):
            members.hold(each)
        if user.id == delegate.id or len(deciding([user.id, delegate.id])) < 2:
            raise MayNotReview("Who stands in is another member, and both may review.")
        _check_times(starts_at, ends_at)
        if Delegation.objects.filter(user=user, ends_at__gt=transaction_time()).count() >= MOST:
            raise BadTime(f"At most {MOST} stand in for one member.")
        made = Delegation.objects.create(user=user, delegate=delegate, starts_at=starts_at, ends_at=ends_at)
        _record("delegation.added", made, actor)
        return made


def remove(delegation_id: UUID, *, acting_as: Principal) -> None:
    """End it; for who is stood in for, who stands in, owners and operators. Raises `UnknownDelegation`."""
    with acting(acting_as, "escalations:decide") as actor:
        found = visible(acting_as).filter(id=delegation_id).first()
        if found is None:
            raise UnknownDelegation
        _record("delegation.removed", found, actor)
        found.delete()


def visible(principal: Principal) -> QuerySet[Delegation]:
    """Return those that concern the member; owners and operators see all."""
    rows = Delegation.objects.select_related("user", "delegate")
    if principal.role in MANAGING:
        return rows
    return rows.filter(Q(user_id=principal.user_id) | Q(delegate_id=principal.user_id))


def _check_times(starts_at: datetime, ends_at: datetime) -> None:
    if ends_at <= starts_at or ends_at <= transaction_time():
        raise BadTime("It ends after it starts, and not in the past.")
    if ends_at > transaction_time() + AHEAD:
        raise BadTime(f"It ends within {AHEAD.days // 366} years from now.")
    if ends_at - starts_at > LONGEST:
        raise BadTime(f"At most {LONGEST.days} days.")


def _record(action: str, delegation: Delegation, actor: str) -> None:
    journal.record(
        action,
        stream=delegation.id,
        actor=actor,
        subject=f"user:{delegation.user_id}",
        facts={
            "to": f"user:{delegation.delegate_id}",
            "from": delegation.starts_at.isoformat(),
            "until": delegation.ends_at.isoformat(),
        },
    )
