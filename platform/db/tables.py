"""Who may reach which table: one literal list per app, and the code that makes the database agree.

Each app's `tables.py` holds `TABLES`. After every migration the owner reconciles privileges, row-level security and
policies to these lists; a table nobody listed stops the migration. Nothing else grants anything.

Ways past row-level security that this guards against: the owner (FORCE), a forgotten filter (policies without a
default, so that no scope raises), direct access to partitions (no privileges on them), TRUNCATE (granted to nobody).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from django.apps import apps
from django.db import connections

from db.errors import UnlistedTable
from db.roles import APP, DISPATCH, OWNER, SEAL

READ = "SELECT"
APPEND = "SELECT, INSERT"
EDIT = "SELECT, INSERT, UPDATE"
ALL = "SELECT, INSERT, UPDATE, DELETE"


@dataclass(frozen=True, slots=True)
class Table:
    """One table's access.

    app: privileges of the app role on all columns, e.g. `APPEND`; empty for none.
    tenant: the column that holds the tenant's id, or None for a table of the platform as a whole.
    dispatch, seal: privilege → columns, for the roles that work across tenants; `("*",)` means the whole table.
    """

    name: str
    app: str
    tenant: str | None = "tenant_id"
    dispatch: Mapping[str, Sequence[str]] = field(default_factory=dict)
    seal: Mapping[str, Sequence[str]] = field(default_factory=dict)


def listed() -> dict[str, Table]:
    """Return every app's tables by name, the libraries' included."""
    found = {table.name: table for table in import_module("db.third_party").TABLES}
    for config in apps.get_app_configs():
        module = f"{config.name}.tables"
        if config.name != "db" and find_spec(module) is not None:
            found |= {table.name: table for table in getattr(import_module(module), "TABLES", ())}
    return found


def reconcile_after_migrate(using: str, **_: Any) -> None:
    """Make the database agree with the lists; called once after each `migrate`."""
    with connections[using].cursor() as cursor:
        for statement in statements(cursor):
            cursor.execute(statement)


def statements(cursor: Any) -> Iterator[str]:
    """Yield the SQL that brings privileges and policies to the lists; raises `UnlistedTable`."""
    tables = listed()
    cursor.execute(
        "SELECT relname, relrowsecurity AND relforcerowsecurity FROM pg_class "
        "WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition"
    )
    present = dict(cursor.fetchall())
    missing = sorted(set(present) - set(tables))
    if missing:
        raise UnlistedTable(f"No entry in any tables.py for: {', '.join(missing)}. Say there who may reach them.")
    cursor.execute("SELECT tablename, policyname FROM pg_policies WHERE schemaname = 'public'")
    policies = {(table, policy) for table, policy in cursor.fetchall()}
    for name in sorted(present):
        table = tables[name]
        yield f'REVOKE ALL ON "{name}" FROM PUBLIC, {APP}, {DISPATCH}, {SEAL}'
        yield from _grants(table)
        if table.tenant:
            if not present[name]:
                yield f'ALTER TABLE "{name}" ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY'
            yield from _policies(table, policies)
    yield f"GRANT USAGE ON SCHEMA public TO {APP}, {DISPATCH}, {SEAL}"
    yield f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {APP}"


def _grants(table: Table) -> Iterator[str]:
    if table.app:
        yield f'GRANT {table.app} ON "{table.name}" TO {APP}'
    for role, privileges in ((DISPATCH, table.dispatch), (SEAL, table.seal)):
        for privilege, columns in privileges.items():
            of = "" if tuple(columns) == ("*",) else f" ({', '.join(columns)})"
            yield f'GRANT {privilege}{of} ON "{table.name}" TO {role}'


def _policies(table: Table, present: set[tuple[str, str]]) -> Iterator[str]:
    if (table.name, "tenant") not in present:
        own = f"{table.tenant} = current_setting('app.tenant')::uuid"
        yield f'CREATE POLICY tenant ON "{table.name}" TO {APP}, {OWNER} USING ({own}) WITH CHECK ({own})'
    for role, privileges in ((DISPATCH, table.dispatch), (SEAL, table.seal)):
        if privileges and (table.name, role) not in present:
            yield f'CREATE POLICY {role} ON "{table.name}" TO {role} USING (true) WITH CHECK (true)'
