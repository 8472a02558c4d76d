"""Whose a question is while it waits, and what the reader may do about that; read in the tenant's scope."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.utils import timezone

from agents.models import Run
from console.members import Member
from console.run_list import name_of
from escalations import permissions
from escalations.actions.life import MANAGING
from escalations.models import Escalation
from tenants.models import User

#: How long a question can be put off, by what it is called in the form.
SNOOZES: Final = {
    "1h": ("For an hour", timedelta(hours=1)),
    "4h": ("For four hours", timedelta(hours=4)),
    "1d": ("For a day", timedelta(days=1)),
    "3d": ("For three days", timedelta(days=3)),
}

TOO_SOON: Final = "It is due too soon to be put off."

#: How many members are offered to give a question to; by their address it goes to anybody.
MOST_OFFERED: Final = 500


@dataclass(frozen=True, slots=True)
class Hold:
    """Whose it is. holder: who said that they are at it, or to whom it was given; is_claimed: the former.

    snoozes: (name, words) of the times for which the reader may put it off; why_no_snooze: why there are none.
    """

    holder: str
    is_mine: bool
    is_claimed: bool
    is_claimed_by_me: bool
    snoozed_until: datetime | None
    may_claim: bool
    may_release: bool
    may_assign: bool
    may_snooze: bool
    snoozes: list[tuple[str, str]]
    why_no_snooze: str


def hold(escalation: Escalation, member: Member, *, may_answer: bool) -> Hold | None:
    """Return whose an open question is; None once it is answered. may_answer: whether the reader may answer it."""
    if escalation.status != "open":
        return None
    me, now = member.user.id, timezone.now()
    holder_id = escalation.claimed_by_id or escalation.assignee_id
    holder = User.objects.filter(id=holder_id).first() if holder_id else None
    manages = member.principal.role in MANAGING and member.can("escalations:decide")
    snoozed = escalation.snoozed_until if escalation.snoozed_until and escalation.snoozed_until > now else None
    snoozes = [(name, words) for name, (words, time) in SNOOZES.items() if now + time <= _last(escalation, now + time)]
    return Hold(
        holder=name_of(holder) if holder else "",
        is_mine=me in (escalation.claimed_by_id, escalation.assignee_id),
        is_claimed=escalation.claimed_by_id is not None,
        is_claimed_by_me=escalation.claimed_by_id == me,
        snoozed_until=snoozed,
        may_claim=may_answer and escalation.claimed_by_id is None,
        may_release=holder is not None and (manages or (me == holder.id and member.can("escalations:decide"))),
        may_assign=may_answer or manages,
        may_snooze=may_answer,
        snoozes=snoozes,
        why_no_snooze="" if snoozes else TOO_SOON,
    )


def until(name: str) -> datetime | None:
    """Return the time that a choice of the form means; None for none of them."""
    return timezone.now() + SNOOZES[name][1] if name in SNOOZES else None


def deciders(escalation: Escalation) -> list[str]:
    """Return the addresses of members who may answer it, in their order; at most `MOST_OFFERED`."""
    run = Run.objects.select_related("agent").get(id=escalation.run_id)
    people = User.objects.filter(id__in=permissions.deciders(escalation, run)).order_by("email")
    return list(people.values_list("email", flat=True)[:MOST_OFFERED])


def _last(escalation: Escalation, otherwise: datetime) -> datetime:
    return min((each for each in (escalation.due_at, escalation.expires_at) if each is not None), default=otherwise)
