"""What needs whom, and what first: the inbox as query sets. Reads only what stands on the questions' own rows."""

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from access import permissions
from agents.models import Run
from escalations import risk
from escalations.models import Escalation
from escalations.permissions import queues_of, reviewed_by, standing_in
from tenants.principal import Principal


def needing(principal: Principal) -> QuerySet[Escalation]:
    """Return the open questions that this member may answer now and that nobody put off, in no order.

    What `check_decide` allows, but for a run that comes from another one that this member asked for or told something,
    and for what they may decide only by a right that is not lent to them: those are shown, with the reason why somebody
    else has to decide.
    """
    if not permissions.can(principal, "escalations:decide") or principal.is_service:
        return Escalation.objects.none()
    me = principal.user_id
    asked_for = Run.objects.filter(id=OuterRef("run_id"), requested_by_id=me)
    found = (
        Escalation.objects.filter(status="open")
        .filter(Q(expires_at=None) | Q(expires_at__gt=Now()))
        .filter(Q(snoozed_until=None) | Q(snoozed_until__lte=Now()))
        .exclude(requester_id=me)
        .filter(Q(excluded=None) | ~Q(excluded__contains=[me]))
        .exclude(votes__user_id=me)
        .filter(~Exists(asked_for))
    )
    if principal.role in permissions.HOLD_ALL_GRANTS:
        return found
    people = standing_in(me)
    mine = Q(queue__in=list(queues_of(people)))
    if agents := reviewed_by(people):
        mine |= Q(agent_id__in=agents)
    return found.filter(mine)


def ranked(found: QuerySet[Escalation]) -> QuerySet[Escalation]:
    """Put the most urgent first: what is at stake, and how long it has waited (`escalations.risk`)."""
    return found.order_by("-urgency", "-id")


def pressing(found: QuerySet[Escalation]) -> QuerySet[Escalation]:
    """Return those of great risk."""
    return found.filter(risk__gte=risk.GREAT)


def behind(found: QuerySet[Escalation], last: Escalation) -> QuerySet[Escalation]:
    """Return those of `ranked` that stand behind `last`."""
    return found.filter(Q(urgency__lt=last.urgency) | Q(urgency=last.urgency, id__lt=last.id))
