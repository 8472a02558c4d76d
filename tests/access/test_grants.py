"""Object grants: held by role, by name or by team; never across tenants, never by being a superuser."""

from dataclasses import replace
from uuid import uuid4

import pytest

from access import grants
from access.errors import AccessDenied, MissingScope, UnknownGrant, UnknownObject, UnknownPermission
from agents.actions import tools
from agents.models import Tool, ToolUserGrant
from audit.models import Record
from db.errors import OutsideTenantScope
from db.scope import tenant_scope
from tenants.actions import teams
from tenants.errors import UnknownMember, UnknownTeam
from tenants.models import Membership, Team, User
from tenants.principal import COMMAND, Principal
from tests.worlds import LOOKUP, World, world

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def here() -> World:
    return world()


@pytest.fixture
def tool(here: World) -> Tool:
    return tools.put("lookup", LOOKUP, acting_as=here.alice).version.tool


def user(principal: Principal) -> User:
    return User.objects.get(id=principal.user_id)


def team(here: World, *people: str) -> Team:
    emails = [f"{person}@{here.slug}.example" for person in people]
    return teams.put(tenant_id=here.tenant_id, slug="credit", emails=emails, acting_as=COMMAND)


def held(here: World, principal: Principal, tool: Tool) -> bool:
    with tenant_scope(here.tenant_id):
        return grants.held(principal, "use", tool)


def test_owners_and_operators_hold_everything_and_others_nothing(here: World, tool: Tool) -> None:
    assert held(here, here.alice, tool)
    assert not held(here, here.bob, tool)
    assert not held(here, here.rita, tool)


def test_a_member_holds_what_was_granted_until_it_is_taken_back(here: World, tool: Tool) -> None:
    grant = grants.add(tool, "use", user(here.bob), acting_as=here.alice)
    assert held(here, here.bob, tool)

    grants.remove(tool, grant.id, acting_as=here.alice)

    assert not held(here, here.bob, tool)
    with tenant_scope(here.tenant_id):
        stored = Record.objects.filter(stream=tool.id, action__startswith="grant.").order_by("id")
        facts = {"permission": "use", "on": "tool", "grant": str(grant.id)}
        assert [(record.action, record.actor, record.subject, record.facts) for record in stored] == [
            (action, here.alice.actor, f"user:{here.bob.user_id}", facts) for action in ("grant.added", "grant.removed")
        ]
        assert all(record.commitment is None for record in stored)


def test_a_team_grant_is_held_by_its_members_while_they_are_in_it(here: World, tool: Tool) -> None:
    grants.add(tool, "use", team(here, "bob"), acting_as=here.alice)
    assert held(here, here.bob, tool)
    assert not held(here, here.rita, tool)

    team(here, "rita")

    assert not held(here, here.bob, tool)
    assert held(here, here.rita, tool)


def test_granting_twice_is_granting_once(here: World, tool: Tool) -> None:
    first = grants.add(tool, "use", user(here.bob), acting_as=here.alice)
    again = grants.add(tool, "use", user(here.bob), acting_as=here.alice)

    assert first == again
    with tenant_scope(here.tenant_id):
        assert Record.objects.filter(stream=tool.id, action="grant.added").count() == 1
        assert grants.of(tool) == [first]


def test_replacing_adds_and_removes_the_difference(here: World, tool: Tool) -> None:
    grants.add(tool, "use", user(here.bob), acting_as=here.alice)
    kept = grants.add(tool, "use", user(here.rita), acting_as=here.alice)
    group = team(here, "bob")

    changed = grants.replace_all(tool, {("use", user(here.rita)): None, ("use", group): None}, acting_as=here.alice)

    assert changed
    with tenant_scope(here.tenant_id):
        found = grants.of(tool)
    assert {grant.holder for grant in found} == {user(here.rita), group}
    assert kept in found
    assert not grants.replace_all(tool, {("use", user(here.rita)): None, ("use", group): None}, acting_as=here.alice)


def test_a_superuser_passes_nowhere(here: World, tool: Tool) -> None:
    User.objects.filter(id=here.bob.user_id).update(is_superuser=True, is_staff=True)

    assert not held(here, here.bob, tool)


def test_a_grant_ends_with_the_membership_or_the_account(here: World, tool: Tool) -> None:
    grants.add(tool, "use", user(here.bob), acting_as=here.alice)
    User.objects.filter(id=here.bob.user_id).update(is_active=False)
    assert not held(here, here.bob, tool)
    User.objects.filter(id=here.bob.user_id).update(is_active=True)

    with tenant_scope(here.tenant_id):
        Membership.objects.filter(user_id=here.bob.user_id).delete()

    assert not held(here, here.bob, tool)


def test_bob_may_not_grant(here: World, tool: Tool) -> None:
    with pytest.raises(AccessDenied):
        grants.add(tool, "use", user(here.bob), acting_as=here.bob)
    grant = grants.add(tool, "use", user(here.bob), acting_as=here.alice)
    with pytest.raises(AccessDenied):
        grants.remove(tool, grant.id, acting_as=here.bob)
    with pytest.raises(MissingScope):
        grants.add(tool, "use", user(here.rita), acting_as=replace(here.alice, scopes=frozenset({"tools:write"})))


def test_carol_can_neither_grant_on_it_nor_be_granted_it(here: World, tool: Tool) -> None:
    carol = world()
    grant = grants.add(tool, "use", user(here.bob), acting_as=here.alice)

    with pytest.raises(UnknownObject):
        grants.add(tool, "use", user(carol.bob), acting_as=carol.alice)
    with pytest.raises(UnknownObject):
        grants.remove(tool, grant.id, acting_as=carol.alice)
    with pytest.raises(UnknownMember):
        grants.add(tool, "use", user(carol.bob), acting_as=here.alice)
    with pytest.raises(UnknownTeam):
        grants.add(tool, "use", team(carol, "bob"), acting_as=here.alice)
    with tenant_scope(carol.tenant_id):
        assert not grants.held(carol.alice, "use", tool)
        assert not ToolUserGrant.objects.exists()
        assert grants.of(tool) == []


def test_what_is_not_there_is_said(here: World, tool: Tool) -> None:
    with pytest.raises(UnknownPermission, match="Known: use"):
        grants.add(tool, "edit", user(here.bob), acting_as=here.alice)
    with pytest.raises(UnknownGrant):
        grants.remove(tool, uuid4(), acting_as=here.alice)
    with pytest.raises(OutsideTenantScope):
        grants.add(tool, "use", user(here.bob), acting_as=COMMAND)


def test_each_kind_of_object_says_what_can_be_granted() -> None:
    assert grants.permissions(Tool) == ("use",)
