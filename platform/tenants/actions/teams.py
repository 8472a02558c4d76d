"""Make teams, change who is in them, look them up. Whether one may is for the caller to check (`admin`)."""

from collections.abc import Collection
from uuid import UUID

from django.contrib.auth.models import Group

from audit import journal
from db.models import new_id
from db.scope import tenant_scope
from tenants.actions import members
from tenants.actions.names import check_name, check_slug
from tenants.errors import UnknownTeam
from tenants.models import Team, TeamMember, User


def put(*, tenant_id: UUID, slug: str, name: str = "", emails: Collection[str], acting_as: str) -> Team:
    """Make the team, or change it, so that its members are exactly those with the addresses `emails`.

    A team that is so already is returned without a record. Raises `BadSlug`, `BadName`, `UnknownMember`.
    """
    check_slug(slug)
    check_name(name)
    with tenant_scope(tenant_id):
        wanted = {members.by_email(email) for email in emails}
        team = Team.objects.select_for_update().filter(slug=slug).first()
        created = team is None
        if team is None:
            team = _create(slug, name)
        present = {place.user for place in team.members.select_related("user")}
        if not created and present == wanted and team.name == name:
            return team
        if team.name != name:
            team.name = name
            team.save(update_fields=["name"])
        _change(team, added=wanted - present, removed=present - wanted)
        journal.record(
            "team.added" if created else "team.changed",
            stream=team.id,
            actor=acting_as,
            facts={"added": _ids(wanted - present), "removed": _ids(present - wanted)},
            payload={"slug": slug, "name": name},
        )
        return team


def by_slug(slug: str) -> Team:
    """Return the team of the tenant in scope; raises `UnknownTeam`."""
    team = Team.objects.filter(slug=slug).first()
    if team is None:
        raise UnknownTeam(f"There is no team {slug!r}.")
    return team


def _create(slug: str, name: str) -> Team:
    team_id = new_id()
    return Team.objects.create(id=team_id, slug=slug, name=name, group=Group.objects.create(name=f"team:{team_id}"))


def _change(team: Team, *, added: Collection[User], removed: Collection[User]) -> None:
    team.members.filter(user__in=removed).delete()
    team.group.user_set.remove(*removed)
    TeamMember.objects.bulk_create(TeamMember(team=team, user=user) for user in added)
    team.group.user_set.add(*added)


def _ids(users: Collection[User]) -> list[str]:
    return sorted(f"user:{user.id}" for user in users)
