"""Nobody changes the journal: not who serves, not the owner who errs, not the journal's own owner.

Generated over role, operation and table: each parent and each of its partitions. What gets through fails.
"""

import re
from collections.abc import Iterator
from itertools import product
from typing import Any, Final

import psycopg
import pytest
from django.db import DatabaseError, connection, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from audit import journal
from audit.journal import Entry
from db.models import new_id
from db.roles import APP, DISPATCH, JOURNAL, OWNER, SEAL
from db.scope import PLATFORM, tenant_scope
from tests.worlds import World, world

SERVING: Final = (APP, DISPATCH, SEAL)
PARENTS: Final = ("audit_record", "audit_payload")

#: What changes rows. {t}: the table; {key}, {column}: two of its columns; {columns}: all of them.
ROWS: Final = {
    "update": "UPDATE {t} SET {column} = {column}",
    "update nothing": "UPDATE {t} SET {column} = {column} WHERE false",
    "update through a join": "UPDATE {t} SET {column} = s.{column} FROM {t} s WHERE s.{key} = {t}.{key}",
    "delete": "DELETE FROM {t}",
    "delete nothing": "DELETE FROM {t} WHERE false",
    "delete in a query": "WITH gone AS (DELETE FROM {t} RETURNING 1) SELECT count(*) FROM gone",
    "truncate": "TRUNCATE {t}",
    "truncate with what refers to it": "TRUNCATE {t} CASCADE",
    "truncate with restart": "TRUNCATE ONLY {t} RESTART IDENTITY",
    "merge, updating": "MERGE INTO {t} USING {t} s ON s.{key} = {t}.{key} "
    "WHEN MATCHED THEN UPDATE SET {column} = s.{column}",
    "merge, deleting": "MERGE INTO {t} USING {t} s ON s.{key} = {t}.{key} WHEN MATCHED THEN DELETE",
    "upsert": "INSERT INTO {t} SELECT * FROM {t} ON CONFLICT ({conflict}) DO UPDATE SET {column} = EXCLUDED.{column}",
    "lock for a change": "SELECT 1 FROM {t} FOR UPDATE",
}

#: What would take the guards away, or the table with them. {p}: the parent; only partitions can be detached.
SHAPES: Final = {
    "drop": "DROP TABLE {t}",
    "drop with what hangs on it": "DROP TABLE {t} CASCADE",
    "disable triggers": "ALTER TABLE {t} DISABLE TRIGGER ALL",
    "disable our triggers": "ALTER TABLE {t} DISABLE TRIGGER USER",
    "drop a trigger": "DROP TRIGGER {p}_no_truncate ON {t}",
    "drop a partition's trigger": "DROP TRIGGER IF EXISTS {t}_no_truncate ON {t}",
    "lift row-level security": "ALTER TABLE {t} DISABLE ROW LEVEL SECURITY",
    "lift its force": "ALTER TABLE {t} NO FORCE ROW LEVEL SECURITY",
    "open a policy": "CREATE POLICY open ON {t} USING (true)",
    "drop a policy": "DROP POLICY tenant ON {t}",
    "rename": "ALTER TABLE {t} RENAME TO gone",
    "move away": "ALTER TABLE {t} SET SCHEMA pg_temp",
    "drop a column": "ALTER TABLE {t} DROP COLUMN {column}",
    "rewrite a column": "ALTER TABLE {t} ALTER COLUMN {column} TYPE text USING 'x'",
    "rename a column": "ALTER TABLE {t} RENAME COLUMN {column} TO other",
    "unlog": "ALTER TABLE {t} SET UNLOGGED",
    "take over": "ALTER TABLE {t} OWNER TO CURRENT_USER",
    "rule": "CREATE RULE swallow AS ON INSERT TO {t} DO INSTEAD NOTHING",
    "trigger": "CREATE TRIGGER swallow BEFORE INSERT ON {t} FOR EACH ROW EXECUTE FUNCTION audit_forbid_change()",
    "refer with cascade": "CREATE TABLE hook (a uuid, b uuid, FOREIGN KEY (a, b) REFERENCES {t} ON DELETE CASCADE)",
    "inherit": "CREATE TABLE heir () INHERITS ({t})",
    "detach": "ALTER TABLE {p} DETACH PARTITION {t}",
}

#: The same for what belongs to no one table.
AROUND: Final = (
    "DROP SCHEMA public CASCADE",
    "ALTER SCHEMA public RENAME TO gone",
    "DROP FUNCTION audit_forbid_change() CASCADE",
    "ALTER FUNCTION audit_forbid_change() RENAME TO audit_allow_change",
    "CREATE OR REPLACE FUNCTION audit_forbid_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
    "CREATE OR REPLACE FUNCTION audit_is_now(id uuid) RETURNS boolean LANGUAGE sql STABLE AS 'SELECT true'",
    "CREATE OR REPLACE FUNCTION audit_record_id(at timestamptz, place integer) RETURNS uuid LANGUAGE sql "
    "AS 'SELECT gen_random_uuid()'",
    "DROP INDEX audit_record_pkey",
    "DROP TABLE audit_outbox",
    "SET session_replication_role = replica",
    "ALTER ROLE countersign_app BYPASSRLS",
    "GRANT countersign_journal TO countersign_app",
    "ALTER EVENT TRIGGER nothing DISABLE",
    "CREATE EVENT TRIGGER swallow ON ddl_command_start EXECUTE FUNCTION audit_forbid_change()",
)

BY_PRIVILEGE: Final = re.compile(r"permission denied|must be (owner|superuser)|[Mm]ust have|does not exist|may not ")
BY_KIND: Final = re.compile(r"is not a partition|cannot (inherit|truncate only)")
BY_TRIGGER: Final = re.compile(r"the journal is append-only")


@pytest.fixture
def acme(database: None) -> Iterator[World]:
    """A tenant with records in its journal, which are the same afterwards."""
    made = world()
    with tenant_scope(made.tenant_id):
        journal.append_at(new_id(), 0, [Entry("a.b", "engine", payload={"x": 1}), Entry("c.d", "engine")])
    before = contents(made)
    assert len(before) > 4
    yield made
    assert contents(made) == before


def contents(of: World) -> list[str]:
    """Return everything that the tenant's journal holds, as text."""
    with tenant_scope(of.tenant_id), connection.cursor() as cursor:
        cursor.execute("SELECT r::text FROM audit_record r UNION ALL SELECT p::text FROM audit_payload p ORDER BY 1")
        return [text for (text,) in cursor.fetchall()]


def attempt(statement: str, *, role: str, tenant_id: Any) -> None:
    """Run the statement as that role, in the tenant's scope; what it did is undone all the same."""
    using = "default" if role in SERVING else "owner"
    with transaction.atomic(using=using), connections[using].cursor() as cursor:
        cursor.execute("SELECT set_config('app.tenant', %s, true)", [str(tenant_id)])
        cursor.execute(f"SET LOCAL ROLE {role}")
        cursor.execute("SET LOCAL lock_timeout = '5s'")
        cursor.execute(statement)
        transaction.set_rollback(True, using=using)


def refusal(statement: str, *, role: str, of: World) -> str:
    """Return what the database says against the statement; empty when it let it through."""
    try:
        attempt(statement, role=role, tenant_id=of.tenant_id)
    except DatabaseError as error:
        return str(error)
    return ""


def partitions(parent: str) -> list[str]:
    """Return the names of the parent's partitions."""
    with connections["owner"].cursor() as cursor:
        cursor.execute("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::regclass", [parent])
        return sorted(name for (name,) in cursor.fetchall())


def tables() -> list[tuple[str, str]]:
    """Return (table, its parent) for every table of the journal that holds records or payloads."""
    return [(table, parent) for parent in PARENTS for table in (parent, *partitions(parent))]


def filled(template: str, table: str, parent: str) -> str:
    """Return the operation on that table."""
    key, column, conflict = {
        "audit_record": ("id", "commitment", "tenant_id, id"),
        "audit_payload": ("record_id", "value", "record_id"),
    }[parent]
    return template.format(t=table, p=parent, key=key, column=column, conflict=conflict)


@pytest.mark.parametrize("role", [*SERVING, OWNER])
def test_no_role_changes_a_table_or_a_partition(acme: World, owner_connection: BaseDatabaseWrapper, role: str) -> None:
    found = tables()
    assert len(found) >= 2 + 2 * 13
    for template, (table, parent) in product((ROWS | SHAPES).values(), found):
        statement = filled(template, table, parent)
        said = refusal(statement, role=role, of=acme)
        assert BY_PRIVILEGE.search(said) or BY_KIND.search(said), (statement, said)


@pytest.mark.parametrize("role", [*SERVING, OWNER])
def test_no_role_takes_away_what_stands_around_them(
    acme: World, owner_connection: BaseDatabaseWrapper, role: str
) -> None:
    for statement in AROUND:
        said = refusal(statement, role=role, of=acme)
        assert BY_PRIVILEGE.search(said), (statement, said)


def test_nor_does_the_owner_detach_one_without_a_lock(acme: World, owner_connection: BaseDatabaseWrapper) -> None:
    with owner_connection.cursor() as cursor:
        for name in partitions("audit_record"):
            with pytest.raises(DatabaseError, match="must be owner of table audit_record"):
                cursor.execute(f"ALTER TABLE audit_record DETACH PARTITION {name} CONCURRENTLY")


@pytest.mark.parametrize("role", [*SERVING, OWNER])
def test_no_role_gives_away_what_it_has_not(acme: World, owner_connection: BaseDatabaseWrapper, role: str) -> None:
    """PostgreSQL only warns of a grant that gives nothing."""
    of_all = (
        "SELECT bool_or(has_table_privilege(r, t, 'UPDATE, DELETE, TRUNCATE')) "
        "FROM unnest(%s::text[]) r, unnest(%s::text[]) t"
    )
    for table in PARENTS:
        refusal(f"GRANT ALL ON {table} TO PUBLIC; COMMIT", role=role, of=acme)
    with owner_connection.cursor() as cursor:
        cursor.execute(of_all, [[*SERVING, OWNER], list(PARENTS)])
        assert cursor.fetchone() == (False,)


def test_the_journals_own_owner_changes_no_record_either(acme: World, owner_connection: BaseDatabaseWrapper) -> None:
    for operation in CHANGES:
        for table in within_reach("audit_record", operation):
            said = refusal(filled(ROWS[operation], table, "audit_record"), role=JOURNAL, of=acme)
            assert BY_TRIGGER.search(said) or BY_KIND.search(said), (operation, table, said)


def test_nor_does_it_change_a_payload_which_it_may_only_erase(
    acme: World, owner_connection: BaseDatabaseWrapper
) -> None:
    for operation in CHANGES:
        if "delet" not in operation:
            for table in within_reach("audit_payload", operation):
                said = refusal(filled(ROWS[operation], table, "audit_payload"), role=JOURNAL, of=acme)
                assert BY_TRIGGER.search(said) or BY_KIND.search(said), (operation, table, said)
    attempt("DELETE FROM audit_payload", role=JOURNAL, tenant_id=acme.tenant_id)


#: Those that would change a row where there is one.
CHANGES: Final = [name for name in ROWS if not name.endswith("nothing") and name != "lock for a change"]


def within_reach(parent: str, operation: str) -> list[str]:
    """Return the tables in which the operation meets a row, or needs none to be refused."""
    return [parent, *(partitions(parent) if operation.startswith("truncate") else [held_partition(parent)])]


def held_partition(parent: str) -> str:
    """Return the partition that holds what is written now."""
    with connections["owner"].cursor() as cursor:
        cursor.execute("SELECT %s || to_char(now() AT TIME ZONE 'UTC', '_YYYY_MM')", [parent])
        name: str = cursor.fetchone()[0]
    return name


@pytest.mark.parametrize("parent", PARENTS)
@pytest.mark.parametrize("role", [*SERVING, OWNER])
def test_partitions_are_out_of_reach_for_reading_and_adding_too(
    acme: World, owner_connection: BaseDatabaseWrapper, role: str, parent: str
) -> None:
    for name, statement in product(partitions(parent), ("SELECT * FROM {}", "INSERT INTO {} DEFAULT VALUES")):
        assert "permission denied" in refusal(statement.format(name), role=role, of=acme), name


@pytest.mark.parametrize("role", [DISPATCH, SEAL, OWNER])
@pytest.mark.parametrize("parent", PARENTS)
def test_only_the_app_role_appends(acme: World, owner_connection: BaseDatabaseWrapper, role: str, parent: str) -> None:
    assert "permission denied" in refusal(f"INSERT INTO {parent} DEFAULT VALUES", role=role, of=acme)


def test_the_seal_role_reads_records_and_empties_the_outbox_but_sees_no_payload(acme: World) -> None:
    attempt("SELECT * FROM audit_record", role=SEAL, tenant_id=acme.tenant_id)
    attempt("DELETE FROM audit_outbox", role=SEAL, tenant_id=acme.tenant_id)
    assert "permission denied" in refusal("SELECT * FROM audit_payload", role=SEAL, of=acme)


@pytest.mark.parametrize("change", ["UPDATE {} SET tenant_id = tenant_id", "DELETE FROM {}", "TRUNCATE {}"])
@pytest.mark.parametrize("role", [APP, DISPATCH, OWNER])
def test_others_can_at_most_add_to_the_outbox(
    acme: World, owner_connection: BaseDatabaseWrapper, role: str, change: str
) -> None:
    assert "permission denied" in refusal(change.format("audit_outbox"), role=role, of=acme)


@pytest.mark.parametrize("table", ["audit_outbox", "audit_outbox_aside"])
def test_the_app_role_sees_what_waits_of_its_tenant_alone_and_others_see_nothing(
    acme: World, owner_connection: BaseDatabaseWrapper, table: str
) -> None:
    for role in (DISPATCH, OWNER):
        assert "permission denied" in refusal(f"TABLE {table}", role=role, of=acme)
    world()
    with tenant_scope(acme.tenant_id), connection.cursor() as cursor:
        cursor.execute(f"SELECT DISTINCT tenant_id FROM {table}")  # noqa: S608 - one of two names
        assert {tenant for (tenant,) in cursor.fetchall()} <= {acme.tenant_id}


# --- roundabout ways ------------------------------------------------------------------------------------------------


def test_copying_into_the_journal_is_refused(acme: World) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT set_config('app.tenant', %s, true)", [str(acme.tenant_id)])
        for table in (*PARENTS, held_partition("audit_record")):
            with (
                pytest.raises(
                    psycopg.Error, match=r"COPY FROM not supported with row-level security|permission denied"
                ),
                transaction.atomic(),
                cursor.cursor.connection.cursor() as raw,
                raw.copy(f"COPY {table} FROM STDIN") as copy,
            ):
                copy.write("x\n")
        transaction.set_rollback(True)


def test_a_view_lends_its_maker_no_more_than_it_has(acme: World, owner_connection: BaseDatabaseWrapper) -> None:
    make = "CREATE VIEW way_in AS SELECT * FROM audit_record"
    for use in ("DELETE FROM way_in", "UPDATE way_in SET action = 'x'", "SELECT * FROM way_in"):
        assert "permission denied for table audit_record" in refusal(f"{make}; {use}", role=OWNER, of=acme)
    for kind in ("VIEW", "TEMP VIEW"):
        assert "permission denied" in refusal(make.replace("VIEW", kind), role=APP, of=acme)


def test_nor_does_a_function_that_runs_as_its_maker(acme: World, owner_connection: BaseDatabaseWrapper) -> None:
    make = "CREATE FUNCTION way_in() RETURNS void LANGUAGE sql SECURITY DEFINER AS 'DELETE FROM audit_record'"

    assert "permission denied for table audit_record" in refusal(f"{make}; SELECT way_in()", role=OWNER, of=acme)
    assert "permission denied for schema public" in refusal(make, role=APP, of=acme)


@pytest.mark.parametrize("role", SERVING)
@pytest.mark.parametrize("other", [JOURNAL, OWNER, "postgres"])
def test_no_serving_role_becomes_an_owner(acme: World, role: str, other: str) -> None:
    for statement in (f"SET ROLE {other}", f"SET SESSION AUTHORIZATION {other}"):
        assert "permission denied" in refusal(statement, role=role, of=acme)


def test_nothing_refers_to_the_journal_so_nothing_cascades_into_it(owner_connection: BaseDatabaseWrapper) -> None:
    with owner_connection.cursor() as cursor:
        cursor.execute(
            "SELECT conrelid::regclass::text, confrelid::regclass::text FROM pg_constraint WHERE contype = 'f' "
            "AND (conrelid::regclass::text ~ '^audit_' OR confrelid::regclass::text ~ '^audit_')"
        )
        assert cursor.fetchall() == []


def test_dropping_all_the_owner_has_leaves_the_journal(acme: World, owner_connection: BaseDatabaseWrapper) -> None:
    with transaction.atomic(using="owner"), owner_connection.cursor() as cursor:
        tables = "SELECT count(*) FROM pg_class WHERE relname ~ '^audit_' AND relkind IN ('r', 'p')"
        cursor.execute(tables)
        before = cursor.fetchone()
        assert before > (2 + len(partitions("audit_record")) * 2,)
        cursor.execute("DROP OWNED BY countersign_owner CASCADE")
        cursor.execute(tables)
        assert cursor.fetchone() == before
        transaction.set_rollback(True, using="owner")


def test_a_function_owned_by_somebody_else_never_runs_for_the_journals_owner(
    owner_connection: BaseDatabaseWrapper,
) -> None:
    with owner_connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT proowner::regrole::text FROM pg_trigger JOIN pg_proc p ON p.oid = tgfoid "
            "WHERE tgrelid::regclass::text ~ '^audit_'"
        )
        assert cursor.fetchall() == [(JOURNAL,)]


# --- forged records -------------------------------------------------------------------------------------------------

FORGED: Final = {
    "a backdated record": ("now() - interval '1 day'", "audit_record_id({at}, 1)", "NULL"),
    "one of a minute ago": ("statement_timestamp() - interval '1 minute'", "audit_record_id({at}, 1)", "NULL"),
    "one of a microsecond ago": ("statement_timestamp() - interval '1 us'", "audit_record_id({at}, 1)", "NULL"),
    "a record of tomorrow": ("now() + interval '1 day'", "audit_record_id({at}, 1)", "NULL"),
    "an id of yesterday": ("statement_timestamp()", "audit_record_id(now() - interval '1 day', 1)", "NULL"),
    "an id of tomorrow": ("statement_timestamp()", "audit_record_id(now() + interval '1 day', 1)", "NULL"),
    "an id of no time": ("statement_timestamp()", "gen_random_uuid()", "NULL"),
    "a time of the next microsecond": ("statement_timestamp() + interval '1 us'", "audit_record_id({at}, 1)", "NULL"),
    "the clock while it runs": ("clock_timestamp()", "audit_record_id(statement_timestamp(), 1)", "NULL"),
}
INSERT: Final = """
INSERT INTO audit_record (id, at, tenant_id, stream, seq, v, action, actor, outcome, facts)
VALUES ({id}, {at}, current_setting('app.tenant')::uuid, {stream}, {seq}, 1, 'a.forged', 'x', 'ok', '{{}}')
"""


def forged(at: str, record_id: str, seq: str, stream: str = "gen_random_uuid()") -> str:
    """Return the statement that adds such a record."""
    return INSERT.format(id=record_id.format(at=at), at=at, seq=seq, stream=stream)


@pytest.mark.parametrize("what", FORGED)
def test_the_app_role_adds_records_of_this_moment_only(acme: World, what: str) -> None:
    said = refusal(forged(*FORGED[what]), role=APP, of=acme)

    assert "new row violates row-level security policy" in said or "no partition of relation" in said


def test_an_honest_record_passes(acme: World) -> None:
    now = "statement_timestamp()"
    attempt(forged(now, "audit_record_id({at}, 1)", "NULL"), role=APP, tenant_id=acme.tenant_id)
    attempt(forged(now, "audit_record_id({at}, 7)", "1"), role=APP, tenant_id=acme.tenant_id)


def test_a_number_occurs_once_in_a_stream(acme: World) -> None:
    stream = new_id()
    record = forged("statement_timestamp()", "audit_record_id({at}, 1)", "1", f"'{stream}'")

    assert "duplicate key value" in refusal(f"{record}; {record}", role=APP, of=acme)


def test_a_record_cannot_be_put_into_another_tenants_journal(acme: World) -> None:
    statement = forged("statement_timestamp()", "audit_record_id({at}, 1)", "NULL")
    other = statement.replace("current_setting('app.tenant')::uuid", f"'{new_id()}'")

    assert "violates row-level security" in refusal(other, role=APP, of=acme)


def test_a_payload_comes_with_its_record_or_never(acme: World, superuser: Any) -> None:
    with tenant_scope(acme.tenant_id):
        bare = journal.record("a.b", stream=new_id(), actor="engine")
    add = "INSERT INTO audit_payload SELECT '{}', current_setting('app.tenant')::uuid, '', '1'"
    try:
        assert "violates row-level security" in refusal(add.format(bare), role=APP, of=acme)
        assert "violates row-level security" in refusal(add.format(new_id()), role=APP, of=acme)
    finally:
        with superuser.transaction():
            superuser.execute("SET LOCAL session_replication_role = replica")
            superuser.execute("DELETE FROM audit_record WHERE id = %s", [bare])


def test_the_platforms_own_journal_is_guarded_alike(owner_connection: BaseDatabaseWrapper) -> None:
    with tenant_scope(PLATFORM):
        journal.record("a.b", stream=PLATFORM, actor="engine", payload={"x": 1})

    for operation in CHANGES:
        with pytest.raises(DatabaseError, match=r"append-only|cannot truncate only"):
            attempt(filled(ROWS[operation], "audit_record", "audit_record"), role=JOURNAL, tenant_id=PLATFORM)
        with pytest.raises(DatabaseError, match="permission denied"):
            attempt(filled(ROWS[operation], "audit_record", "audit_record"), role=APP, tenant_id=PLATFORM)
    for shape in FORGED.values():
        with pytest.raises(DatabaseError, match=r"row-level security|no partition"):
            attempt(forged(*shape), role=APP, tenant_id=PLATFORM)


# --- partitions -----------------------------------------------------------------------------------------------------


def test_every_partition_has_the_guards(acme: World, owner_connection: BaseDatabaseWrapper) -> None:
    with owner_connection.cursor() as cursor:
        cursor.execute(
            "SELECT p.inhrelid::regclass::text, array_agg(t.tgname::text) FROM pg_inherits p "
            "JOIN pg_trigger t ON t.tgrelid = p.inhrelid WHERE p.inhparent = ANY(%s::regclass[]) AND tgenabled = 'O' "
            "GROUP BY 1",
            [list(PARENTS)],
        )
        guards = dict(cursor.fetchall())
        cursor.execute("SELECT tablename FROM pg_indexes WHERE indexdef ~ 'UNIQUE INDEX .* \\(stream, seq\\)'")
        once = {name for (name,) in cursor.fetchall()}

    assert set(guards) == {name for parent in PARENTS for name in partitions(parent)}
    for name, found in guards.items():
        parent = next(parent for parent in PARENTS if name.startswith(parent))
        assert {f"{parent}_no_change", f"{name}_no_truncate"} <= set(found)
    assert once == set(partitions("audit_record"))


def test_a_month_without_a_partition_fails_loudly_and_writes_nothing(
    acme: World, superuser: psycopg.Connection[tuple[Any, ...]]
) -> None:
    """As if nobody had migrated for a year: the partitions of now are away while it is tried."""
    stream, name = new_id(), held_partition("audit_record")
    bounds = superuser.execute(
        "SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE relname = %s", [name]
    ).fetchone()
    assert bounds is not None
    with superuser.transaction():
        superuser.execute(f"ALTER TABLE audit_record DETACH PARTITION {name}".encode())
    try:
        with pytest.raises(DatabaseError, match="no partition of relation"), tenant_scope(acme.tenant_id):
            journal.append_at(stream, 0, [Entry("a.b", "engine")])
    finally:
        with superuser.transaction():
            superuser.execute(f"ALTER TABLE audit_record ATTACH PARTITION {name} {bounds[0]}".encode())
    with tenant_scope(acme.tenant_id):
        assert journal.read(stream) == []
    assert connection.in_atomic_block is False
