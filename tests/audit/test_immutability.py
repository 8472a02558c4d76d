"""Nobody changes the journal: by privilege for those who serve, by trigger for the owner who errs."""

import re
from typing import Any

import psycopg
import pytest
from django.db import DatabaseError, connection, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from audit import journal
from audit.journal import Entry
from db.models import new_id
from db.scope import tenant_scope
from tests.worlds import World, world

CHANGES = (
    "UPDATE {} SET action = 'x'",
    "UPDATE {} SET commitment = NULL",
    "DELETE FROM {}",
    "TRUNCATE {}",
    "TRUNCATE {} CASCADE",
)
PAYLOAD_CHANGES = ("UPDATE {} SET value = 'x'", "DELETE FROM {}", "TRUNCATE {}")
OUTBOX_CHANGES = ("UPDATE {} SET tenant_id = tenant_id", "DELETE FROM {}", "TRUNCATE {}", "SELECT * FROM {}")
ROLES = ("countersign_app", "countersign_dispatch", "countersign_seal")

REFUSED = r"permission denied|the journal is append-only"


@pytest.fixture
def acme(database: None) -> World:
    """A tenant with a record in its journal."""
    made = world()
    with tenant_scope(made.tenant_id):
        journal.append_at(new_id(), 0, [Entry("a.b", "engine", payload={"x": 1})])
    return made


def attempt(statement: str, *, tenant_id: Any, role: str | None = None, using: str = "default") -> None:
    """Run the statement in the tenant's scope, as that role."""
    with transaction.atomic(using=using), connections[using].cursor() as cursor:
        cursor.execute("SELECT set_config('app.tenant', %s, true)", [str(tenant_id)])
        if role is not None:
            cursor.execute(f"SET LOCAL ROLE {role}")
        cursor.execute(statement)


def partitions(of: BaseDatabaseWrapper, parent: str = "audit_record") -> list[str]:
    """Return the names of the parent's partitions."""
    with of.cursor() as cursor:
        cursor.execute("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::regclass", [parent])
        return [name for (name,) in cursor.fetchall()]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("role", ROLES)
def test_no_serving_role_changes_a_record(acme: World, role: str, change: str) -> None:
    with pytest.raises(DatabaseError, match=REFUSED):
        attempt(change.format("audit_record"), tenant_id=acme.tenant_id, role=role)


@pytest.mark.parametrize("change", CHANGES)
def test_nor_does_the_owner(acme: World, owner_connection: BaseDatabaseWrapper, change: str) -> None:
    with pytest.raises(DatabaseError, match="the journal is append-only"):
        attempt(change.format("audit_record"), tenant_id=acme.tenant_id, using="owner")


@pytest.mark.parametrize("change", ["UPDATE {} SET action = 'x'", "DELETE FROM {}"])
def test_nor_the_owner_in_the_partition_that_holds_records(
    acme: World, owner_connection: BaseDatabaseWrapper, change: str
) -> None:
    with owner_connection.cursor() as cursor:
        cursor.execute("SELECT set_config('app.tenant', %s, false)", [str(acme.tenant_id)])
        cursor.execute("SELECT DISTINCT tableoid::regclass::text FROM audit_record")
        held = [name for (name,) in cursor.fetchall()]

    assert held
    for name in held:
        with pytest.raises(DatabaseError, match="the journal is append-only"):
            attempt(change.format(name), tenant_id=acme.tenant_id, using="owner")


def test_no_partition_can_be_truncated_by_anybody(acme: World, owner_connection: BaseDatabaseWrapper) -> None:
    for name in partitions(owner_connection):
        with pytest.raises(DatabaseError, match="the journal is append-only"):
            attempt(f"TRUNCATE {name}", tenant_id=acme.tenant_id, using="owner")
        for role in ROLES:
            with pytest.raises(DatabaseError, match="permission denied"):
                attempt(f"TRUNCATE {name}", tenant_id=acme.tenant_id, role=role)


@pytest.mark.parametrize("statement", ["SELECT * FROM {}", "INSERT INTO {} DEFAULT VALUES", "DELETE FROM {}"])
@pytest.mark.parametrize("parent", ["audit_record", "audit_payload"])
def test_partitions_are_out_of_every_serving_roles_reach(
    acme: World, owner_connection: BaseDatabaseWrapper, parent: str, statement: str
) -> None:
    names = partitions(owner_connection, parent)

    assert len(names) >= 13
    for name in names:
        for role in ROLES:
            with pytest.raises(DatabaseError, match="permission denied"):
                attempt(statement.format(name), tenant_id=acme.tenant_id, role=role)


@pytest.mark.parametrize("change", PAYLOAD_CHANGES)
@pytest.mark.parametrize("role", ROLES)
def test_no_serving_role_changes_a_payload(acme: World, role: str, change: str) -> None:
    with pytest.raises(DatabaseError, match="permission denied"):
        attempt(change.format("audit_payload"), tenant_id=acme.tenant_id, role=role)


@pytest.mark.parametrize("change", OUTBOX_CHANGES)
def test_the_runtime_role_can_only_add_to_the_outbox(acme: World, change: str) -> None:
    with pytest.raises(DatabaseError, match="permission denied"):
        attempt(change.format("audit_outbox"), tenant_id=acme.tenant_id)


def test_the_seal_role_reads_records_and_empties_the_outbox_but_sees_no_payload(acme: World) -> None:
    attempt("SELECT * FROM audit_record", tenant_id=acme.tenant_id, role="countersign_seal")
    with pytest.raises(DatabaseError, match="permission denied"):
        attempt("SELECT * FROM audit_payload", tenant_id=acme.tenant_id, role="countersign_seal")
    with pytest.raises(DatabaseError, match="permission denied"):
        attempt("INSERT INTO audit_record DEFAULT VALUES", tenant_id=acme.tenant_id, role="countersign_seal")


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE audit_record DISABLE TRIGGER ALL",
        "ALTER TABLE audit_record DISABLE ROW LEVEL SECURITY",
        "DROP TABLE audit_record",
        "DROP TRIGGER audit_record_no_change ON audit_record",
        "ALTER FUNCTION audit_forbid_change() RENAME TO audit_allow_change",
        "SET session_replication_role = replica",
    ],
)
def test_the_runtime_role_cannot_lift_the_guards(acme: World, statement: str) -> None:
    with pytest.raises(DatabaseError, match=r"must be owner|permission denied"):
        attempt(statement, tenant_id=acme.tenant_id)


def test_a_new_months_partition_has_the_guards(acme: World, owner_connection: BaseDatabaseWrapper) -> None:
    with owner_connection.cursor() as cursor:
        cursor.execute(
            "SELECT p.inhrelid::regclass::text, array_agg(t.tgname::text) FROM pg_inherits p "
            "JOIN pg_trigger t ON t.tgrelid = p.inhrelid WHERE p.inhparent = 'audit_record'::regclass GROUP BY 1"
        )
        guards = dict(cursor.fetchall())

    assert set(guards) == set(partitions(owner_connection))
    assert all({"audit_record_no_change", f"{name}_no_truncate"} <= set(found) for name, found in guards.items())


def test_a_month_without_a_partition_fails_loudly_and_writes_nothing(
    acme: World, superuser: psycopg.Connection[tuple[Any, ...]]
) -> None:
    """As if nobody had migrated for a year: the partitions of now are away while it is tried."""
    stream = new_id()
    name = re.sub(r"\W", "", superuser.execute("SELECT to_char(now(), 'YYYY_MM')").fetchone()[0])  # type: ignore[index]
    bounds = superuser.execute(
        "SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE relname = %s", [f"audit_record_{name}"]
    ).fetchone()
    assert bounds is not None
    with superuser.transaction():
        superuser.execute(f"ALTER TABLE audit_record DETACH PARTITION audit_record_{name}")
    try:
        with pytest.raises(DatabaseError, match="no partition of relation"), tenant_scope(acme.tenant_id):
            journal.append_at(stream, 0, [Entry("a.b", "engine")])
    finally:
        with superuser.transaction():
            superuser.execute(f"ALTER TABLE audit_record ATTACH PARTITION audit_record_{name} {bounds[0]}")
    with tenant_scope(acme.tenant_id):
        assert journal.read(stream) == []
        journal.append_at(stream, 0, [Entry("a.b", "engine")])
    assert connection.in_atomic_block is False
