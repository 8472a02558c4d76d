"""Who sees a question, and who may answer it. Whether it is still open is the core's business, not this module's."""

from uuid import UUID

from django.db.models import Q, QuerySet

from access import grants, permissions
from agents.actions.runs import requesters
from agents.models import AgentTeamGrant, AgentUserGrant, Run
from escalations.errors import MayNotDecide, OwnEdit, OwnRequest, SecondVote
from escalations.models import Escalation, Queue
from tenants.models import Role
from tenants.principal import Principal

_SEE_ALL = frozenset({Role.OWNER, Role.OPERATOR, Role.COMPLIANCE})


def visible(principal: Principal) -> QuerySet[Escalation]:
    """Return the questions this member may see: all by role, else those of their queues, agents and requests."""
    permissions.check(principal, "escalations:read")
    return concerning(principal)


def concerning(principal: Principal) -> QuerySet[Escalation]:
    """Return the same whatever the key's scopes: a key that may only decide must find what it decides."""
    if principal.role in _SEE_ALL:
        return Escalation.objects.all()
    # Looked up first: of values the planner knows how many rows they stand for, of a subquery it does not. So somebody
    # to whom little of a long history belongs does not wait for all of it to be read.
    concerns = Q(requester_id=principal.user_id)
    if queues := list(queues_of(principal.user_id)):
        concerns |= Q(queue__in=queues)
    if agents := _reviewed_by(principal.user_id):
        concerns |= Q(agent_id__in=agents)
    return Escalation.objects.filter(concerns)


def _reviewed_by(user_id: UUID) -> set[UUID]:
    mine = AgentUserGrant.objects.filter(user_id=user_id, permission__codename="review")
    teams = AgentTeamGrant.objects.filter(group__user=user_id, permission__codename="review")
    return {*mine.values_list("content_object_id", flat=True), *teams.values_list("content_object_id", flat=True)}


def queues_of(user_id: UUID) -> QuerySet[Queue, str]:
    """Return the slugs of the queues a member works, directly or by team."""
    by_team = Q(teams__team__members__user_id=user_id)
    return Queue.objects.filter(Q(members__user_id=user_id) | by_team).values_list("slug", flat=True)


def check_decide(principal: Principal, escalation: Escalation, run: Run) -> None:
    """Raise `AccessDenied` or `MayNotDecide`, with the reason, unless this member may answer this question."""
    permissions.check(principal, "escalations:decide")
    if principal.is_service:
        raise MayNotDecide("A service account may not decide; use the key of a member (`apikey create --as`).")
    if principal.user_id in requesters(run):
        raise OwnRequest
    if principal.user_id in (escalation.excluded or ()):
        raise OwnEdit
    # In one look: this may be asked before the question is locked, while the vote that decides it is written.
    if escalation.votes.filter(user_id=principal.user_id, escalation__status="open").exists():
        raise SecondVote
    works_it = escalation.queue is not None and escalation.queue in set(queues_of(principal.user_id))
    if not works_it and not grants.held(principal, "review", run.agent):
        raise MayNotDecide("You neither work this question's queue nor may review this agent.")
