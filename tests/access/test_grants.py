"""Object grants: held by role, by name or by team; never across tenants, never by being a superuser."""

from dataclasses import replace
from threading import Thread
from uuid import UUID, uuid4

import pytest
from django.db import connection, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from access import grants
from access.errors import AccessDenied, MissingScope, NoConditions, UnknownGrant, UnknownObject, UnknownPermission
from agents.actions import tools
from agents.models import Agent, AgentTeamGrant, AgentUserGrant, Tool, ToolTeamGrant, ToolUserGrant
from audit.models import Record
from db.errors import OutsideTenantScope
from db.scope import tenant_scope
from tenants.actions import members, teams
from tenants.errors import UnknownMember, UnknownTeam
from tenants.models import Membership, Role, Team, User
from tenants.principal import COMMAND, Principal
from tests.locks import until_waited_for
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


def test_another_condition_is_another_grant(here: World, tool: Tool) -> None:
    bob = user(here.bob)
    first = grants.add(tool, "use", bob, condition="args.key == 'a'", acting_as=here.alice)
    assert first == grants.add(tool, "use", bob, condition="args.key == 'a'", acting_as=here.alice)
    second = grants.add(tool, "use", bob, condition="args.key == 'b'", acting_as=here.alice)
    third = grants.add(tool, "use", bob, acting_as=here.alice)

    assert len({first.id, second.id, third.id}) == 3
    with tenant_scope(here.tenant_id):
        assert grants.of(tool) == [third]
        stored = Record.objects.filter(stream=tool.id, action__startswith="grant.").order_by("id")
        told = [(record.action, record.facts["grant"], record.commitment is not None) for record in stored]
    assert told == [
        ("grant.added", str(first.id), True),
        ("grant.changed", str(second.id), True),
        ("grant.changed", str(third.id), False),
    ]
    assert not held(here, here.rita, tool)


def test_a_condition_is_no_part_of_the_facts(here: World, tool: Tool) -> None:
    grants.add(tool, "use", user(here.bob), condition="principal.email == 'bob@x.example'", acting_as=here.alice)

    with tenant_scope(here.tenant_id):
        record = Record.objects.get(stream=tool.id, action="grant.added")
    assert "bob@x" not in str(record.facts)


def test_what_holds_only_sometimes_is_not_held(here: World, tool: Tool) -> None:
    grants.add(tool, "use", user(here.bob), condition="true", acting_as=here.alice)

    assert not held(here, here.bob, tool)


def test_conditions_are_for_tools(here: World) -> None:
    here.define("loan", role="You lend.")
    with tenant_scope(here.tenant_id), pytest.raises(NoConditions):
        grants.add(here.agent("loan"), "run", user(here.bob), condition="true", acting_as=here.alice)


# --- nothing is left over -----------------------------------------------------------------------------------------


@pytest.fixture
def all_over(here: World, tool: Tool) -> World:
    """Bob and his team hold everything on a tool and an agent."""
    here.define("loan", role="You lend.")
    with tenant_scope(here.tenant_id):
        agent = here.agent("loan")
        for holder in (user(here.bob), team(here, "bob")):
            grants.add(tool, "use", holder, condition="true", acting_as=here.alice)
            for permission in grants.permissions(Agent):
                grants.add(agent, permission, holder, acting_as=here.alice)
    return here


def rows(here: World) -> tuple[int, int]:
    """Count the grants of members and of teams."""
    with tenant_scope(here.tenant_id):
        by_user = ToolUserGrant.objects.count() + AgentUserGrant.objects.count()
        return by_user, ToolTeamGrant.objects.count() + AgentTeamGrant.objects.count()


def membership(here: World) -> Membership:
    with tenant_scope(here.tenant_id):
        return Membership.objects.get(user_id=here.bob.user_id)


def as_owner(here: World, owner_connection: BaseDatabaseWrapper, statement: str, *values: UUID) -> None:
    """Do it behind the actions' back."""
    with transaction.atomic(using="owner"), owner_connection.cursor() as cursor:
        cursor.execute("SELECT set_config('app.tenant', %s, true)", [str(here.tenant_id)])
        cursor.execute(statement, values)


@pytest.mark.parametrize("how", ["removed", "deactivated", "deleted"])
def test_nothing_is_left_of_a_member_who_went(all_over: World, owner_connection: BaseDatabaseWrapper, how: str) -> None:
    here = all_over
    assert rows(here) == (4, 4)

    if how == "removed":
        members.remove(membership(here), acting_as=COMMAND)
    elif how == "deactivated":
        members.deactivate(membership(here), acting_as=COMMAND)
        members.reactivate(membership(here), acting_as=COMMAND)
    else:
        as_owner(here, owner_connection, "DELETE FROM tenants_membership WHERE user_id = %s", here.bob.user_id)
    assert rows(here) == (0, 4)

    here.member("bob", Role.VIEWER)
    with tenant_scope(here.tenant_id):
        tool = Tool.objects.get(name="lookup")
        assert not grants.held(here.bob, "use", tool)
        assert {type(grant.holder) for grant in grants.of(tool)} == {Team}


@pytest.mark.parametrize("how", ["action", "deleted"])
def test_nothing_is_left_of_a_team_that_was_deleted(
    all_over: World, owner_connection: BaseDatabaseWrapper, how: str
) -> None:
    here = all_over
    with tenant_scope(here.tenant_id):
        old = Team.objects.get(slug="credit")
    if how == "action":
        teams.delete(old, acting_as=COMMAND)
    else:
        as_owner(here, owner_connection, "DELETE FROM tenants_teammember WHERE team_id = %s", old.id)
        as_owner(here, owner_connection, "DELETE FROM tenants_team WHERE id = %s", old.id)
    assert rows(here) == (4, 0)

    team(here, "bob", "rita")
    with tenant_scope(here.tenant_id):
        assert not grants.held(here.rita, "run", here.agent("loan"))


@pytest.mark.parametrize("kind", [Tool, Agent])
def test_nothing_is_left_on_what_was_deleted(here: World, kind: type[Tool] | type[Agent]) -> None:
    with tenant_scope(here.tenant_id):
        named = {"name": "bare"} if kind is Tool else {"slug": "bare"}
        permission = grants.permissions(kind)[0]
        obj = kind.objects.create(**named)
        for holder in (user(here.bob), team(here, "bob")):
            grants.add(obj, permission, holder, acting_as=here.alice)
        obj.delete()
        assert rows(here) == (0, 0)
        again = kind.objects.create(**named)
        assert grants.of(again) == []
        assert not grants.held(here.bob, permission, again)


def test_a_grant_given_while_its_holder_leaves_does_not_stay(all_over: World, tool: Tool) -> None:
    """Whoever grants holds the member: the removal waits, and takes the new grant along."""
    here = all_over

    def leave() -> None:
        members.remove(membership(here), acting_as=COMMAND)
        connection.close()

    thread = Thread(target=leave)
    with tenant_scope(here.tenant_id):
        grants.add(tool, "use", user(here.bob), condition="false", acting_as=here.alice)
        thread.start()
        until_waited_for()
    thread.join()

    assert rows(here) == (0, 4)
    with tenant_scope(here.tenant_id), pytest.raises(UnknownMember):
        grants.add(tool, "use", user(here.bob), acting_as=here.alice)
