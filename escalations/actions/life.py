"""Whose a question is while it waits: claim, release, assign, snooze; and who has opened it.

None of it keeps anybody else who may decide from deciding: a claim says who is at it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

from access import permissions
from access.acting import acting
from agents.actions.runs import transaction_time
from agents.models import Run
from audit import journal
from escalations.errors import (
    AlreadyClaimed,
    AlreadyDecided,
    BadTime,
    MayNotDecide,
    MayNotReview,
    NotClaimed,
    NotYours,
)
from escalations.models import Escalation, Opened
from escalations.permissions import check_decide, may_decide, seen
from tenants.actions import members
from tenants.models import Role
from tenants.principal import Principal

Json = Any

#: Roles that give other people's work to somebody else.
MANAGING = frozenset({Role.OWNER, Role.OPERATOR})


def claim(escalation_id: UUID, *, acting_as: Principal) -> Escalation:
    """Say that one is at it. Claimed again by the same, nothing more happens.

    Raises `UnknownEscalation`, `MayNotDecide`, `AlreadyDecided`, `AlreadyClaimed`.
    """
    with _open(escalation_id, acting_as) as (escalation, run):
        check_decide(acting_as, escalation, run)
        if escalation.claimed_by_id == acting_as.user_id:
            return escalation
        if escalation.claimed_by_id is not None:
            raise AlreadyClaimed
        escalation.claimed_by_id = escalation.assignee_id = acting_as.user_id
        escalation.claimed_at, escalation.snoozed_until = transaction_time(), None
        _save(escalation, "decision.claimed", acting_as, {})
        return escalation


def release(escalation_id: UUID, *, acting_as: Principal) -> Escalation:
    """Give it back to its queue: one's own, or for an owner or operator anybody's.

    Raises `UnknownEscalation`, `AlreadyDecided`, `NotClaimed`, `NotYours`.
    """
    with _open(escalation_id, acting_as) as (escalation, _):
        mine = acting_as.user_id in (escalation.claimed_by_id, escalation.assignee_id)
        if escalation.claimed_by_id is None and escalation.assignee_id is None:
            raise NotClaimed
        if not mine and acting_as.role not in MANAGING:
            raise NotYours("Somebody else has taken this on.")
        escalation.assignee_id = escalation.claimed_by_id = escalation.claimed_at = None
        _save(escalation, "decision.released", acting_as, {})
        return escalation


def assign(escalation_id: UUID, to: str, *, acting_as: Principal) -> Escalation:
    """Give it to the member with that address, who must be one who may decide it.

    Raises `UnknownEscalation`, `MayNotDecide`, `AlreadyDecided`, `UnknownMember`, `MayNotReview`.
    """
    with _open(escalation_id, acting_as) as (escalation, run):
        if acting_as.role not in MANAGING:
            check_decide(acting_as, escalation, run)
        user = members.by_email(to)
        members.hold(user)
        if not may_decide(user.id, escalation, run):
            raise MayNotReview
        if escalation.claimed_by_id not in (None, user.id):
            escalation.claimed_by_id = escalation.claimed_at = None
        escalation.assignee_id, escalation.snoozed_until = user.id, None
        _save(escalation, "decision.assigned", acting_as, {"to": f"user:{user.id}"})
        return escalation


def snooze(escalation_id: UUID, until: datetime, *, acting_as: Principal) -> Escalation:
    """Say that nobody need look before `until`, which is before it is due and before it expires.

    Raises `UnknownEscalation`, `MayNotDecide`, `AlreadyDecided`, `BadTime`.
    """
    with _open(escalation_id, acting_as) as (escalation, run):
        check_decide(acting_as, escalation, run)
        if until <= transaction_time():
            raise BadTime("This time has passed already.")
        last = min((each for each in (escalation.due_at, escalation.expires_at) if each is not None), default=None)
        if last is not None and until > last:
            raise BadTime(f"Somebody has to look before {last.isoformat()}.")
        escalation.snoozed_until = until
        _save(escalation, "decision.snoozed", acting_as, {"until": until.isoformat()})
        return escalation


def note_opened(escalation: Escalation, *, acting_as: Principal) -> None:
    """Keep that a person who may decide has opened the question; the second time nothing happens."""
    if acting_as.is_service or acting_as.staff_access_id is not None:
        return
    if not permissions.can(acting_as, "escalations:decide") or escalation.status != "open":
        return
    if escalation.openings.filter(user_id=acting_as.user_id).exists():
        return
    with acting(acting_as):
        made = Opened.objects.bulk_create(
            [Opened(escalation=escalation, user_id=acting_as.user_id)], ignore_conflicts=True
        )
        if made:
            _record(escalation, "decision.opened", acting_as, {})


@contextmanager
def _open(escalation_id: UUID, acting_as: Principal) -> Iterator[tuple[Escalation, Run]]:
    """Lock a question that the member sees and that is open, for somebody who may decide by role and key."""
    with acting(acting_as, "escalations:decide"):
        if acting_as.is_service:
            raise MayNotDecide("A service account has no place in the queues.")
        found = seen(escalation_id, acting_as)
        escalation = Escalation.objects.select_for_update().get(id=found.id)
        if escalation.status != "open":
            raise AlreadyDecided(f"This is {escalation.status} already.")
        yield escalation, Run.objects.select_related("agent").get(id=escalation.run_id)


def _save(escalation: Escalation, action: str, acting_as: Principal, more: dict[str, Json]) -> None:
    escalation.save()
    _record(escalation, action, acting_as, more)


def _record(escalation: Escalation, action: str, acting_as: Principal, more: dict[str, Json]) -> None:
    facts = {"escalation": str(escalation.id), "run": str(escalation.run_id), **more}
    journal.record(action, stream=escalation.id, actor=acting_as.actor, facts=facts)
