"""What members and teams have to do with queues, when they go."""

from escalations.models import QueueMember, QueueTeam
from tenants.errors import TeamInUse
from tenants.models import Team, User

_NAMED = 5


def take_from_member(user: User) -> dict[str, int]:
    """Take the member out of the queues of the tenant in scope; returns how many."""
    count, _ = QueueMember.objects.filter(user=user).delete()
    return {"queues": count}


def check_team(team: Team) -> dict[str, int]:
    """Raise `TeamInUse` while a queue names the team: nobody might be left to see what waits there."""
    slugs = list(QueueTeam.objects.filter(team=team).order_by("queue__slug").values_list("queue__slug", flat=True))
    if slugs:
        raise TeamInUse(f"Take the team out of these queues first: {', '.join(slugs[:_NAMED])}.")
    return {}
