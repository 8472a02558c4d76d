"""A database as release 0.1 left it, with two tenants' data: the migrations of then, the policies, simple keys."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any, Final
from uuid import UUID, uuid4

import psycopg
from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.signals import post_migrate

from db import partitions, provision, references, tables
from db.embedded import Server
from db.tables import ALL, Table
from ops.machine import close_connections
from tests import template_database

#: What each of our apps was migrated to; one that is not named had no tables.
LAST: Final = {
    "tenants": "0001_initial",
    "agents": "0003_room_for_updates",
    "audit": "0001_journal",
    "escalations": "0002_references",
    "quotas": "0001_initial",
    "vault": "0001_initial",
}
LIBRARIES: Final = ("account", "admin", "django_q", "guardian", "mfa", "sessions", "socialaccount", "usersessions")


@contextmanager
def using(server: Server, name: str, *, like: str | None = None) -> Iterator[BaseDatabaseWrapper]:
    """Let both aliases reach a database made for the block, a copy of `like` or an empty one; yield the owner's."""
    before = settings.DATABASES["default"]["NAME"]
    with psycopg.connect(server.dsn(database="postgres"), autocommit=True) as keeper:
        close_connections()
        template_database.hold(keeper, name)
        keeper.execute(f'CREATE DATABASE "{name}" TEMPLATE "{like or "template1"}" STRATEGY FILE_COPY'.encode())
        try:
            provision.provision(server.dsn(database=name))
            template_database.use(name)
            yield connections["owner"]
        finally:
            close_connections()
            template_database.use(before)
            if like is not None:
                keeper.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


def build(owner: BaseDatabaseWrapper) -> list[UUID]:
    """Migrate to that release and fill two tenants; return their ids."""
    db = apps.get_app_config("db")
    for receiver in (references.reconcile_after_migrate, tables.reconcile_after_migrate):
        post_migrate.disconnect(receiver, sender=db)
    try:
        for label, name in LAST.items():
            call_command("migrate", label, name, verbosity=0, interactive=False)
        for label in LIBRARIES:
            call_command("migrate", label, verbosity=0, interactive=False)
    finally:
        post_migrate.connect(references.reconcile_after_migrate, sender=db)
        post_migrate.connect(tables.reconcile_after_migrate, sender=db)
    with owner.cursor() as cursor:
        for table in partitions.PARTITIONED:  # as that release made them: all in the owner's hands
            today = date.today()
            low, high = partitions.first_id(today), partitions.first_id(partitions.next_month(today))
            name = partitions.partition_name(table, today)
            cursor.execute(f"CREATE TABLE {name} PARTITION OF {table} FOR VALUES FROM ('{low}') TO ('{high}')")
        cursor.execute(
            "SELECT relname FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid AND attname = 'tenant_id' "
            "WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition"
        )
        for (table,) in cursor.fetchall():
            cursor.execute(f'ALTER TABLE "{table}" ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY')
            for statement in tables._policies(Table(table, ALL), {}):
                cursor.execute(statement)
        return [fill(cursor) for _ in range(2)]


def fill(cursor: Any) -> UUID:
    """Make a tenant with a row in every table that refers to another one."""
    cursor.execute("SELECT codename, id FROM auth_permission WHERE codename IN ('use', 'review')")
    permission = dict(cursor.fetchall())
    tenant: UUID = uuid4()

    def row(table: str, **values: Any) -> Any:
        return insert(cursor, table, {"tenant_id": tenant, **values} if table not in PLATFORM else values)

    cursor.execute("SELECT set_config('app.tenant', %s, false)", [str(tenant)])
    row("tenants_tenant", id=tenant, slug=f"t{tenant.hex[:12]}")
    user = row("tenants_user", email=f"{tenant.hex}@example.org", is_active=True)
    row("tenants_membership", user_id=user, role="operator")
    group = row("auth_group", name=f"team:{tenant}")
    team = row("tenants_team", slug="desk", group_id=group)
    row("tenants_teammember", team_id=team, user_id=user)
    row("tenants_user_groups", user_id=user, group_id=group)
    row("tenants_apikey", principal_id=user, digest=tenant.bytes * 2, scopes=["runs:read"])
    made: dict[str, Any] = {}
    for kind, codename in (("agent", "review"), ("tool", "use")):
        made[kind] = row(f"agents_{kind}", live_id=None, **{"agent": {"slug": "a"}, "tool": {"name": "t"}}[kind])
        version = made[f"{kind} version"] = row(f"agents_{kind}version", number=1, **{f"{kind}_id": made[kind]})
        cursor.execute(f"UPDATE agents_{kind} SET live_id = %s WHERE id = %s", [version, made[kind]])  # noqa: S608
        on = {"content_object_id": made[kind], "permission_id": permission[codename]}
        row(f"agents_{kind}usergrant", user_id=user, **on)
        row(f"agents_{kind}teamgrant", group_id=group, **on)
    row(
        "agents_run",
        agent_id=made["agent"],
        version_id=made["agent version"],
        principal_id=user,
        requested_by_id=user,
        status="completed",
    )
    escalation = row("escalations_escalation", status="decided", allowed=["approve"], requester_id=user)
    row("escalations_vote", escalation_id=escalation, user_id=user)
    queue = row("escalations_queue", slug="credit")
    row("escalations_queuemember", queue_id=queue, user_id=user)
    row("escalations_queueteam", queue_id=queue, team_id=team)
    row("quotas_window", budget_id=row("quotas_budget", of="tenant"))
    row("vault_secret", name="token")
    cursor.execute("SELECT audit_record_id(now(), 1)")
    [record] = cursor.fetchone()
    facts = {"deep": ["€", None, 2**53 - 1]}
    row("audit_record", id=record, stream=tenant, seq=1, action="a.b", facts=json.dumps(facts), commitment=b"c" * 32)
    cursor.execute("INSERT INTO audit_payload VALUES (%s, %s, '', %s)", [record, tenant, '{"x":1}'])
    return tenant


PLATFORM: Final = frozenset({"tenants_tenant", "tenants_user", "auth_group", "tenants_user_groups"})

#: What a column of the type holds when it must hold something and nothing was said.
ANYTHING: Final = {
    "uuid": "gen_random_uuid()",
    "boolean": "false",
    "timestamp with time zone": "now()",
    "date": "'2026-11-01'",
    "character varying": "''",
    "text": "'{}'",
    "bytea": "''",
    "jsonb": "'{}'",
    "ARRAY": "'{}'",
}


def insert(cursor: Any, table: str, values: dict[str, Any]) -> Any:
    """Insert a row with those values and anything in the other columns that must hold something; return its id."""
    cursor.execute(
        "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = 'public' "
        "AND table_name = %s AND is_nullable = 'NO' AND column_default IS NULL AND identity_generation IS NULL",
        [table],
    )
    rest = {name: ANYTHING.get(kind, "1") for name, kind in cursor.fetchall() if name not in values}
    columns = ", ".join([*values, *rest])
    terms = ", ".join([*["%s"] * len(values), *rest.values()])
    cursor.execute(f"INSERT INTO {table} ({columns}) VALUES ({terms}) RETURNING id", [*values.values()])  # noqa: S608
    return cursor.fetchone()[0]
