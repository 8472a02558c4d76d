"""Who is written to about a question: those who may decide it, whoever it is given to, or who asked for it."""

from collections.abc import Collection
from typing import Final
from uuid import UUID

from django.db.models.functions import Now

from access.permissions import HOLD_ALL_GRANTS
from agents.models import AgentTeamGrant, AgentUserGrant, Run
from escalations.models import Delegation, Escalation, QueueMember, QueueTeam
from escalations.permissions import barred_from, deciding, may_decide, standing_in
from notices.kinds import OF_OPEN
from tenants.models import Membership, TeamMember, User

#: The status in which a question is when each kind is told of; what is no more so is not told.
_STILL: Final = {kind: frozenset({"open"}) for kind in OF_OPEN} | {"decided": frozenset({"decided", "expired"})}


def is_still_so(kind: str, escalation: Escalation) -> bool:
    """Say whether what a notice of that kind says of the question holds at this moment."""
    return escalation.status in _STILL[kind]


def is_still_theirs(kind: str, escalation: Escalation, user_id: UUID) -> bool:
    """Say whether a notice of that kind concerns the member at this moment, who may have been told to wait for it.

    Of an open question: they may decide it now and have not voted; what was assigned is theirs still, or that of
    somebody they stand in for.
    """
    if kind not in OF_OPEN:
        return True
    if kind == "assigned" and escalation.assignee_id not in standing_in(user_id):
        return False
    if escalation.votes.filter(user_id=user_id).exists():
        return False
    return may_decide(user_id, escalation, Run.objects.select_related("agent").get(id=escalation.run_id))


def recipients(kind: str, escalation: Escalation) -> set[UUID]:
    """Return the members to write to; in the tenant's scope.

    Of an open question: whom it is assigned to, else who works its queue, else who reviews its agent, else the
    operators and owners; and whoever stands in for them now. Nobody who may not decide it or has voted.
    """
    if kind == "decided":
        asked = Membership.objects.filter(user_id=escalation.requester_id, is_active=True)
        return set(asked.filter(user__is_active=True, user__is_service=False).values_list("user_id", flat=True))
    barred = barred_from(escalation, Run.objects.get(id=escalation.run_id))
    voted = set(escalation.votes.values_list("user_id", flat=True))
    for people in _circles(escalation):
        if found := _with_deputies(people, barred) - voted:
            return found
    return set()


def _circles(escalation: Escalation) -> list[set[UUID]]:
    """Return those it is for, the narrowest circle first."""
    if escalation.assignee_id is not None:
        return [{escalation.assignee_id}]
    wide = Membership.objects.filter(role__in=HOLD_ALL_GRANTS).values_list("user_id", flat=True)
    return [_working(escalation.queue), _reviewing(escalation.agent_id), set(wide)]


def _working(slug: str | None) -> set[UUID]:
    if slug is None:
        return set()
    teams = QueueTeam.objects.filter(queue__slug=slug).values_list("team_id", flat=True)
    return {
        *QueueMember.objects.filter(queue__slug=slug).values_list("user_id", flat=True),
        *TeamMember.objects.filter(team_id__in=list(teams)).values_list("user_id", flat=True),
    }


def _reviewing(agent_id: UUID) -> set[UUID]:
    own = AgentUserGrant.objects.filter(content_object_id=agent_id, permission__codename="review")
    groups = AgentTeamGrant.objects.filter(content_object_id=agent_id, permission__codename="review")
    by_team = User.objects.filter(groups__in=list(groups.values_list("group_id", flat=True)))
    return {*own.values_list("user_id", flat=True), *by_team.values_list("id", flat=True)}


def _with_deputies(people: Collection[UUID], barred: Collection[UUID]) -> set[UUID]:
    """Return those of them who may decide, and who stands in for one of these."""
    able = deciding(people) - set(barred)
    away = Delegation.objects.filter(user_id__in=able, starts_at__lte=Now(), ends_at__gt=Now())
    deputies = set(away.values_list("delegate_id", flat=True))
    return able | (deciding(deputies) - set(barred))
