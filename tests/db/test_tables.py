"""Privileges and policies, generated over every table there is: the database agrees with the lists exactly."""

from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from db import roles, tables
from db.errors import UnlistedTable
from db.roles import APP, DISPATCH, JOURNAL, OWNER, SEAL
from db.tables import Table, listed
from tests.worlds import world

PRIVILEGES = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")
SELECT = "SELECT {} FROM {}"
COLUMN_PRIVILEGES = ("SELECT", "INSERT", "UPDATE", "REFERENCES")


def rows(of: BaseDatabaseWrapper, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """Return what the query finds."""
    with of.cursor() as cursor:
        cursor.execute(query, parameters)
        found: list[tuple[Any, ...]] = cursor.fetchall()
    return found


@pytest.fixture
def relations(owner_connection: BaseDatabaseWrapper) -> dict[str, bool]:
    """Every relation that holds rows → whether it is a partition."""
    return dict(
        rows(
            owner_connection,
            "SELECT relname, relispartition FROM pg_class "
            "WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'f')",
        )
    )


def expected(table: Table, role: str) -> dict[str, set[str] | None]:
    """Return privilege → columns (None for all of them) that the role shall hold by the list."""
    if role == APP:
        return {privilege: None for privilege in table.app.split(", ") if privilege}
    columns = table.dispatch if role == DISPATCH else table.seal
    return {
        privilege: None if tuple(of) == ("*",) else set(of)
        for privileges, of in columns.items()
        for privilege in privileges.split(", ")
    }


@pytest.mark.parametrize("role", [APP, DISPATCH, SEAL])
def test_each_role_holds_on_each_table_what_its_list_says_and_nothing_else(
    owner_connection: BaseDatabaseWrapper, relations: dict[str, bool], role: str
) -> None:
    lists = listed()
    for name, is_partition in relations.items():
        wanted = {} if is_partition else expected(lists[name], role)
        held = {
            privilege
            for (privilege,) in rows(
                owner_connection,
                "SELECT p FROM unnest(%s::text[]) p WHERE has_table_privilege(%s, %s::regclass, p)",
                list(PRIVILEGES),
                role,
                name,
            )
        }
        assert held == {privilege for privilege, columns in wanted.items() if columns is None}, name

        by_column = rows(
            owner_connection,
            "SELECT p, attname FROM unnest(%s::text[]) p, pg_attribute "
            "WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped "
            "AND has_column_privilege(%s, attrelid, attname, p) AND NOT has_table_privilege(%s, attrelid, p)",
            list(COLUMN_PRIVILEGES),
            name,
            role,
            role,
        )
        assert set(by_column) == {(p, column) for p, columns in wanted.items() for column in columns or ()}, name


def test_nobody_in_general_holds_anything(owner_connection: BaseDatabaseWrapper, relations: dict[str, bool]) -> None:
    assert (
        rows(
            owner_connection,
            "SELECT relname, a.privilege_type FROM pg_class c, aclexplode(c.relacl) a "
            "WHERE relnamespace = 'public'::regnamespace AND a.grantee = 0 AND relkind <> 'S'",
        )
        == []
    )


def test_the_journals_tables_have_an_owner_of_their_own(
    owner_connection: BaseDatabaseWrapper, relations: dict[str, bool]
) -> None:
    found = dict(
        rows(
            owner_connection,
            "SELECT relname, relowner::regrole::text FROM pg_class "
            "WHERE relnamespace = 'public'::regnamespace AND relkind <> 'S'",
        )
    )

    assert found == {name: JOURNAL if name.startswith("audit_") else OWNER for name in found}
    assert rows(owner_connection, "SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'public'") == [
        (JOURNAL,)
    ]


def test_every_table_has_an_entry_and_every_entry_a_table(relations: dict[str, bool]) -> None:
    assert {name for name, is_partition in relations.items() if not is_partition} == set(listed())


def test_every_table_with_a_tenant_is_listed_as_a_tenants(owner_connection: BaseDatabaseWrapper) -> None:
    named = rows(
        owner_connection,
        "SELECT relname FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid "
        "WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition "
        "AND attname = 'tenant_id'",
    )

    assert {name for (name,) in named} == {table.name for table in listed().values() if table.tenant == "tenant_id"}


def test_every_tenants_table_has_forced_row_level_security_and_its_policies(
    owner_connection: BaseDatabaseWrapper,
) -> None:
    secured = dict(
        rows(
            owner_connection,
            "SELECT relname, relrowsecurity AND relforcerowsecurity FROM pg_class "
            "WHERE relnamespace = 'public'::regnamespace AND NOT relispartition",
        )
    )
    policies = rows(
        owner_connection,
        "SELECT tablename, policyname, roles::text[], permissive, cmd, qual, with_check FROM pg_policies",
    )
    own = "(tenant_id = (current_setting('app.tenant'::text))::uuid)"
    wanted = []
    for table in listed().values():
        if table.tenant is None:
            assert not secured[table.name], table.name
            continue
        assert secured[table.name], table.name
        check = f"({own} AND {table.check})" if table.check else own
        wanted.append((table.name, "tenant", [APP], "PERMISSIVE", "ALL", own, check))
        wanted += [
            (table.name, role, [role], "PERMISSIVE", "ALL", "true", "true")
            for role, privileges in ((DISPATCH, table.dispatch), (SEAL, table.seal))
            if privileges
        ]
    # The owners never serve; what they see is tried below.
    serving = [(name, policy, sorted(set(roles) - {OWNER, JOURNAL}), *rest) for name, policy, roles, *rest in policies]

    assert sorted(each for each in serving if each[2]) == sorted(wanted)


def as_role(role: str, statement: str) -> list[tuple[Any, ...]]:
    """Run the statement in that role, outside any tenant's scope."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL ROLE {role}")
        cursor.execute(statement)
        found: list[tuple[Any, ...]] = cursor.fetchall()
    return found


def test_dispatch_reads_across_tenants_the_listed_columns_and_no_other(database: None) -> None:
    tenants = {world().tenant_id, world().tenant_id}
    for table in listed().values():
        if columns := table.dispatch.get("SELECT"):
            as_role(DISPATCH, SELECT.format(", ".join(columns), table.name))
        with pytest.raises(DatabaseError, match="permission denied"):
            as_role(DISPATCH, SELECT.format("*", table.name))

    assert tenants <= {tenant for (tenant,) in as_role(DISPATCH, SELECT.format("tenant_id", "tenants_membership"))}


@pytest.mark.parametrize("column", ["password", "email", "name", "is_superuser"])
def test_dispatch_sees_nothing_of_people_but_whether_they_may_act(database: None, column: str) -> None:
    with pytest.raises(DatabaseError, match="permission denied"):
        as_role(DISPATCH, SELECT.format(column, "tenants_user"))


@pytest.mark.parametrize("role", [DISPATCH, SEAL])
def test_from_the_other_roles_there_is_no_way_to_the_owner(database: None, role: str) -> None:
    with pytest.raises(DatabaseError, match="permission denied to set role"):
        as_role(role, f"SET LOCAL ROLE {OWNER}")


def test_the_owner_too_sees_only_the_tenant_it_names(owner_connection: BaseDatabaseWrapper) -> None:
    one, two = world(), world()
    with pytest.raises(DatabaseError, match=r"app\.tenant|type uuid"):
        rows(owner_connection, "SELECT tenant_id FROM tenants_membership")
    with transaction.atomic(using="owner"):
        rows(owner_connection, "SELECT set_config('app.tenant', %s, true)", str(one.tenant_id))
        found = {tenant for (tenant,) in rows(owner_connection, "SELECT tenant_id FROM tenants_membership")}

    assert found == {one.tenant_id} != {two.tenant_id}


# --- reconciling --------------------------------------------------------------------------------------------------


@pytest.fixture
def scratch(owner_connection: BaseDatabaseWrapper) -> Iterator[BaseDatabaseWrapper]:
    """The owner's connection; what the test makes or breaks is mended and removed afterwards."""
    yield owner_connection
    with owner_connection.cursor() as cursor:
        cursor.execute("DROP VIEW IF EXISTS unlisted_view")
        cursor.execute("DROP MATERIALIZED VIEW IF EXISTS unlisted_copy")
        cursor.execute("DROP TABLE IF EXISTS unlisted")
    tables.reconcile_after_migrate("owner")


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE unlisted (id int)",
        "CREATE TABLE unlisted (id int) PARTITION BY RANGE (id)",
        "CREATE VIEW unlisted_view AS SELECT id FROM tenants_user",
        "CREATE MATERIALIZED VIEW unlisted_copy AS SELECT id FROM tenants_user",
    ],
)
def test_what_nobody_listed_stops_the_migration_and_stays_out_of_reach(
    scratch: BaseDatabaseWrapper, statement: str
) -> None:
    with scratch.cursor() as cursor:
        cursor.execute(statement)
    name = statement.split(" (")[0].split(" AS ")[0].split()[-1]

    with pytest.raises(UnlistedTable, match=f"No entry in any tables.py for: {name}"):
        call_command("migrate", verbosity=0, interactive=False)
    with pytest.raises(DatabaseError, match="permission denied"):
        rows(connection, SELECT.format("*", name))


@pytest.mark.parametrize(
    "tampering",
    [
        "GRANT DELETE ON tenants_apikey TO countersign_app",
        "GRANT SELECT (password) ON tenants_user TO countersign_dispatch",
        "GRANT SELECT ON tenants_user TO PUBLIC",
        "REVOKE SELECT ON tenants_team FROM countersign_app",
        "ALTER TABLE tenants_team DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE tenants_team NO FORCE ROW LEVEL SECURITY",
        "DROP POLICY tenant ON tenants_team",
        "ALTER POLICY tenant ON tenants_team USING (true)",
        "ALTER POLICY tenant ON tenants_team TO PUBLIC",
        "CREATE POLICY open ON tenants_team USING (true)",
        "CREATE POLICY countersign_dispatch ON tenants_team TO countersign_dispatch USING (true)",
        "GRANT ALL ON audit_record_2026_11, audit_record_2026_12 TO countersign_app",
        "GRANT UPDATE ON audit_record TO countersign_app",
    ],
)
def test_what_differs_from_the_lists_is_put_right(
    scratch: BaseDatabaseWrapper, relations: dict[str, bool], tampering: str
) -> None:
    if "audit_record_" in tampering:
        first, second = sorted(name for name in relations if name.startswith("audit_record_2"))[:2]
        tampering = f"GRANT ALL ON {first}, {second} TO countersign_app"
    with roles.journal("owner") if "audit_" in tampering else nullcontext(), scratch.cursor() as cursor:
        cursor.execute(tampering)

    tables.reconcile_after_migrate("owner")

    test_every_tenants_table_has_forced_row_level_security_and_its_policies(scratch)
    for role in (APP, DISPATCH, SEAL):
        test_each_role_holds_on_each_table_what_its_list_says_and_nothing_else(scratch, relations, role)
    test_nobody_in_general_holds_anything(scratch, relations)


def test_those_who_are_served_meanwhile_notice_nothing(scratch: BaseDatabaseWrapper) -> None:
    """One transaction: the privileges that are taken away and given again are never seen to be missing."""
    made = world()
    with transaction.atomic(using="owner"):
        tables.reconcile_after_migrate("owner")
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT set_config('app.tenant', %s, true)", [str(made.tenant_id)])
            cursor.execute("SET LOCAL lock_timeout = '10s'")
            cursor.execute("SELECT count(*) FROM tenants_membership")
            assert cursor.fetchone() == (3,)


def test_columns_hold_for_each_privilege_of_a_list() -> None:
    table = Table("thing", "", dispatch={"SELECT, UPDATE": ("a", "b")})

    assert list(tables._grants(table)) == ['GRANT SELECT (a, b), UPDATE (a, b) ON "thing" TO countersign_dispatch']
