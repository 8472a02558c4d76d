"""The check at the call: by role, by name, by team; current at each asking; quick however many grants there are."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.db import connection, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from access import grants
from access.check import GrantTables, granted_sql, holdings_sql, unproven_sql
from agents.actions import tools
from agents.models import Tool
from db import embedded
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


def test_conditions_come_back_with_what_they_speak_of(here: World) -> None:
    one, two, three = (tool_of(here, name) for name in ("one", "two", "three"))
    emails = [f"bob@{here.slug}.example"]
    team = teams.put(tenant_id=here.tenant_id, slug="desk", emails=emails, acting_as=COMMAND)
    user = User.objects.get(id=here.bob.user_id)
    with tenant_scope(here.tenant_id):
        by_name = grants.add(one, "use", user, condition="args.key == 'a'", acting_as=here.alice)
        by_team = grants.add(one, "use", team, condition="args.key == 'b'", acting_as=here.alice)
        grants.add(two, "use", user, acting_as=here.alice)
        grants.add(two, "use", team, condition="false", acting_as=here.alice)

    found = holdings(here.bob, [here.bob.user_id, here.alice.user_id], one.id, two.id, three.id)

    assert found[here.alice.user_id, one.id][0] is True
    always, conditions, principal = found[here.bob.user_id, one.id]
    assert (always, conditions) == (False, {str(by_name.id): "args.key == 'a'", str(by_team.id): "args.key == 'b'"})
    assert principal == {
        "id": str(here.bob.user_id),
        "email": f"bob@{here.slug}.example",
        "role": "viewer",
        "teams": ["desk"],
    }
    assert found[here.bob.user_id, two.id][0] is True
    assert found[here.bob.user_id, three.id] == (False, None, None)
    assert held(here.bob, one.id, two.id, three.id) == {two.id}


def test_of_a_member_who_is_gone_nothing_comes_back_and_of_others_something(here: World) -> None:
    with tenant_scope(here.tenant_id):
        Membership.objects.filter(user_id=here.rita.user_id).update(is_active=False)

    assert holdings(here.bob, [here.bob.user_id, here.rita.user_id]).keys() == {(here.bob.user_id, None)}


def holdings(asking: Principal, users: list[UUID], *objects: UUID) -> dict[tuple[UUID, UUID | None], Any]:
    wanted = {**parameters(asking, *objects), "users": users}
    with tenant_scope(asking.tenant_id), connection.cursor() as cursor:
        cursor.execute(holdings_sql(TABLES), {**wanted, "facts": False})
        return {
            (user, obj): (always, conditions and json.loads(conditions), principal and json.loads(principal))
            for user, obj, always, conditions, principal in cursor.fetchall()
        }


def test_the_check_is_for_its_tenants_grants_even_where_row_level_security_does_not_look(
    here: World, embedded_server: embedded.Server
) -> None:
    """Bob belongs to both tenants and holds the tool in one; asked as of the other, with all rows in sight, nothing."""
    there, tool = world(), tool_of(here)
    grant(here, tool, here.bob)
    with tenant_scope(there.tenant_id):
        Membership.objects.create(user_id=here.bob.user_id, role=Role.VIEWER)
    database = str(connection.settings_dict["NAME"])
    wanted = {**parameters(here.bob, tool.id), "facts": False}
    elsewhere = {**wanted, "tenant": there.tenant_id}
    with psycopg.connect(embedded_server.dsn(database=database), autocommit=True) as superuser:
        for query in (QUERY, holdings_sql(TABLES)):
            assert superuser.execute(query.encode(), wanted).fetchall()[0][1] == tool.id
        assert superuser.execute(QUERY.encode(), elsewhere).fetchall() == []
        [row] = superuser.execute(holdings_sql(TABLES).encode(), elsewhere).fetchall()
        assert row[2:] == (False, None, None)


# --- many ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def crowded(here: World, owner_connection: BaseDatabaseWrapper) -> Iterator[tuple[World, Tool]]:
    """A tenant with 20,000 grants to members and 20,000 to teams, on 1,000 tools; afterwards they are gone."""
    tool = tool_of(here)
    grant(here, tool, here.bob)
    emails = [f"bob@{here.slug}.example"]
    team = teams.put(tenant_id=here.tenant_id, slug="desk", emails=emails, acting_as=COMMAND)
    with tenant_scope(here.tenant_id):
        grants.add(tool, "use", team, condition="args.key == 'a'", acting_as=here.alice)
    with as_owner(here, owner_connection) as cursor:
        cursor.execute(_MAKE_MANY)
        cursor.execute(_GRANT_MANY_TO_MEMBERS, [here.tenant_id, tool.id])
        assert cursor.rowcount == 20_000
        cursor.execute(_GRANT_MANY_TO_TEAMS, [here.tenant_id, tool.id])
        assert cursor.rowcount == 20_000
    with owner_connection.cursor() as cursor:
        cursor.execute(f"ANALYZE {', '.join(GRANT_TABLES)}, tenants_user, tenants_membership, tenants_user_groups")
    yield here, tool
    with as_owner(here, owner_connection) as cursor:
        cursor.execute(_UNMAKE_MANY)
    with owner_connection.cursor() as cursor:
        cursor.execute(f"ANALYZE {', '.join(GRANT_TABLES)}")


GRANT_TABLES = ("agents_toolusergrant", "agents_toolteamgrant")

_MAKE_MANY = """
CREATE TEMPORARY TABLE made_user AS
    SELECT gen_random_uuid() AS id, gen_random_uuid() AS team, n FROM generate_series(1, 20) n;
CREATE TEMPORARY TABLE made_tool AS SELECT gen_random_uuid() AS id, n FROM generate_series(1, 1000) n;
INSERT INTO tenants_user (id, email, name, password, is_superuser, is_active, is_staff, is_service, created_at)
    SELECT id, id || '@many.example', '', '', false, true, false, false, now() FROM made_user;
INSERT INTO tenants_membership (id, tenant_id, user_id, role, created_at)
    SELECT gen_random_uuid(), current_setting('app.tenant')::uuid, id, 'viewer', now() FROM made_user;
INSERT INTO auth_group (name) SELECT 'team:' || team FROM made_user;
INSERT INTO tenants_team (id, tenant_id, slug, name, group_id)
    SELECT team, current_setting('app.tenant')::uuid, 'many-' || n, '', g.id
    FROM made_user JOIN auth_group g ON g.name = 'team:' || team;
INSERT INTO tenants_user_groups (user_id, group_id)
    SELECT made_user.id, g.id FROM made_user JOIN auth_group g ON g.name = 'team:' || team;
INSERT INTO agents_tool (id, tenant_id, name, created_at, updated_at)
    SELECT id, current_setting('app.tenant')::uuid, 'many_' || n, now(), now() FROM made_tool;
"""
_GRANT_MANY_TO_MEMBERS = """
INSERT INTO agents_toolusergrant (id, tenant_id, permission_id, user_id, content_object_id)
SELECT gen_random_uuid(), g.tenant_id, g.permission_id, u.id, t.id
FROM agents_toolusergrant g, made_user u, made_tool t WHERE g.tenant_id = %s AND g.content_object_id = %s
"""
_GRANT_MANY_TO_TEAMS = """
INSERT INTO agents_toolteamgrant (id, tenant_id, permission_id, group_id, content_object_id, condition)
SELECT gen_random_uuid(), g.tenant_id, g.permission_id, team.group_id, t.id, CASE WHEN t.n %% 2 = 0 THEN 'true' END
FROM agents_toolteamgrant g, made_user u JOIN tenants_team team ON team.id = u.team, made_tool t
WHERE g.tenant_id = %s AND g.content_object_id = %s
"""
_UNMAKE_MANY = """
DELETE FROM tenants_user_groups WHERE user_id IN (SELECT id FROM made_user);
DELETE FROM tenants_team WHERE id IN (SELECT team FROM made_user);
DELETE FROM auth_group WHERE name IN (SELECT 'team:' || team FROM made_user);
DELETE FROM tenants_membership WHERE user_id IN (SELECT id FROM made_user);
SET CONSTRAINTS ALL IMMEDIATE;
DELETE FROM agents_tool WHERE id IN (SELECT id FROM made_tool);
DELETE FROM tenants_user WHERE id IN (SELECT id FROM made_user);
DROP TABLE made_user, made_tool
"""


@contextmanager
def as_owner(here: World, owner_connection: BaseDatabaseWrapper) -> Iterator[Any]:
    """Work as the owner, in the tenant's scope."""
    with transaction.atomic(using="owner"), owner_connection.cursor() as cursor:
        cursor.execute("SELECT set_config('app.tenant', %s, true)", [str(here.tenant_id)])
        yield cursor


PROOFS = """(SELECT * FROM json_to_recordset(%(proofs)s::json) AS p(
    holder uuid, object uuid, by_grant uuid, condition text, principal jsonb))"""


@pytest.mark.parametrize("generic", [False, True], ids=["planned for its values", "planned for any"])
def test_the_check_goes_by_indexes_however_many_grants_there_are(crowded: tuple[World, Tool], generic: bool) -> None:
    here, tool = crowded
    wanted = parameters(here.bob, tool.id, new_id())
    proof = {"holder": str(here.bob.user_id), "object": str(tool.id), "by_grant": str(new_id()), "condition": "true"}
    unproven = unproven_sql(TABLES, proofs=PROOFS, tenant="%(tenant)s::uuid", permission="%(permission)s")
    of_whom = {"tenant": here.tenant_id, "permission": "use"}
    queries = {
        "granted": (QUERY, wanted),
        "holdings": (holdings_sql(TABLES), {**wanted, "facts": False}),
        "proven": (f"SELECT {unproven}", {**of_whom, "proofs": json.dumps([proof, {**proof, "by_grant": None}])}),
    }
    for name, (query, values) in queries.items():
        plan = explained(here, query, values, generic=generic)
        scans = [node for node in nodes(plan) if node.get("Relation Name") in GRANT_TABLES]
        assert {node["Relation Name"] for node in scans} == set(GRANT_TABLES), name
        assert all("Index" in node["Node Type"] for node in scans), (name, scans)
        assert all(visited(node) <= 4 for node in scans), (name, scans)
    assert held(here.bob, tool.id) == {tool.id}


def explained(here: World, query: str, values: dict[str, Any], *, generic: bool) -> dict[str, Any]:
    """Return the plan that the query is carried out by. generic: as a statement prepared long ago is."""
    names = list(values)
    text = query % {name: f"${place}" for place, name in enumerate(names, 1)}
    with tenant_scope(here.tenant_id), connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL plan_cache_mode = force_{'generic' if generic else 'custom'}_plan")
        cursor.execute(f"PREPARE asked AS {text}")
        given = ", ".join(f"%({name})s" for name in names)
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE asked({given})", values)
        plan: dict[str, Any] = cursor.fetchone()[0][0]["Plan"]
        cursor.execute("DEALLOCATE asked")
    return plan


def visited(node: dict[str, Any]) -> float:
    """Count the rows that a scan looked at, those it passed over included."""
    each: float = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
    return each * float(node["Actual Loops"])


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield every node of a plan."""
    yield plan
    for inner in plan.get("Plans", []):
        yield from nodes(inner)
