"""Who may reach which table: one literal list per app, and the code that makes the database agree.

Each app's `tables.py` holds `TABLES`. After every migration the owner of each table reconciles privileges, row-level
security and policies to these lists; a table nobody listed stops the migration. Nothing else grants anything.

Ways past row-level security that this guards against: the owner (FORCE), a forgotten filter (policies without a
default, so that no scope raises), direct access to partitions (no privileges on them), TRUNCATE (granted to nobody).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from django.apps import apps
from django.db import connections, transaction

from db.errors import UnlistedTable
from db.roles import APP, DISPATCH, JOURNAL, OWNER, SEAL

READ = "SELECT"
APPEND = "SELECT, INSERT"
EDIT = "SELECT, INSERT, UPDATE"
ALL = "SELECT, INSERT, UPDATE, DELETE"


@dataclass(frozen=True, slots=True)
class Reference:
    """What a column names in its own tenant: `column` of `table` (see `db.references`).

    cascade: whether the row goes with what it names; otherwise what is named cannot go before the row.
    """

    table: str
    column: str
    cascade: bool = False


@dataclass(frozen=True, slots=True)
class OfRuns:
    """That rows say something about runs, and how they are erased with one (`retention.places`).

    column: holds the run's id. blank: column → the SQL that takes its value's place; empty when the rows go as a whole.
    """

    column: str
    blank: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Table:
    """One table's access.

    app: privileges of the app role on all columns, e.g. `APPEND`; empty for none.
    tenant: the column that holds the tenant's id, or None for a table of the platform as a whole.
    dispatch, seal: privilege → columns, for the roles that work across tenants; `("*",)` means the whole table.
    references: column → what it must name of its own tenant, where the model's foreign key says less.
    check: what else a row that the app role adds must meet, as PostgreSQL shows it; empty for nothing.
    journal: privilege → columns, for the functions of the journal's owner that erase, in a tenant's scope.
    erase: how rows that come of a run are erased with it; of a table that is linked to runs and needs no erasing, why.
    """

    name: str
    app: str
    tenant: str | None = "tenant_id"
    dispatch: Mapping[str, Sequence[str]] = field(default_factory=dict)
    seal: Mapping[str, Sequence[str]] = field(default_factory=dict)
    references: Mapping[str, Reference] = field(default_factory=dict)
    check: str = ""
    journal: Mapping[str, Sequence[str]] = field(default_factory=dict)
    erase: OfRuns | str = ""


def listed() -> dict[str, Table]:
    """Return every app's tables by name, the libraries' included."""
    found: dict[str, Table] = {}
    for config in apps.get_app_configs():
        module = f"{config.name}.tables"
        if config.name != "db" and find_spec(module) is not None:
            found |= {table.name: table for table in getattr(import_module(module), "TABLES", ())}
    return found


def reconcile_after_migrate(using: str, **_: Any) -> None:
    """Make the database agree with the lists; called once after each `migrate`.

    One transaction, so that those who are being served never meet a table between REVOKE and GRANT; one at a time.
    """
    with transaction.atomic(using=using), connections[using].cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('countersign.tables'))")
        for statement in statements(cursor):
            cursor.execute(statement)


def statements(cursor: Any) -> Iterator[str]:
    """Yield the SQL that brings privileges and policies to the lists; raises `UnlistedTable`."""
    tables = listed()
    cursor.execute(
        "SELECT relname, relrowsecurity AND relforcerowsecurity FROM pg_class c "
        "WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT relispartition "
        "AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid "
        "AND d.deptype = 'e')"  # what an extension brings is its own
    )
    present = dict(cursor.fetchall())
    missing = sorted(set(present) - set(tables))
    if missing:
        raise UnlistedTable(f"No entry in any tables.py for: {', '.join(missing)}. Say there who may reach them.")
    cursor.execute(_POLICIES)
    policies = {(table, policy): (set(roles), *rest) for table, policy, roles, *rest in cursor.fetchall()}
    cursor.execute(_OWNED)
    owned = cursor.fetchall()
    for owner in (JOURNAL, OWNER):
        yield f"SET LOCAL ROLE {owner}"
        names = [f'"{name}"' for name, by in owned if by == owner]
        if names:
            others = f"PUBLIC, {APP}, {DISPATCH}, {SEAL}" + (f", {JOURNAL}" if owner == OWNER else "")
            yield f"REVOKE ALL ON {', '.join(names)} FROM {others}"
        for name in sorted(present.keys() & {name for name, by in owned if by == owner}):
            table = tables[name]
            yield from _grants(table)
            if table.tenant and not present[name]:
                yield f'ALTER TABLE "{name}" ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY'
            stands = {policy: shown for (of, policy), shown in policies.items() if of == name}
            yield from _policies(table, stands, owner)
    yield f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {APP}"


def _grants(table: Table) -> Iterator[str]:
    if table.app:
        yield f'GRANT {table.app} ON "{table.name}" TO {APP}'
    for role, privileges in ((DISPATCH, table.dispatch), (SEAL, table.seal), (JOURNAL, table.journal)):
        for named, columns in privileges.items():
            of = "" if tuple(columns) == ("*",) else f" ({', '.join(columns)})"
            # In a list of privileges the columns belong to the last one alone; the others would be for all columns.
            granted = ", ".join(f"{privilege}{of}" for privilege in named.split(", "))
            yield f'GRANT {granted} ON "{table.name}" TO {role}'


_POLICIES = """
SELECT tablename, policyname, roles::text[], permissive, cmd, qual, with_check
FROM pg_policies WHERE schemaname = 'public'
"""

_OWNED = """
SELECT relname, pg_get_userbyid(relowner) FROM pg_class c
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'f')
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                  AND d.deptype = 'e') ORDER BY relname
"""

#: `migrate` sees every tenant's rows, as checking a new constraint needs; the owner by any other door sees one
#: tenant's, like the app. Written as PostgreSQL shows it, line ends included.
_WHILE_MIGRATING = """
CASE
    WHEN (current_setting('app.migrating'::text, true) = 'on'::text) THEN true
    ELSE {own}
END"""

#: A policy as `_POLICIES` shows it: roles, permissive, command, USING, WITH CHECK.
Policy = tuple[set[str], str, str, str, str]


def _policies(table: Table, present: Mapping[str, tuple[Any, ...]], owner: str = OWNER) -> Iterator[str]:
    wanted: dict[str, Policy] = {}
    if table.tenant:
        own = f"({table.tenant} = (current_setting('app.tenant'::text))::uuid)"
        wanted["tenant"] = ({APP}, "PERMISSIVE", "ALL", own, f"({own} AND {table.check})" if table.check else own)
        all_while_migrating = _WHILE_MIGRATING.format(own=own)
        wanted[owner] = ({owner}, "PERMISSIVE", "ALL", all_while_migrating, all_while_migrating)
        for role, privileges in ((DISPATCH, table.dispatch), (SEAL, table.seal)):
            if privileges:
                wanted[role] = ({role}, "PERMISSIVE", "ALL", "true", "true")
        if table.journal:
            wanted[JOURNAL] = ({JOURNAL}, "PERMISSIVE", "ALL", own, own)
    for name, stands in present.items():
        if stands != wanted.get(name):
            yield f'DROP POLICY "{name}" ON "{table.name}"'
    for name, policy in wanted.items():
        if present.get(name) != policy:
            roles, _, _, using, check = policy
            to = ", ".join(sorted(roles))
            yield f'CREATE POLICY "{name}" ON "{table.name}" TO {to} USING ({using}) WITH CHECK ({check})'
