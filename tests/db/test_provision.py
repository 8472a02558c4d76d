"""Roles: what exists after provisioning, who may enter what, and which logins must not serve."""

import secrets
from collections.abc import Iterator

import psycopg
import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import sql

from db import provision

ATTRIBUTES = "SELECT rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb FROM pg_roles WHERE rolname = %s"


@pytest.fixture
def login(superuser: psycopg.Connection) -> Iterator[str]:
    """The name of a login of an operator's own choice, granted nothing."""
    name = f"operator_{secrets.token_hex(4)}"
    superuser.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(name)))
    superuser.execute(
        sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(
            sql.Identifier(connection.settings_dict["NAME"]), sql.Identifier(name)
        )
    )
    yield name
    superuser.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(name)))
    superuser.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


@pytest.fixture
def as_login(login: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[BaseDatabaseWrapper]:
    """Django's owner alias, logged in as that login."""
    wrapper = connections["owner"]
    wrapper.close()
    monkeypatch.setitem(wrapper.settings_dict, "USER", login)
    yield wrapper
    wrapper.close()


def grant(superuser: psycopg.Connection, role: str, login: str) -> None:
    superuser.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(role), sql.Identifier(login)))


@pytest.mark.parametrize("role", ["countersign_owner", "countersign_app", "countersign_dispatch", "countersign_seal"])
def test_no_role_has_rights_over_the_server(database: None, role: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(ATTRIBUTES, [role])
        assert cursor.fetchone() == (False,)


@pytest.mark.parametrize("role", ["countersign_dispatch", "countersign_seal"])
def test_the_runtime_role_enters_the_others_without_having_their_rights(database: None, role: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_has_role(%s, 'USAGE'), pg_has_role(%s, 'MEMBER')", [role, role])
        assert cursor.fetchone() == (False, True)
        cursor.execute(f"SET ROLE {role}")
        cursor.execute("SELECT current_user")
        assert cursor.fetchone() == (role,)
        cursor.execute("RESET ROLE")


def test_the_runtime_role_cannot_become_the_owner(database: None) -> None:
    with connection.cursor() as cursor, pytest.raises(Exception, match="permission denied to set role"):
        cursor.execute("SET ROLE countersign_owner")


@pytest.mark.parametrize("statement", ["CREATE TABLE mine (id int)", "CREATE TEMPORARY TABLE mine (id int)"])
def test_the_runtime_role_makes_no_tables(database: None, statement: str) -> None:
    with connection.cursor() as cursor, pytest.raises(Exception, match="permission denied"):
        cursor.execute(statement)


def test_the_runtime_login_may_serve(database: None) -> None:
    assert provision.privileged_runtime(connection) == []


def test_the_owner_may_not_serve(owner_connection: BaseDatabaseWrapper) -> None:
    sentences = provision.privileged_runtime(owner_connection)

    assert any("owns tables and could change the journal" in sentence for sentence in sentences)


@pytest.mark.parametrize(("attribute", "reason"), [("SUPERUSER", "is a superuser"), ("BYPASSRLS", "has BYPASSRLS")])
def test_a_login_above_row_level_security_may_not_serve_even_in_the_runtime_role(
    superuser: psycopg.Connection, login: str, as_login: BaseDatabaseWrapper, attribute: str, reason: str
) -> None:
    superuser.execute(sql.SQL(f"ALTER ROLE {{}} {attribute}").format(sql.Identifier(login)))
    grant(superuser, "countersign_app", login)
    with as_login.cursor() as cursor:
        cursor.execute("SET ROLE countersign_app")

    sentences = provision.privileged_runtime(as_login)

    assert any(f"{login} {reason}" in sentence for sentence in sentences)


def test_a_login_granted_the_runtime_role_alone_may_serve_in_it(
    superuser: psycopg.Connection, login: str, as_login: BaseDatabaseWrapper
) -> None:
    grant(superuser, "countersign_app", login)
    with as_login.cursor() as cursor:
        cursor.execute("SET ROLE countersign_app")

    assert provision.privileged_runtime(as_login) == []


def test_a_login_that_did_not_enter_the_runtime_role_may_not_serve(as_login: BaseDatabaseWrapper, login: str) -> None:
    assert provision.privileged_runtime(as_login)[0].startswith(f"The database role in force is {login}")


def test_provisioning_again_changes_nothing(owner_connection: BaseDatabaseWrapper) -> None:
    provision.ensure_roles(owner_connection)


def test_a_login_that_may_not_provision_gets_the_sql_to_run(as_login: BaseDatabaseWrapper, login: str) -> None:
    with pytest.raises(ImproperlyConfigured) as refused:
        provision.ensure_roles(as_login)

    assert f"The database lacks roles that {login} may not make" in str(refused.value)
    assert f'GRANT countersign_owner TO "{login}";' in str(refused.value)


def test_that_sql_mends_it(superuser: psycopg.Connection, as_login: BaseDatabaseWrapper) -> None:
    with pytest.raises(ImproperlyConfigured) as refused:
        provision.ensure_roles(as_login)
    _, _, statements = str(refused.value).partition("\n\n")

    superuser.execute(statements.encode())

    provision.ensure_roles(as_login)


def test_a_superuser_provisions_by_itself(
    superuser: psycopg.Connection, login: str, as_login: BaseDatabaseWrapper
) -> None:
    superuser.execute(sql.SQL("ALTER ROLE {} SUPERUSER").format(sql.Identifier(login)))
    superuser.execute("REVOKE USAGE ON SCHEMA public FROM countersign_app")

    provision.ensure_roles(as_login)

    with connection.cursor() as cursor:
        cursor.execute("SELECT has_schema_privilege('public', 'USAGE')")
        assert cursor.fetchone() == (True,)
