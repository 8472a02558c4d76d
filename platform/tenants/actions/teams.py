"""Make teams, change who is in them, delete them, look them up. Whether one may is for the caller (`admin`)."""

from collections.abc import Collection
from typing import Any, Final
from uuid import UUID

from django.contrib.auth.models import Group
from django.db import connection

from audit import journal
from db.models import new_id
from db.scope import current_tenant_id
from tenants.actions import members
from tenants.actions.names import check_name, check_slug
from tenants.actions.owners import changing_people
from tenants.errors import SlugTaken, UnknownMember, UnknownTeam
from tenants.leaving import DISSOLVING
from tenants.models import Team, TeamMember, User

#: How many of those who came or went a record names for ever; all of them stand in its payload.
_NAMED: Final = 100


def put(
    *,
    tenant_id: UUID,
    slug: str,
    name: str = "",
    emails: Collection[str],
    rename_to: str | None = None,
    acting_as: str,
) -> Team:
    """Make the team, or change it, so that its members are exactly those with the addresses `emails`.

    rename_to: the slug it has from now on. A team that is so already is returned without a record. Raises `BadSlug`,
    `BadName`, `UnknownMember`, `SlugTaken`, `NotAnOwner`.
    """
    final = slug if rename_to is None else rename_to
    check_slug(slug)
    check_slug(final)
    check_name(name)
    with changing_people(tenant_id, acting_as):
        wanted = _people(emails)
        if final != slug and Team.objects.filter(slug=final).exists():
            raise SlugTaken(f"There is a team {final!r} already; choose another slug.")
        team = Team.objects.select_for_update().filter(slug=slug).first()
        created = team is None
        if team is None:
            team = _create(final, name)
        present = {place.user for place in team.members.select_related("user")}
        if not created and present == wanted and (team.slug, team.name) == (final, name):
            return team
        team.slug, team.name = final, name
        team.save(update_fields=["slug", "name"])
        _change(team, added=wanted - present, removed=present - wanted)
        _record(team, slug, created=created, added=wanted - present, removed=present - wanted, acting_as=acting_as)
        return team


def _people(emails: Collection[str]) -> set[User]:
    found = members.by_emails(emails)
    strangers = [email for email in emails if email not in found]
    if strangers:
        raise UnknownMember(f"{strangers[0]} is not a member of this tenant.")
    return set(found.values())


def _create(slug: str, name: str) -> Team:
    team_id = new_id()
    return Team.objects.create(id=team_id, slug=slug, name=name, group=Group.objects.create(name=f"team:{team_id}"))


def _change(team: Team, *, added: Collection[User], removed: Collection[User]) -> None:
    team.members.filter(user__in=removed).delete()
    team.group.user_set.remove(*removed)
    TeamMember.objects.bulk_create(TeamMember(team=team, user=user) for user in added)
    team.group.user_set.add(*added)


def _record(
    team: Team, former: str, *, created: bool, added: Collection[User], removed: Collection[User], acting_as: str
) -> None:
    came, went = _ids(added), _ids(removed)
    facts: dict[str, Any] = {"added": came[:_NAMED], "removed": went[:_NAMED]}
    if len(came) > _NAMED or len(went) > _NAMED:
        facts |= {"added_count": len(came), "removed_count": len(went)}
    journal.record(
        "team.added" if created else "team.changed",
        stream=team.id,
        actor=acting_as,
        facts=facts,
        payload={"slug": team.slug, "former_slug": former, "name": team.name, "added": came, "removed": went},
    )


def delete(team: Team, *, acting_as: str) -> None:
    """Delete the team with the group it owns, and so all that was granted to it.

    Raises `TeamInUse` while a queue names it, because nobody would see what waits there; `UnknownTeam`, `NotAnOwner`.
    """
    with changing_people(team.tenant_id, acting_as):
        present = Team.objects.select_for_update(of=("self",)).select_related("group").filter(id=team.id).first()
        if present is None:
            raise UnknownTeam
        people = _ids({place.user for place in present.members.select_related("user")})
        facts = {"members": len(people)}
        for dissolve in DISSOLVING:
            facts |= dissolve(present)
        journal.record(
            "team.deleted",
            stream=present.id,
            actor=acting_as,
            facts=facts,
            payload={"slug": present.slug, "name": present.name, "members": people},
        )
        _delete(present)


def _delete(team: Team) -> None:
    team.group.user_set.clear()
    team.delete()
    # Django would look for grants in guardian's generic table too, which nobody may reach. The foreign keys of the
    # tables that are used see to it that nothing is left that names the group.
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM auth_group WHERE id = %s", [team.group_id])


def hold(team: Team) -> None:
    """Keep a team of the tenant in scope from being deleted until the transaction ends; raises `UnknownTeam`.

    For whoever gives it something that has to go with it. Lock: the team, FOR KEY SHARE.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM tenants_team WHERE tenant_id = %s AND id = %s FOR KEY SHARE", [current_tenant_id(), team.id]
        )
        if cursor.fetchone() is None:
            raise UnknownTeam


def by_slug(slug: str) -> Team:
    """Return the team of the tenant in scope; raises `UnknownTeam`."""
    team = Team.objects.filter(slug=slug).first()
    if team is None:
        raise UnknownTeam(f"There is no team {slug!r}.")
    return team


def _ids(users: Collection[User]) -> list[str]:
    return sorted(f"user:{user.id}" for user in users)
