"""What a member holds in a tenant, and loses when they leave it."""

from django.db.models import Q
from django.db.models.functions import Now

from tenants.leaving import LEAVING
from tenants.models import ApiKey, Invitation, Team, TeamMember, User


def take_belongings(user: User) -> dict[str, int]:
    """Take keys, team places, pending invitations, and what the apps above know of, in the tenant in scope.

    Returns how many of what. The caller holds the membership's row and writes the record.
    """
    counts = {
        "keys": ApiKey.objects.filter(principal=user, revoked_at=None).update(revoked_at=Now()),
        "teams": _leave_teams(user),
        "invitations": withdraw_invitations(user),
    }
    for take in LEAVING:
        counts |= take(user)
    return counts


def _leave_teams(user: User) -> int:
    groups = list(Team.objects.filter(members__user=user).values_list("group_id", flat=True))
    user.groups.remove(*groups)
    TeamMember.objects.filter(user=user).delete()
    return len(groups)


def withdraw_invitations(user: User) -> int:
    """Withdraw the pending invitations that the user made or was sent; returns how many."""
    pending = Invitation.objects.filter(accepted_at=None, revoked_at=None)
    return pending.filter(Q(invited_by=user) | Q(email=user.email)).update(revoked_at=Now())
