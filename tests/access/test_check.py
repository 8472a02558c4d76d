"""The check at the call: by role, by name, by team; current at each asking; quick however many grants there are."""

from collections.abc import Iterator
from threading import Thread
from typing import Any
from uuid import UUID

import pytest
from django.db import connection, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from access import grants
from access.check import GrantTables, granted_sql
from agents.actions import tools
from agents.models import Tool
from db.models import new_id
from db.scope import tenant_scope
from tenants.actions import teams
from tenants.models import Membership, Role, User
from tenants.principal import COMMAND, Principal
from tests.worlds import LOOKUP, World, world

pytestmark = pytest.mark.usefixtures("database")

TABLES = GrantTables("agents_toolusergrant", "agents_toolteamgrant", conditional=True)
QUERY = granted_sql(TABLES)


@pytest.fixture
def here() -> World:
    return world()


def tool_of(here: World, name: str = "lookup") -> Tool:
    made: Tool = tools.put(name, LOOKUP, acting_as=here.alice).version.tool
    return made


def parameters(principal: Principal, *objects: UUID, permission: str = "use") -> dict[str, Any]:
    return {
        "objects": list(objects),
        "tenant": principal.tenant_id,
        "users": [principal.user_id],
        "permission": permission,
    }


def held(principal: Principal, *objects: UUID, permission: str = "use") -> set[UUID]:
    """Ask, in the principal's tenant."""
    with tenant_scope(principal.tenant_id), connection.cursor() as cursor:
        cursor.execute(QUERY, parameters(principal, *objects, permission=permission))
        return {found for _, found in cursor.fetchall()}


def grant(here: World, tool: Tool, to: Principal) -> UUID:
    """Let a member use the tool; returns the grant's id."""
    with tenant_scope(here.tenant_id):
        user = User.objects.get(id=to.user_id)
        return grants.add(tool, "use", user, acting_as=here.alice).id


def become(here: World, who: Principal, role: Role) -> None:
    with tenant_scope(here.tenant_id):
        Membership.objects.filter(user_id=who.user_id).update(role=role)


@pytest.mark.parametrize("role", Role)
def test_owners_and_operators_hold_everything_by_role_and_nobody_else(here: World, role: Role) -> None:
    one, two = tool_of(here, "one"), tool_of(here, "two")
    become(here, here.bob, role)

    assert held(here.bob, one.id, two.id) == ({one.id, two.id} if role in {Role.OWNER, Role.OPERATOR} else set())


def test_of_several_those_granted_are_held(here: World) -> None:
    one, two, three = (tool_of(here, name) for name in ("one", "two", "three"))
    grant(here, one, here.bob)
    grant(here, three, here.bob)
    grant(here, two, here.rita)

    assert held(here.bob, one.id, two.id, three.id) == {one.id, three.id}
    assert held(here.bob) == set()


def test_a_grant_is_for_its_permission_alone(here: World) -> None:
    tool = tool_of(here)
    grant(here, tool, here.bob)

    assert held(here.bob, tool.id, permission="edit") == set()
    assert held(here.bob, tool.id, permission="") == set()


def test_a_team_lends_what_it_was_granted_while_one_is_in_it(here: World) -> None:
    tool = tool_of(here)

    def put(*names: str) -> Any:
        emails = [f"{name}@{here.slug}.example" for name in names]
        return teams.put(tenant_id=here.tenant_id, slug="desk", emails=emails, acting_as=COMMAND)

    team = put("bob", "rita")
    with tenant_scope(here.tenant_id):
        grants.add(tool, "use", team, acting_as=here.alice)
    assert (held(here.bob, tool.id), held(here.rita, tool.id)) == ({tool.id}, {tool.id})

    put("rita")

    assert (held(here.bob, tool.id), held(here.rita, tool.id)) == (set(), {tool.id})


def test_what_was_revoked_between_two_calls_is_gone_at_the_second(here: World) -> None:
    tool = tool_of(here)
    given = grant(here, tool, here.bob)
    assert held(here.bob, tool.id) == {tool.id}

    grants.remove(tool, given, acting_as=here.alice)

    assert held(here.bob, tool.id) == set()


def test_a_revocation_that_commits_is_seen_by_a_transaction_that_began_before(here: World) -> None:
    """READ COMMITTED: the check looks at the moment of the call, not at the start of its transaction."""
    tool = tool_of(here)
    given = grant(here, tool, here.bob)
    with tenant_scope(here.tenant_id), connection.cursor() as cursor:
        cursor.execute(QUERY, parameters(here.bob, tool.id))
        assert cursor.fetchone() == (here.bob.user_id, tool.id)
        in_another_transaction(here, tool, given)
        cursor.execute(QUERY, parameters(here.bob, tool.id))
        assert cursor.fetchone() is None


def in_another_transaction(here: World, tool: Tool, given: UUID) -> None:
    """Revoke as somebody else does, at the same time."""

    def revoke() -> None:
        grants.remove(tool, given, acting_as=here.alice)
        connection.close()

    thread = Thread(target=revoke)
    thread.start()
    thread.join()


@pytest.mark.parametrize("role", [Role.OWNER, Role.VIEWER])
def test_the_inactive_and_the_removed_hold_nothing(here: World, role: Role) -> None:
    tool = tool_of(here)
    for who in (here.bob, here.rita):
        become(here, who, role)
        grant(here, tool, who)
    User.objects.filter(id=here.bob.user_id).update(is_active=False)
    with tenant_scope(here.tenant_id):
        Membership.objects.filter(user_id=here.rita.user_id).delete()

    assert held(here.bob, tool.id) == set()
    assert held(here.rita, tool.id) == set()


def test_a_superuser_holds_nothing_for_being_one(here: World) -> None:
    tool = tool_of(here)
    User.objects.filter(id=here.bob.user_id).update(is_superuser=True, is_staff=True)

    assert held(here.bob, tool.id) == set()


def test_a_grant_in_one_tenant_is_none_in_another_for_the_same_person(here: World) -> None:
    there = world()
    tool = tool_of(here)
    grant(here, tool, here.bob)
    with tenant_scope(there.tenant_id):
        Membership.objects.create(user_id=here.bob.user_id, role=Role.VIEWER)

    assert held(here.bob, tool.id) == {tool.id}
    assert held(Principal(there.tenant_id, here.bob.user_id, Role.VIEWER), tool.id) == set()


def test_somebody_of_another_tenant_holds_nothing_in_this_ones_scope(here: World) -> None:
    there, tool = world(), tool_of(here)
    with tenant_scope(here.tenant_id), connection.cursor() as cursor:
        cursor.execute(QUERY, parameters(there.alice, tool.id))
        assert cursor.fetchall() == []


@pytest.fixture
def crowded(here: World, owner_connection: BaseDatabaseWrapper) -> Iterator[tuple[World, Tool]]:
    """A tenant with 20,000 grants on 1,000 tools; afterwards they are gone."""
    tool = tool_of(here)
    grant(here, tool, here.bob)
    with transaction.atomic(using="owner"), owner_connection.cursor() as cursor:
        cursor.execute("SELECT set_config('app.tenant', %s, true)", [str(here.tenant_id)])
        cursor.execute(
            "CREATE TEMPORARY TABLE made_user AS SELECT gen_random_uuid() AS id FROM generate_series(1, 20);"
            "CREATE TEMPORARY TABLE made_tool AS SELECT gen_random_uuid() AS id, n FROM generate_series(1, 1000) n"
        )
        cursor.execute(
            "INSERT INTO tenants_user "
            "(id, email, name, password, is_superuser, is_active, is_staff, is_service, created_at) "
            "SELECT id, id || '@many.example', '', '', false, true, false, false, now() FROM made_user"
        )
        cursor.execute(
            "INSERT INTO agents_tool SELECT (jsonb_populate_record(r, jsonb_build_object('id', made.id, 'name', "
            "'many_' || made.n))).* FROM agents_tool r, made_tool made WHERE r.id = %s",
            [tool.id],
        )
        cursor.execute(
            "INSERT INTO agents_toolusergrant (id, tenant_id, permission_id, user_id, content_object_id) "
            "SELECT gen_random_uuid(), g.tenant_id, g.permission_id, u.id, t.id "
            "FROM agents_toolusergrant g, made_user u, made_tool t WHERE g.content_object_id = %s",
            [tool.id],
        )
        assert cursor.rowcount == 20_000
    with owner_connection.cursor() as cursor:
        cursor.execute("ANALYZE agents_toolusergrant, agents_tool, tenants_user")
    yield here, tool
    with transaction.atomic(using="owner"), owner_connection.cursor() as cursor:
        cursor.execute("SELECT set_config('app.tenant', %s, true)", [str(here.tenant_id)])
        cursor.execute("DELETE FROM agents_toolusergrant WHERE user_id IN (SELECT id FROM made_user)")
        cursor.execute("DELETE FROM agents_tool WHERE id IN (SELECT id FROM made_tool)")
        cursor.execute("DELETE FROM tenants_user WHERE id IN (SELECT id FROM made_user)")
        cursor.execute("DROP TABLE made_user, made_tool")


def test_the_check_goes_by_indexes_however_many_grants_there_are(crowded: tuple[World, Tool]) -> None:
    here, tool = crowded
    with tenant_scope(here.tenant_id), connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {QUERY}", parameters(here.bob, tool.id, new_id()))
        plan = cursor.fetchone()[0][0]["Plan"]
    scans = [node for node in nodes(plan) if node.get("Relation Name") == "agents_toolusergrant"]

    assert scans
    assert all("Index" in node["Node Type"] for node in scans)
    assert all(node["Actual Rows"] * node["Actual Loops"] <= 2 for node in scans)
    assert held(here.bob, tool.id) == {tool.id}


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield every node of a plan."""
    yield plan
    for inner in plan.get("Plans", []):
        yield from nodes(inner)
