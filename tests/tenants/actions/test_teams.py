"""Teams and the group each of them owns."""

import pytest

from audit.models import Record
from db.scope import tenant_scope
from tenants.actions import teams
from tenants.errors import BadSlug, UnknownMember, UnknownTeam
from tenants.models import Team, User
from tenants.principal import COMMAND
from tests.worlds import World, world

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
