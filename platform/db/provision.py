"""The roles and the privileges around the tables, on the embedded server and on an operator's alike.

What each role may do with a table stands in the apps' `tables.py`; here is what must exist before there are tables.
Everything may be run again at any time.
"""

import hashlib
from typing import Any

import psycopg
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import sql

from db.roles import APP, DISPATCH, JOURNAL, OWNER, SEAL

Connection = psycopg.Connection[tuple[Any, ...]]

_ROLES = {
    OWNER: "LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOINHERIT",
    JOURNAL: "NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE",
    APP: "LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOINHERIT",
    DISPATCH: "NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE",
    SEAL: "NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE",
}

_CREATE_ROLE = """\
DO $$ BEGIN CREATE ROLE {role} {attributes};
EXCEPTION WHEN duplicate_object THEN ALTER ROLE {role} {attributes}; END $$"""

# From version 16 on, whether rights are inherited is a property of each grant; before, of the role (NOINHERIT above).
_LET_ENTER = """\
DO $$ BEGIN IF current_setting('server_version_num')::int >= 160000
THEN EXECUTE 'GRANT {role} TO {member} WITH INHERIT FALSE, SET TRUE'; ELSE GRANT {role} TO {member}; END IF; END $$"""

# The schema is the journal's: who owns a schema may drop whatever lies in it.
_AROUND_TABLES = f"""\
ALTER SCHEMA public OWNER TO {JOURNAL};
ALTER DATABASE {{database}} OWNER TO {OWNER};
REVOKE ALL ON DATABASE {{database}} FROM PUBLIC;
GRANT CONNECT ON DATABASE {{database}} TO {APP};
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO {OWNER}, {JOURNAL};
GRANT USAGE ON SCHEMA public TO {APP}, {DISPATCH}, {SEAL}"""

_ROLES_ARE_THERE = "SELECT count(*) = 5 FROM pg_roles WHERE rolname = ANY(%s) AND NOT rolsuper AND NOT rolbypassrls"

_RIGHTS_ARE_THERE = f"""\
SELECT pg_has_role('{APP}', '{DISPATCH}', 'MEMBER')
   AND pg_has_role('{APP}', '{SEAL}', 'MEMBER')
   AND pg_has_role(%(app_login)s, '{APP}', 'MEMBER')
   AND pg_has_role(session_user, '{OWNER}', 'MEMBER')
   AND pg_has_role('{OWNER}', '{JOURNAL}', 'MEMBER')
   AND NOT pg_has_role('{OWNER}', '{JOURNAL}', 'USAGE')
   AND (SELECT nspowner = '{JOURNAL}'::regrole FROM pg_namespace WHERE nspname = 'public')
   AND has_schema_privilege('{OWNER}', 'public', 'CREATE')
   AND has_schema_privilege('{APP}', 'public', 'USAGE')
   AND has_schema_privilege('{DISPATCH}', 'public', 'USAGE')
   AND has_schema_privilege('{SEAL}', 'public', 'USAGE')"""  # noqa: S608 - constants only


def statements(database: str, *, app_login: str = APP, owner_login: str = OWNER) -> list[str]:
    """The SQL that a superuser runs once in `database`.

    `app_login` and `owner_login` are the names the two connections log in as; they enter the roles from there.
    """
    logins = {login: role for login, role in ((app_login, APP), (owner_login, OWNER)) if login != role}
    return [
        *(_CREATE_ROLE.format(role=role, attributes=attributes) for role, attributes in _ROLES.items()),
        *(_LET_ENTER.format(role=role, member=APP) for role in (DISPATCH, SEAL)),
        _LET_ENTER.format(role=JOURNAL, member=OWNER),
        *(f"GRANT {role} TO {_quoted(login)}" for login, role in logins.items()),
        *_AROUND_TABLES.format(database=_quoted(database)).split(";\n"),
    ]


def fingerprint() -> str:
    """Tell one set of statements from another, so that an unchanged set need not be run again."""
    return hashlib.sha256("\n".join(statements("")).encode()).hexdigest()


def create_database(dsn: str, name: str) -> None:
    """Create the database `name`, if missing, over a superuser's connection to another one."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone() is None:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


def provision(dsn: str) -> None:
    """Make roles and privileges over a superuser's connection to the database itself, all or nothing."""
    with psycopg.connect(dsn) as connection:
        _run(connection, statements(connection.info.dbname))


def ensure_roles(connection: BaseDatabaseWrapper) -> None:
    """See that roles and privileges are there, over the owner's connection; make them where its login may.

    Raises ImproperlyConfigured with the SQL for the server's administrator otherwise.
    """
    app_login = settings.DATABASES["default"]["USER"]
    parameters = connection.get_connection_params()
    parameters.pop("options", None)  # They enter the owner role, which may be what is missing.
    with psycopg.connect(**parameters) as raw:
        login, database = raw.info.user, raw.info.dbname
        _refuse_unfit_logins(raw, app_login=app_login, owner_login=login)
        if _is_provisioned(raw, app_login):
            return
        if _is_superuser(raw):
            # It may enter any role without being granted it, so its own name needs no grant.
            _run(raw, statements(database, app_login=app_login))
            return
    lines = "".join(f"{line};\n" for line in statements(database, app_login=app_login, owner_login=login))
    raise ImproperlyConfigured(
        f"The database lacks roles that {login} may not make. Let the server's administrator run this in the database"
        f" {database}, then migrate again:\n\n{lines}"
    )


def _refuse_unfit_logins(connection: Connection, *, app_login: str, owner_login: str) -> None:
    if app_login == OWNER:
        raise ImproperlyConfigured(
            f"The database login {OWNER} of DATABASE_URL owns tables and could change the journal:"
            f" let DATABASE_URL log in as {APP}, and DATABASE_OWNER_URL as {OWNER}."
        )
    if app_login == owner_login and not _is_superuser(connection):
        raise ImproperlyConfigured(
            "Migrations need a login of their own, which owns the tables: set DATABASE_OWNER_URL to one that is, or may"
            f" enter, {OWNER}."
        )
    there = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [app_login]).fetchone()
    if there is None and app_login != APP:
        raise ImproperlyConfigured(f"The database has no login {app_login}, which DATABASE_URL names: create it first.")


def _is_provisioned(connection: Connection, app_login: str) -> bool:
    roles = connection.execute(_ROLES_ARE_THERE, [list(_ROLES)]).fetchone()
    if roles != (True,):
        return False
    return connection.execute(_RIGHTS_ARE_THERE, {"app_login": app_login}).fetchone() == (True,)


def _is_superuser(connection: Connection) -> bool:
    row = connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = session_user").fetchone()
    return row == (True,)


def _run(connection: Connection, commands: list[str]) -> None:
    # Roles belong to the whole server: two databases must not be provisioned at once.
    connection.execute("SELECT pg_advisory_xact_lock(hashtext('countersign.provision'))")
    for command in commands:
        connection.execute(command.encode())


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


_PRIVILEGES = """\
SELECT current_user, session_user,
       EXISTS (SELECT FROM pg_roles WHERE rolname IN (current_user, session_user) AND rolsuper),
       EXISTS (SELECT FROM pg_roles WHERE rolname IN (current_user, session_user) AND rolbypassrls),
       EXISTS (SELECT FROM pg_class WHERE relnamespace = 'public'::regnamespace
               AND (relowner = current_user::regrole OR pg_has_role(session_user, relowner, 'MEMBER'))),
       pg_has_role(session_user, c.datdba, 'MEMBER')
FROM pg_database c WHERE c.datname = current_database()"""


def privileged_runtime(connection: BaseDatabaseWrapper) -> list[str]:
    """Say, a sentence each, why the login behind `connection` must not serve; an empty list if it may.

    Both the role in force and the login behind it count, since the login can return to itself with RESET ROLE.
    """
    with connection.cursor() as cursor:
        cursor.execute(_PRIVILEGES)
        role, login, superuser, bypass, owner, may_own = cursor.fetchone()
    mend = f"let DATABASE_URL log in as {APP}, or as a login that was granted nothing but {APP}."
    rules = (
        (superuser, f"The database login {login} is a superuser, whom row-level security does not bind: {mend}"),
        (bypass, f"The database login {login} has BYPASSRLS, so tenants would not be kept apart: {mend}"),
        (owner or may_own, f"The database login {login} owns tables and could change the journal: {mend}"),
        (role != APP, f"The database role in force is {role}: {mend}"),
    )
    return [sentence for refused, sentence in rules if refused]
