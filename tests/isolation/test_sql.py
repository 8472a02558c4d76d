"""Raw SQL as each database role: what it can do to every table and partition, tried by statement, and the ways out.

Whether the catalogue says the same stands in `tests/db/test_tables.py`; what nobody can do to the journal, in
`tests/audit/test_immutability.py`.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

import psycopg
import pytest
from django.conf import settings
from django.db import connection, connections
from psycopg import sql

from agents.actions import runs
from agents.engine.driver import CHANNEL
from db import trip
from db.embedded import Server
from db.pool import Connection, transaction_connection
from db.references import wanted
from db.roles import APP, DISPATCH, ENTER_DISPATCH, JOURNAL, LEAVE_DISPATCH, OWNER, SEAL
from db.tables import Table, listed
from tests.isolation.peopling import peopled
from tests.worlds import World

pytestmark = pytest.mark.usefixtures("database")

SERVING: Final = (APP, DISPATCH, SEAL)

#: A statement of each kind, planned and checked but not run; TRUNCATE cannot be explained and is always refused.
STATEMENTS: Final = {
    "SELECT": "EXPLAIN SELECT {columns} FROM {table}",
    "INSERT": "EXPLAIN INSERT INTO {table} ({columns}) SELECT {nulls}",
    "UPDATE": "EXPLAIN UPDATE {table} SET {first} = NULL",
    "DELETE": "EXPLAIN DELETE FROM {table}",
    "TRUNCATE": "TRUNCATE {table}",
}


@pytest.fixture(scope="module")
def acme(django_db_setup: None, django_db_blocker: Any) -> Iterator[World]:
    """A tenant with something in every table."""
    with django_db_blocker.unblock():
        yield peopled()
        connections.close_all()


@pytest.fixture
def raw(acme: World) -> Iterator[Connection]:
    """A connection as the login that serves, in a tenant's scope; what is done is undone."""
    with transaction_connection() as lent, lent.transaction(force_rollback=True):
        lent.execute("SELECT set_config('app.tenant', %s, true)", [str(acme.tenant_id)])
        yield lent


def relations(of: Connection) -> dict[str, tuple[bool, list[str]]]:
    """Return every table → whether it is a partition, and its columns."""
    found = of.execute(
        "SELECT c.relname, c.relispartition, array_agg(quote_ident(a.attname) ORDER BY attnum) FROM pg_class c "
        "JOIN pg_attribute a ON a.attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND attgenerated = '' "
        "AND attidentity <> 'a' WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') GROUP BY 1, 2"
    ).fetchall()
    return {name: (is_partition, columns) for name, is_partition, columns in found}


def refused(of: Connection, statement: str, error: type[psycopg.Error] = psycopg.errors.InsufficientPrivilege) -> bool:
    """Say whether the role may not run the statement; what it did is undone."""
    try:
        with of.transaction(force_rollback=True):
            of.execute(statement.encode())
    except error:
        return True
    except psycopg.Error:
        return False  # it might, were the values right
    return False


def allowed(table: Table | None, role: str) -> dict[str, set[str] | None]:
    """Return privilege → columns (None for all) by the app's list; nothing on a partition."""
    if table is None:
        return {}
    if role == APP:
        return {privilege: None for privilege in table.app.split(", ") if privilege}
    lists = table.dispatch if role == DISPATCH else table.seal
    return {
        privilege: None if tuple(columns) == ("*",) else set(columns)
        for privileges, columns in lists.items()
        for privilege in privileges.split(", ")
    }


@pytest.mark.parametrize("role", SERVING)
def test_each_statement_on_each_table_and_partition_is_refused_unless_it_is_listed(raw: Connection, role: str) -> None:
    lists, tried = listed(), 0
    raw.execute(f"SET LOCAL ROLE {role}".encode())
    for name, (is_partition, columns) in relations(raw).items():
        may = allowed(None if is_partition else lists[name], role)
        for privilege, statement in STATEMENTS.items():
            whole = ", ".join(columns)
            nulls = ", ".join(["NULL"] * len(columns))
            text = statement.format(table=name, columns=whole, nulls=nulls, first=columns[0])
            # A listed column alone is tried below.
            expected = privilege in may and may[privilege] is None
            assert refused(raw, text) is not expected, (role, text)
            tried += 1
    assert tried > 350


@pytest.mark.parametrize("role", [DISPATCH, SEAL])
def test_columns_are_reached_one_by_one_as_they_are_listed(raw: Connection, role: str) -> None:
    lists, tried = listed(), 0
    raw.execute(f"SET LOCAL ROLE {role}".encode())
    for name, (is_partition, columns) in relations(raw).items():
        may = allowed(None if is_partition else lists[name], role)
        for privilege in ("SELECT", "UPDATE"):
            reached = may.get(privilege, set())
            for column in columns:
                text = STATEMENTS[privilege].format(table=name, columns=column, first=column)
                assert refused(raw, text) is not (reached is None or column in reached), (role, text)
                tried += 1
    assert tried > 500


def test_the_owner_does_to_the_journal_no_more_than_read_it(acme: World) -> None:
    """To the other tables it does whatever migrations do; it serves nobody."""
    parameters = connections["owner"].get_connection_params()
    parameters.pop("cursor_factory", None)
    parameters.pop("context", None)
    with psycopg.connect(**parameters) as owner:
        owner.execute("SELECT set_config('app.tenant', %s, false)", [str(acme.tenant_id)])
        names = [
            name for name in relations(owner) if name.startswith(("audit_record", "audit_payload", "audit_outbox"))
        ]
        assert len(names) > 25
        for name in names:
            for statement in ("UPDATE {} SET tenant_id = tenant_id", "DELETE FROM {}", "TRUNCATE {}"):
                refusal = psycopg.errors.InsufficientPrivilege
                assert refused(owner, statement.format(name), refusal), (name, statement)


# --- the ways out -------------------------------------------------------------------------------------------------

DENIED = r"permission denied|must be (?:owner|superuser)|must have|Only roles with|must be able to SET|not allowed"

WAYS_OUT: Final = {
    "the owner": f"SET ROLE {OWNER}",
    "the journal's owner": f"SET ROLE {JOURNAL}",
    "a superuser": "SET ROLE postgres",
    "another session": f"SET SESSION AUTHORIZATION {OWNER}",
    "a replica's rules": "SET session_replication_role = replica",
    "a table": "CREATE TABLE mine (id int)",
    "a temporary table": "CREATE TEMPORARY TABLE tenants_user (id int)",
    "a schema": "CREATE SCHEMA mine",
    "a view": "CREATE VIEW mine AS SELECT * FROM tenants_membership",
    "a function": "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "a function of the caller's": "CREATE FUNCTION pg_temp.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "an extension": "CREATE EXTENSION dblink",
    "a trigger": "CREATE TRIGGER mine BEFORE INSERT ON agents_run EXECUTE FUNCTION audit_forbid_change()",
    "a policy": "CREATE POLICY mine ON tenants_membership USING (true)",
    "no policy": "ALTER TABLE tenants_membership DISABLE ROW LEVEL SECURITY",
    "no force": "ALTER TABLE tenants_membership NO FORCE ROW LEVEL SECURITY",
    "no triggers": "ALTER TABLE audit_record DISABLE TRIGGER ALL",
    "no key": f"ALTER TABLE tenants_teammember DROP CONSTRAINT {wanted()[0].name}",
    "no table": "DROP TABLE tenants_membership",
    "another owner": f"ALTER TABLE tenants_membership OWNER TO {APP}",
    "a program": "COPY tenants_user TO PROGRAM 'cat'",
    "a program's output": "COPY tenants_user FROM PROGRAM 'true'",
    "a file": "COPY tenants_user TO '/tmp/stolen'",
    "a file's text": "SELECT pg_read_file('/etc/passwd')",
    "a file's bytes": "SELECT pg_read_binary_file('/etc/passwd')",
    "a folder": "SELECT pg_ls_dir('.')",
    "a file as an object": "SELECT lo_import('/etc/passwd')",
    "an object as a file": "SELECT lo_export(1, '/tmp/stolen')",
    "others' passwords": "SELECT * FROM pg_authid",
    "another role's settings": f"ALTER ROLE {OWNER} SET app.tenant = ''",
    "the database's settings": "ALTER DATABASE {database} SET app.tenant = ''",
    "a tenant for every session to come": f"ALTER ROLE {APP} SET app.tenant = '00000000-0000-0000-0000-000000000000'",
    "a new role": "CREATE ROLE mine",
    "membership": f"GRANT {OWNER} TO {APP}",
    "another's session": "SELECT pg_terminate_backend({pid})",
    "another's statement": "SELECT pg_cancel_backend({pid})",
    "statistics by value": "SELECT * FROM pg_statistic",
    "the log": "SELECT pg_current_logfile(), pg_read_file(pg_current_logfile())",
    "a subscription": "CREATE SUBSCRIPTION mine CONNECTION 'dbname=x' PUBLICATION y WITH (connect = false)",
    "a publication": "CREATE PUBLICATION mine FOR ALL TABLES",
    "an event trigger": "CREATE EVENT TRIGGER mine ON ddl_command_start EXECUTE FUNCTION audit_forbid_change()",
    "a lock on everything": "LOCK TABLE agents_agentversion IN ACCESS EXCLUSIVE MODE",
}


@pytest.mark.parametrize("role", SERVING)
@pytest.mark.parametrize("way", WAYS_OUT)
def test_there_is_no_way_out_of_a_role(raw: Connection, role: str, way: str) -> None:
    raw.execute(f"SET LOCAL ROLE {role}".encode())
    with connections["owner"].cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        [pid] = cursor.fetchone()
    statement = WAYS_OUT[way].format(database=raw.info.dbname, pid=pid)
    with pytest.raises(psycopg.Error, match=DENIED), raw.transaction():
        raw.execute(statement.encode())


def test_settings_of_the_server_are_nobodys_to_change(acme: World) -> None:
    with transaction_connection() as lent:
        for role in SERVING:
            lent.execute(f"SET ROLE {role}".encode())
            with pytest.raises(psycopg.Error, match=DENIED):
                lent.execute("ALTER SYSTEM SET work_mem = '1GB'")
        lent.execute("RESET ROLE")


def test_rights_cannot_be_passed_on(raw: Connection) -> None:
    """PostgreSQL warns where nothing could be granted, instead of refusing."""
    for table in listed():
        with suppress(psycopg.errors.InsufficientPrivilege), raw.transaction():
            raw.execute(
                sql.SQL("GRANT ALL ON {} TO PUBLIC, {}").format(sql.Identifier(table), sql.Identifier(DISPATCH))
            )
        may = raw.execute("SELECT has_table_privilege(%s, %s, 'DELETE')", [DISPATCH, table]).fetchone()
        assert may == ("DELETE" in allowed(listed()[table], DISPATCH),), table


def test_rows_are_hidden_and_not_merely_left_out(raw: Connection) -> None:
    """`row_security = off` asks for all rows or an error; it never gives all."""
    raw.execute("SET LOCAL row_security = off")
    for table in listed().values():
        if table.tenant is not None and "SELECT" in table.app:
            with pytest.raises(psycopg.Error, match="affected by row-level security"), raw.transaction():
                raw.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(table.name)))


def test_the_owners_word_does_nothing_for_those_who_serve(raw: Connection, acme: World) -> None:
    """`app.migrating` opens all rows to the owner alone."""
    other = peopled()
    raw.execute("SET LOCAL app.migrating = 'on'")
    found = raw.execute("SELECT DISTINCT tenant_id FROM tenants_membership").fetchall()

    assert found == [(acme.tenant_id,)] != [(other.tenant_id,)]


@pytest.mark.parametrize("role", [DISPATCH, SEAL])
@pytest.mark.parametrize("back", ["RESET ROLE", "SET ROLE NONE", f"SET ROLE {APP}", "RESET ALL"])
def test_back_from_another_role_leads_to_the_login_and_no_further(raw: Connection, role: str, back: str) -> None:
    raw.execute(f"SET LOCAL ROLE {role}".encode())
    raw.execute(back.encode())

    assert raw.execute("SELECT current_user, session_user").fetchone() in {(APP, APP), (role, APP)}


LOGIN = "operator_of_the_server"


@pytest.fixture
def as_operators_login(acme: World, embedded_server: Server, request: pytest.FixtureRequest) -> Iterator[Connection]:
    """A connection as DATABASE_URL makes it on an operator's server: a login of another name, in the role app."""
    name, inherits = settings.DATABASES["default"]["NAME"], getattr(request, "param", "")
    with psycopg.connect(embedded_server.dsn(database=name), autocommit=True) as superuser:
        superuser.execute(f"CREATE ROLE {LOGIN} LOGIN {inherits}; GRANT {APP} TO {LOGIN}".encode())
        superuser.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(*map(sql.Identifier, (name, LOGIN))))
        place = {"host": embedded_server.host, "port": embedded_server.port, "dbname": name, "user": LOGIN}
        try:
            with psycopg.connect(**place, options=f"-c role={APP}", autocommit=True) as raw:
                yield raw
        finally:
            superuser.execute(f"DROP OWNED BY {LOGIN}; DROP ROLE {LOGIN}".encode())


@pytest.mark.parametrize("back", ["", "RESET ROLE", "SET ROLE NONE", f"SET ROLE {DISPATCH}; RESET ROLE"])
def test_a_login_of_another_name_is_held_to_the_same(as_operators_login: Connection, acme: World, back: str) -> None:
    raw = as_operators_login
    if back:
        raw.execute(back.encode())
    with pytest.raises(psycopg.Error, match=r"app\.tenant"):
        raw.execute("SELECT * FROM tenants_membership")
    other = peopled()
    with raw.transaction():
        raw.execute("SELECT set_config('app.tenant', %s, true)", [str(acme.tenant_id)])
        assert raw.execute("SELECT DISTINCT tenant_id FROM tenants_membership").fetchall() == [(acme.tenant_id,)]
        assert other.tenant_id != acme.tenant_id
        assert refused(raw, "TRUNCATE tenants_membership")
        assert refused(raw, "DELETE FROM audit_record")
        assert refused(raw, f"SET ROLE {OWNER}")
        assert refused(raw, "CREATE TABLE mine (id int)")


@pytest.mark.parametrize("as_operators_login", ["INHERIT", "NOINHERIT"], indirect=True)
def test_a_claim_leads_back_to_the_role_that_the_connection_began_in(as_operators_login: Connection) -> None:
    asked = trip.statement("test_current_user", "SELECT current_user")
    with trip.transaction(as_operators_login, ENTER_DISPATCH, (asked, []), LEAVE_DISPATCH, (asked, [])) as rows:
        assert [row[0][0] for row in rows if row] == [DISPATCH.encode(), APP.encode()]


# --- what is there for everybody ----------------------------------------------------------------------------------


def test_only_the_functions_that_erase_lend_their_owners_rights_and_only_to_the_app_role(raw: Connection) -> None:
    """What each looks up first is tried in tests/retention."""
    found = raw.execute(
        "SELECT proname, pg_get_userbyid(proowner), proconfig, "
        "ARRAY(SELECT grantee::regrole::text FROM aclexplode(proacl) ORDER BY 1) FROM pg_proc "
        "WHERE prosecdef AND pronamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace) "
        "ORDER BY 1"
    ).fetchall()

    lent = (JOURNAL, ["search_path=pg_catalog, public, pg_temp"], [APP, JOURNAL])
    names = ("retention_erase", "retention_expire_records", "retention_expire_run")
    assert found == [(name, *lent) for name in names]


def test_there_are_no_views_which_would_show_their_owners_rows(raw: Connection) -> None:
    found = raw.execute(
        "SELECT relname FROM pg_class WHERE relkind IN ('v', 'm', 'f') AND relnamespace = 'public'::regnamespace"
    ).fetchall()

    assert found == []


def test_what_is_notified_names_nobody(acme: World) -> None:
    """Every session may listen; what is sent when runs are made, woken and cancelled says nothing at all."""
    parameters = connection.get_connection_params()
    place = {key: parameters[key] for key in ("host", "port", "dbname", "user") if key in parameters}
    with psycopg.connect(**place, autocommit=True) as listening:
        listening.execute(sql.SQL("LISTEN {}").format(sql.Identifier(CHANNEL)))
        run = acme.submit("agent", {"secret": "of acme"})
        runs.cancel(run.id, acting_as=acme.alice)
        heard = [each.payload for each in listening.notifies(timeout=5, stop_after=1)]
        heard += [each.payload for each in listening.notifies(timeout=0.5)]

    assert heard
    assert set(heard) == {""}


def test_people_are_the_platforms_and_seen_by_every_tenants_sql(raw: Connection, acme: World) -> None:
    """Known and kept: an account belongs to a person, who may be in many tenants, and signing in looks it up by address
    before there is any tenant; so row-level security cannot hide it. No page, call or list shows who is no member:
    those go by memberships, which are hidden."""
    other = peopled()
    shown = {user for (user,) in raw.execute("SELECT id FROM tenants_user").fetchall()}
    as_members = {user for (user,) in raw.execute("SELECT user_id FROM tenants_membership").fetchall()}

    assert other.bob.user_id in shown
    assert other.bob.user_id not in as_members
    assert acme.bob.user_id in as_members
