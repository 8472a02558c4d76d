"""Who sees a question, and who may answer it. Whether it is still open is the core's business, not this module's."""

from collections.abc import Collection, Set
from typing import Final
from uuid import UUID

from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from access import grants, permissions
from agents.actions import lineage
from agents.actions.lineage import requesters
from agents.models import AgentTeamGrant, AgentUserGrant, Run
from escalations.errors import FirstDecider, MayNotDecide, OwnEdit, OwnRequest, SecondVote, UnknownEscalation
from escalations.models import Delegation, Escalation, Queue
from tenants.models import Membership, Role
from tenants.principal import Principal

_SEE_ALL = frozenset({Role.OWNER, Role.OPERATOR, Role.COMPLIANCE})

#: Roles that may decide, given a queue or a grant.
DECIDING: Final = frozenset(role for role, allowed in permissions.ALLOWED.items() if "escalations:decide" in allowed)


#: Kinds of questions about what a model proposes, which who steered it has a part in.
_PROPOSED: Final = frozenset({"tool_call", "output"})


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
    concerns = Q(requester_id=principal.user_id) | Q(assignee_id=principal.user_id)
    people = standing_in(principal.user_id) if principal.role in DECIDING else {principal.user_id}
    others = people - {principal.user_id}
    if others and Membership.objects.filter(user_id__in=others, role__in=_SEE_ALL).exists():
        return Escalation.objects.all()
    if queues := set(queues_of(people)):
        concerns |= Q(queue__in=queues)
    if agents := reviewed_by(people):
        concerns |= Q(agent_id__in=agents)
    return Escalation.objects.filter(concerns)


def seen(escalation_id: UUID, principal: Principal) -> Escalation:
    """Return the question if the member sees it and may decide at all; raises `UnknownEscalation`, `AccessDenied`."""
    permissions.check(principal, "escalations:decide")
    found = concerning(principal).filter(id=escalation_id).first()
    if found is None:
        raise UnknownEscalation
    return found


def reviewed_by(user_ids: Collection[UUID]) -> set[UUID]:
    """Return the ids of the agents that one of these members may review by a grant of their own or of a team."""
    mine = AgentUserGrant.objects.filter(user_id__in=user_ids, permission__codename="review")
    teams = AgentTeamGrant.objects.filter(group__user__in=user_ids, permission__codename="review")
    return {*mine.values_list("content_object_id", flat=True), *teams.values_list("content_object_id", flat=True)}


def queues_of(user_ids: Collection[UUID]) -> QuerySet[Queue, str]:
    """Return the slugs of the queues that one of these members works, directly or by team."""
    by_team = Q(teams__team__members__user_id__in=user_ids)
    return Queue.objects.filter(Q(members__user_id__in=user_ids) | by_team).values_list("slug", flat=True)


def standing_in(user_id: UUID) -> set[UUID]:
    """Return the member and all that they stand in for at this moment; one who may no more decide lends nothing."""
    away = Delegation.objects.filter(delegate_id=user_id, starts_at__lte=Now(), ends_at__gt=Now())
    return {user_id, *deciding(away.values_list("user_id", flat=True))}


def deciding(user_ids: Collection[UUID]) -> set[UUID]:
    """Return those of these users who are active members of the tenant, persons, and of a role that decides."""
    return set(_of_deciding_roles().filter(user_id__in=list(user_ids)).values_list("user_id", flat=True))


def _of_deciding_roles() -> QuerySet[Membership]:
    return Membership.objects.filter(is_active=True, role__in=DECIDING, user__is_active=True, user__is_service=False)


def check_decide(principal: Principal, escalation: Escalation, run: Run) -> None:
    """Raise `AccessDenied` or `MayNotDecide`, with the reason, unless this member may answer this question."""
    permissions.check(principal, "escalations:decide")
    if principal.is_service:
        raise MayNotDecide("A service account may not decide; use the key of a member (`apikey create --as`).")
    barred = barred_from(escalation, run)
    if principal.user_id in requesters(run):
        raise OwnRequest
    if principal.user_id in barred:
        raise FirstDecider if escalation.kind == "appeal" else OwnEdit
    # In one look: this may be asked before the question is locked, while the vote that decides it is written.
    voted = set(escalation.votes.filter(escalation__status="open").values_list("user_id", flat=True))
    if principal.user_id in voted:
        raise SecondVote
    if not _rights(principal.user_id, escalation, run, barred):
        raise MayNotDecide("You neither work this question's queue nor may review this agent.")
    before = _by_rights_of_their_own(voted, escalation, run, barred)
    with_this = _by_rights_of_their_own(voted | {principal.user_id}, escalation, run, barred)
    if len(with_this) <= len(before):
        raise MayNotDecide("Somebody has voted by the right that you would use.")


def barred_from(escalation: Escalation, run: Run) -> set[UUID]:
    """Return who never decides it: whoever asked for the run or has it done for them, and who else is excluded.

    Of what the model proposes, whoever told something to a run that this one comes from or that was done for it, and
    where several must agree, whoever answered one of these in words; of what undoes another run, whoever appealed
    against that.
    """
    barred = {*requesters(run), *(escalation.excluded or ())}
    if escalation.kind in _PROPOSED:
        barred |= lineage.guides_before(run, advisers=escalation.required > 1)
    if run.reverses_id is not None:
        appeals = Escalation.objects.filter(kind="appeal", run_id__in=[each.id for each in lineage.origins(run)])
        barred |= set(appeals.values_list("requester_id", flat=True))
    return barred


def may_decide(user_id: UUID, escalation: Escalation, run: Run) -> bool:
    """Say whether that member may answer the question at this moment, whether they have voted or not."""
    barred = barred_from(escalation, run)
    return user_id not in barred and bool(deciding([user_id])) and bool(_rights(user_id, escalation, run, barred))


def deciders(escalation: Escalation, run: Run) -> set[UUID]:
    """Return all who `may_decide` it at this moment, in a fixed number of queries however many members there are."""
    barred = barred_from(escalation, run)
    members = _of_deciding_roles().exclude(user_id__in=barred)
    people = set(members.values_list("user_id", flat=True))
    holding = grants.held_by(people, "review", run.agent)
    if escalation.queue is not None:
        queue = Queue.objects.filter(slug=escalation.queue)
        working = {*queue.values_list("members__user_id"), *queue.values_list("teams__team__members__user_id")}
        holding |= people & {user_id for (user_id,) in working}
    away = Delegation.objects.filter(user_id__in=holding, starts_at__lte=Now(), ends_at__gt=Now())
    return holding | (people & set(away.values_list("delegate_id", flat=True)))


def standing(escalation: Escalation, run: Run) -> set[UUID]:
    """Return those who approved it and may do so at this moment, each by a right that no other vote uses."""
    voters = set(escalation.votes.filter(decision="approve").values_list("user_id", flat=True))
    barred = barred_from(escalation, run)
    return _by_rights_of_their_own(deciding(voters) - barred, escalation, run, barred)


def _by_rights_of_their_own(voters: Set[UUID], escalation: Escalation, run: Run, barred: Set[UUID]) -> set[UUID]:
    """Return as many of the voters as there are rights for: one right is one vote, whoever uses it.

    A voter may have several to choose from: their own, and those of whom they stand in for. So each is given one in
    turn, and who has one already takes another where that lets somebody else vote (a maximum matching).
    """
    rights = {each: _rights(each, escalation, run, barred) for each in voters}
    used: dict[UUID, UUID] = {}  # whose right → who votes by it

    def take(voter: UUID, looked_at: set[UUID]) -> bool:
        for right in sorted(rights[voter] - looked_at, key=lambda each: (each != voter, each)):
            looked_at.add(right)
            if right not in used or take(used[right], looked_at):
                used[right] = voter
                return True
        return False

    return {voter for voter in sorted(voters) if take(voter, set())}


def _rights(user_id: UUID, escalation: Escalation, run: Run, barred: Set[UUID]) -> set[UUID]:
    """Return by whose rights a member may answer: their own, or that of somebody they stand in for and who may, too."""
    people = {user_id, *(standing_in(user_id) - barred)}
    return {each for each in people if _holds(each, escalation, run)}


def _holds(user_id: UUID, escalation: Escalation, run: Run) -> bool:
    if escalation.queue is not None and queues_of([user_id]).filter(slug=escalation.queue).exists():
        return True
    return grants.held_by_all([user_id], "review", run.agent)
