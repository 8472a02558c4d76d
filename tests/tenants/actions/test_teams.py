"""Teams and the group each of them owns."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection

from access import grants
from agents.actions import tools
from agents.errors import AgentError
from agents.models import ToolTeamGrant
from audit.models import Payload, Record
from db.scope import tenant_scope
from escalations.actions import queues
from escalations.models import QueueTeam
from tenants.actions import teams
from tenants.errors import BadSlug, SlugTaken, TeamInUse, TenantError, UnknownMember, UnknownTeam
from tenants.models import Membership, Role, Team, User
from tenants.principal import COMMAND
from tests.worlds import LOOKUP, World, world

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def here() -> World:
    return world()


def put(here: World, *people: str, slug: str = "credit", name: str = "") -> Team:
    emails = [f"{person}@{here.slug}.example" for person in people]
    return teams.put(tenant_id=here.tenant_id, slug=slug, name=name, emails=emails, acting_as=COMMAND)


def members(here: World, team: Team) -> tuple[set[str], set[str]]:
    with tenant_scope(here.tenant_id):
        places = set(team.members.values_list("user__email", flat=True))
        grouped = set(User.objects.filter(groups=team.group_id).values_list("email", flat=True))
    return {email.split("@")[0] for email in places}, {email.split("@")[0] for email in grouped}


def test_members_are_in_the_team_and_its_group(here: World) -> None:
    team = put(here, "bob", "rita")

    assert members(here, team) == ({"bob", "rita"}, {"bob", "rita"})


def test_a_change_brings_both_to_the_new_list(here: World) -> None:
    put(here, "bob", "rita")
    team = put(here, "rita", "alice")

    assert members(here, team) == ({"rita", "alice"}, {"rita", "alice"})
    with tenant_scope(here.tenant_id):
        stored = Record.objects.filter(stream=team.id).order_by("id")
        assert [record.action for record in stored] == ["team.added", "team.changed"]
        assert stored[1].facts == {"added": [here.alice.actor], "removed": [here.bob.actor]}


def test_the_same_again_is_no_change(here: World) -> None:
    team = put(here, "bob", name="Credit")
    put(here, "bob", name="Credit")

    with tenant_scope(here.tenant_id):
        assert Record.objects.filter(stream=team.id).count() == 1


def test_strangers_and_bad_names_are_refused(here: World) -> None:
    carol = world()

    with pytest.raises(BadSlug):
        put(here, slug="Credit Team")
    with pytest.raises(UnknownMember):
        teams.put(tenant_id=here.tenant_id, slug="x", emails=[f"alice@{carol.slug}.example"], acting_as=COMMAND)
    with tenant_scope(here.tenant_id):
        assert not Team.objects.exists()
        with pytest.raises(UnknownTeam):
            teams.by_slug("credit")


def test_two_tenants_may_use_one_slug(here: World) -> None:
    carol = world()

    assert put(here, "bob").group_id != put(carol, "bob").group_id


def race(action: Callable[[int], Any], at_once: int = 6) -> list[Any]:
    def one(number: int) -> Any:
        try:
            return action(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(one, range(at_once)))


def test_many_who_make_a_team_at_once_make_one(here: World) -> None:
    made = race(lambda number: put(here, ["bob", "rita"][number % 2]))

    assert len({team.id for team in made}) == 1
    people, grouped = members(here, made[0])
    assert people == grouped
    assert len(people) == 1
    with tenant_scope(here.tenant_id):
        assert Record.objects.filter(action="team.added").count() == 1


def test_a_team_of_very_many_is_recorded_whole(here: World) -> None:
    with tenant_scope(here.tenant_id):
        users = [User(email=f"p{number}@{here.slug}.example") for number in range(2000)]
        User.objects.bulk_create(users)
        Membership.objects.bulk_create(Membership(user=user, role=Role.VIEWER) for user in users)
    team = teams.put(tenant_id=here.tenant_id, slug="all", emails=[user.email for user in users], acting_as=COMMAND)
    teams.put(tenant_id=here.tenant_id, slug="all", emails=[], acting_as=COMMAND)

    with tenant_scope(here.tenant_id):
        added, removed = Record.objects.filter(stream=team.id).order_by("id")
        payload = json.loads(Payload.objects.get(record_id=added.id).value)
    assert (added.facts["added_count"], len(added.facts["added"])) == (2000, 100)
    assert (removed.facts["removed_count"], len(removed.facts["removed"])) == (2000, 100)
    assert set(payload["added"]) == {f"user:{user.id}" for user in users}


def test_a_renamed_team_keeps_members_group_and_grants(here: World) -> None:
    team = put(here, "bob")
    with tenant_scope(here.tenant_id):
        tool = tools.put("lookup", LOOKUP, acting_as=here.alice).version.tool
        grants.add(tool, "use", team, acting_as=here.alice)
    renamed = teams.put(
        tenant_id=here.tenant_id,
        slug="credit",
        emails=[f"bob@{here.slug}.example"],
        rename_to="loans",
        acting_as=COMMAND,
    )

    assert (renamed.id, renamed.group_id, renamed.slug) == (team.id, team.group_id, "loans")
    assert members(here, renamed) == ({"bob"}, {"bob"})
    with tenant_scope(here.tenant_id):
        assert grants.held(here.bob, "use", tool)


def test_a_team_is_not_renamed_to_another(here: World) -> None:
    put(here, "bob")
    put(here, "rita", slug="loans")

    with pytest.raises(SlugTaken):
        teams.put(tenant_id=here.tenant_id, slug="credit", emails=[], rename_to="loans", acting_as=COMMAND)
    with pytest.raises(BadSlug):
        teams.put(tenant_id=here.tenant_id, slug="credit", emails=[], rename_to="Loans!", acting_as=COMMAND)


def test_a_deleted_team_takes_group_and_grants_along(here: World) -> None:
    team = put(here, "bob", "rita")
    with tenant_scope(here.tenant_id):
        tool = tools.put("lookup", LOOKUP, acting_as=here.alice).version.tool
        grants.add(tool, "use", team, acting_as=here.alice)
        teams.delete(team, acting_as=COMMAND)

        assert not Team.objects.exists()
        assert not ToolTeamGrant.objects.exists()
        assert not grants.held(here.bob, "use", tool)
        record = Record.objects.get(stream=team.id, action="team.deleted")
    assert not Group.objects.filter(id=team.group_id).exists()
    assert not User.objects.filter(groups=team.group_id).exists()
    assert record.facts == {"members": 2, "grants": 1}
    with pytest.raises(UnknownTeam):
        teams.delete(team, acting_as=COMMAND)


def test_a_team_that_a_queue_names_stays(here: World) -> None:
    team = put(here, "bob")
    queues.put("inbox", {"teams": ["credit"]}, acting_as=here.alice)

    with pytest.raises(TeamInUse, match="inbox"):
        teams.delete(team, acting_as=COMMAND)
    queues.put("inbox", {"teams": []}, acting_as=here.alice)
    teams.delete(team, acting_as=COMMAND)


def test_a_team_deleted_while_something_is_granted_to_it_leaves_no_orphan(here: World) -> None:
    team = put(here, "bob")
    tool = tools.put("lookup", LOOKUP, acting_as=here.alice).version.tool

    def attempt(number: int) -> str:
        try:
            if number == 2:
                teams.delete(team, acting_as=COMMAND)
            elif number % 2:
                queues.put(f"q{number}", {"teams": ["credit"]}, acting_as=here.alice)
            else:
                grants.add(tool, "use", team, acting_as=here.alice)
        except (TenantError, AgentError) as error:
            return error.code
        return "done"

    became = race(attempt)

    assert set(became) <= {"done", "unknown_team", "team_in_use", "invalid_document"}, became
    with tenant_scope(here.tenant_id):
        there = Team.objects.filter(id=team.id).exists()
        assert there == Group.objects.filter(id=team.group_id).exists() == (became[2] == "team_in_use")
        assert there or not (ToolTeamGrant.objects.exists() or QueueTeam.objects.exists())


def test_another_tenants_team_is_none(here: World) -> None:
    team = put(world(), "bob")

    with tenant_scope(here.tenant_id), pytest.raises(UnknownTeam):
        teams.hold(team)
