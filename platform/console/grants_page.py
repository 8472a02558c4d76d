"""Who holds a grant on an agent or a tool, and the form that gives one; read in the tenant's scope."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.http import Http404

from access import grants
from access.errors import UnknownGrant
from access.grants import Holder
from agents.models import Agent, Tool
from console.members import Member
from console.run_list import name_of
from tenants.actions import members, teams
from tenants.models import Membership, Team

#: How many teams, and how many members, the form offers; by its name a grant goes to anybody.
MOST_OFFERED: Final = 100

#: How many grants a page shows.
PAGE: Final = 100

#: What a permission lets its holder do.
WORDS: Final = {
    "use": "Have runs use it",
    "run": "Start and end its runs",
    "edit": "Change, publish and stop it",
    "review": "Decide what it asks",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One grant. condition: when it holds; empty for always."""

    id: UUID
    who: str
    icon: str
    permission: str
    condition: str


@dataclass(frozen=True, slots=True)
class Given:
    """What was written in the form, for it to be shown again with what is wrong with it."""

    to: str = ""
    permission: str = ""
    condition: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Card:
    """The grants on one object, ready to render.

    permissions: (name, words) of what can be granted; offered: teams' slugs and members' addresses; both empty for
    those who may not grant. conditions: whether a grant here can have one. more: the last one's id when there are more.
    """

    lines: Sequence[Line]
    permissions: Sequence[tuple[str, str]]
    offered: Sequence[tuple[str, str]]
    conditions: bool
    may_grant: bool
    given: Given
    more: UUID | None
    is_later: bool


def card_of(obj: Agent | Tool, member: Member, given: Given, after: UUID | None) -> Card | None:
    """Return a page of who holds what on the object, oldest first; None for a role that does not see people.

    after: the last grant of the page before.
    """
    if not member.can("people:read"):
        return None
    may_grant = member.can("grants:write")
    known, listed = grants.permissions(type(obj)), _listed(obj, after)
    return Card(
        lines=[_line(each) for each in listed[:PAGE]],
        permissions=[(each, WORDS[each]) for each in known] if may_grant else [],
        offered=_offered() if may_grant else [],
        conditions=isinstance(obj, Tool),
        may_grant=may_grant,
        given=given,
        more=listed[PAGE - 1].id if len(listed) > PAGE else None,
        is_later=after is not None,
    )


def holder_of(text: str) -> Holder:
    """Return the member of that e-mail address or the team of that slug; raises `UnknownMember`, `UnknownTeam`."""
    return members.by_email(text) if "@" in text else teams.by_slug(text)


def check_there(obj: Agent | Tool, grant: UUID) -> None:
    """Raise `Http404` unless that is a grant on the object."""
    try:
        grants.one(obj, grant)
    except UnknownGrant as error:
        raise Http404 from error


def _listed(obj: Agent | Tool, after: UUID | None) -> list[grants.Grant]:
    """Return the grants behind that one, oldest first, one more than a page shows."""
    found: list[grants.Grant] = []
    for rows in grants.rows_of(obj):
        behind = rows.order_by("id") if after is None else rows.filter(id__gt=after).order_by("id")
        found += [grants.grant_of(row) for row in behind[: PAGE + 1]]
    return sorted(found, key=lambda grant: grant.id)[: PAGE + 1]


def _line(grant: grants.Grant) -> Line:
    is_team = isinstance(grant.holder, Team)
    who = grant.holder.slug if isinstance(grant.holder, Team) else name_of(grant.holder)
    return Line(grant.id, who, "users" if is_team else "user", grant.permission, grant.condition or "")


def _offered() -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = [
        (slug, f"team {name}")
        for slug, name in Team.objects.order_by("slug").values_list("slug", "name")[:MOST_OFFERED]
    ]
    people: Any = Membership.objects.filter(is_active=True, user__is_active=True).order_by("user__email")
    for each in people.select_related("user")[:MOST_OFFERED]:
        found.append((each.user.email, "service account" if each.user.is_service else name_of(each.user)))
    return found
