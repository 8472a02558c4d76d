"""What members and teams have to do with queues, when they go."""

from django.db.models import Q

from escalations.models import Delegation, Escalation, QueueMember, QueueTeam
from tenants.errors import TeamInUse
from tenants.models import Team, User

_NAMED = 5


def take_from_member(user: User) -> dict[str, int]:
    """Take the member out of the queues of the tenant in scope, and what they had taken on; returns how many queues."""
    count, _ = QueueMember.objects.filter(user=user).delete()
    Delegation.objects.filter(Q(user=user) | Q(delegate=user)).delete()
    waiting = Escalation.objects.filter(status="open")
    waiting.filter(Q(assignee_id=user.id) | Q(claimed_by_id=user.id)).update(
        assignee_id=None, claimed_by_id=None, claimed_at=None
    )
    return {"queues": count}


def check_team(team: Team) -> dict[str, int]:
    """Raise `TeamInUse` while a queue names the team: nobody might be left to see what waits there."""
    slugs = list(QueueTeam.objects.filter(team=team).order_by("queue__slug").values_list("queue__slug", flat=True))
    if slugs:
        raise TeamInUse(f"Take the team out of these queues first: {', '.join(slugs[:_NAMED])}.")
    return {}
