"""Members, invitations, teams and services' accounts, as the pages of settings show them; read in the scope."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db.models import Count, QuerySet
from django.http import Http404
from django.utils import timezone

from console.run_list import name_of
from tenants.models import ApiKey, Invitation, Membership, Role, Team, TeamMember

#: How many lines of a list are shown; what is behind them is found by the name or address.
PAGE: Final = 100

#: Accounts of services that the form of a key offers; of others the API makes keys.
MOST_SERVICES: Final = 200

#: What each role is for, in a sentence.
ROLES: Final = {
    Role.VIEWER: "sees agents and runs, not what was said in them",
    Role.REVIEWER: "decides what waits in their queues",
    Role.OPERATOR: "builds agents, tools, policies and budgets, and decides",
    Role.DEVELOPER: "starts runs, and keeps keys and webhooks",
    Role.COMPLIANCE: "reads everything, exports the audit",
    Role.OWNER: "does all of it but change the audit",
}


@dataclass(frozen=True, slots=True)
class Person:
    """A member, or a service's account. keys: that work."""

    id: UUID
    email: str
    name: str
    role: str
    is_active: bool
    is_me: bool
    teams: list[str]
    keys: int
    added_at: datetime


@dataclass(frozen=True, slots=True)
class Listed:
    """One page of people. more: the address's query for those behind them, or nothing."""

    people: list[Person]
    more: str


def listed(me: UUID, *, services: bool, words: str = "", after: str = "") -> Listed:
    """Return the people by address, or the services by name; words: part of either."""
    rows = Membership.objects.select_related("user").filter(user__is_service=services)
    if words:
        by_name = rows.filter(user__name__icontains=words)
        rows = rows.filter(user__email__icontains=words) | by_name
    if after:
        rows = rows.filter(user__email__gt=after)
    some = list(rows.order_by("user__email")[: PAGE + 1])
    return Listed(_people(some[:PAGE], me), some[PAGE - 1].user.email if len(some) > PAGE else "")


def person(user_id: UUID, me: UUID, *, services: bool) -> tuple[Membership, Person]:
    """Return one of them; raises `Http404`."""
    rows = Membership.objects.select_related("user").filter(user_id=user_id, user__is_service=services)
    found = rows.first()
    if found is None:
        raise Http404
    return found, _people([found], me)[0]


def _people(rows: Sequence[Membership], me: UUID) -> list[Person]:
    ids = [row.user_id for row in rows]
    teams: dict[UUID, list[str]] = {}
    places = TeamMember.objects.filter(user_id__in=ids).order_by("team__slug")
    for user_id, slug in places.values_list("user_id", "team__slug"):
        teams.setdefault(user_id, []).append(slug)
    working = ApiKey.objects.filter(principal_id__in=ids, revoked_at=None).exclude(expires_at__lte=timezone.now())
    keys = dict(working.values_list("principal_id").annotate(Count("id")))
    return [
        Person(
            id=row.user_id,
            email=row.user.email,
            name=name_of(row.user) if row.user.is_service else row.user.name,
            role=str(row.role),
            is_active=row.is_active and row.user.is_active,
            is_me=row.user_id == me,
            teams=teams.get(row.user_id, []),
            keys=keys.get(row.user_id, 0),
            added_at=row.created_at,
        )
        for row in rows
    ]


def pending(before: UUID | None = None) -> tuple[list[Invitation], UUID | None]:
    """Return a page of the invitations that can still be accepted, newest first, and the last one's id if there are
    more. before: the last of the page before.
    """
    waiting = Invitation.objects.filter(accepted_at=None, revoked_at=None, expires_at__gt=timezone.now())
    rows = waiting.select_related("invited_by").order_by("-id")
    some = list((rows.filter(id__lt=before) if before else rows)[: PAGE + 1])
    return some[:PAGE], some[PAGE - 1].id if len(some) > PAGE else None


def invitation(invitation_id: UUID) -> Invitation:
    """Return an invitation; raises `Http404`."""
    found = Invitation.objects.filter(id=invitation_id).first()
    if found is None:
        raise Http404
    return found


def teams() -> list[Any]:
    """Return the teams by slug, each with how many are in it (`size`)."""
    return list(Team.objects.annotate(size=Count("members")).order_by("slug"))


def team(slug: str) -> Team:
    """Return a team; raises `Http404`."""
    found = Team.objects.filter(slug=slug).first()
    if found is None:
        raise Http404
    return found


def members_of(team: Team) -> list[str]:
    """Return the addresses of who is in it."""
    return list(team.members.order_by("user__email").values_list("user__email", flat=True))


def has_team(slug: str) -> bool:
    """Say whether a team is called so."""
    return Team.objects.filter(slug=slug).exists()


def services() -> list[Membership]:
    """Return the first `MOST_SERVICES` accounts of services that keys can be made for, by name; with their users."""
    return list(_services().order_by("user__name", "user_id")[:MOST_SERVICES])


def service(user_id: UUID) -> Membership | None:
    """Return the account of a service that keys can be made for; None where there is none of that id."""
    return _services().filter(user_id=user_id).first()


def _services() -> "QuerySet[Membership]":
    return Membership.objects.select_related("user").filter(user__is_service=True, is_active=True, user__is_active=True)
