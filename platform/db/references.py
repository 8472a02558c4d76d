"""Foreign keys that know of tenants: what a tenant's row names lies in the same tenant, and the database sees to it.

PostgreSQL checks a foreign key past row-level security, so a simple one would take another tenant's id. Every foreign
key between two tenants' tables is therefore over the pair: (tenant_id, x_id) → (tenant_id, id). What names a row of the
platform as a whole, but must mean one of the tenant (a user who is a member, a group that a team owns), says so in its
app's `tables.py` and refers to the tenant's own row for it.

The pairs follow from the models and the lists; after every migration the owner reconciles the database to them, and
drops the simple key that Django made, so that an insert is checked once. Each is deferred, as Django's own are, since
its cascades delete in their own order.
"""

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Final

from django.apps import apps
from django.db import IntegrityError, connections, models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from db.errors import ForeignReference
from db.indexes import patient
from db.models import TenantModel
from db.tables import Table, listed

TENANT: Final = "tenant_id"
_NAME_LENGTH: Final = 63


@dataclass(frozen=True, slots=True)
class Key:
    """One foreign key over (tenant_id, column) → (tenant_id, to_column)."""

    table: str
    column: str
    to: str
    to_column: str
    cascade: bool = False

    @property
    def name(self) -> str:
        """Return the constraint's name."""
        return f"{self.table}_{self.column}_of_tenant"[-_NAME_LENGTH:]

    @property
    def index(self) -> str:
        """Return the name of the unique index that it needs on what it refers to."""
        return f"{self.to}_{TENANT}_{self.to_column}"[-_NAME_LENGTH:]

    @property
    def definition(self) -> str:
        """Return the constraint as PostgreSQL shows it."""
        cascade = " ON DELETE CASCADE" if self.cascade else ""
        return (
            f"FOREIGN KEY ({TENANT}, {self.column}) REFERENCES {self.to}({TENANT}, {self.to_column}){cascade} "
            "DEFERRABLE INITIALLY DEFERRED"
        )


def wanted() -> list[Key]:
    """Return the keys that the models and the apps' lists ask for."""
    keys: list[Key] = []
    lists = listed()
    for model in apps.get_models():
        if issubclass(model, TenantModel) and model._meta.managed:
            fields = [field for field in model._meta.local_concrete_fields if isinstance(field, models.ForeignKey)]
            keys += [key for field in fields if (key := _key(model, field, lists)) is not None]
    return sorted(keys, key=lambda key: key.name)


def _key(model: type[TenantModel], field: "models.ForeignKey[Any, Any]", lists: dict[str, Table]) -> Key | None:
    table, column, to = model._meta.db_table, str(field.column), field.related_model
    said = lists[table].references.get(column) if table in lists else None
    if said is not None:
        return Key(table, column, said.table, said.column, said.cascade)
    if isinstance(to, type) and issubclass(to, TenantModel):
        return Key(table, column, to._meta.db_table, str(field.target_field.column))
    return None


def reconcile_after_migrate(using: str, **_: Any) -> None:
    """Make the database's foreign keys agree with `wanted`; called after each `migrate`, before privileges are set.

    Each statement is a transaction of its own and none reads a table while writers wait: unique indexes are made
    concurrently, keys are made for new rows first and old rows are looked at afterwards. Raises `ForeignReference`
    when an old row names what is not its tenant's; new rows are held to the key already then.
    """
    connection = connections[using]
    for key in wanted():
        if _columns_are_there(connection, key):
            _make(connection, key)
    for statement in superfluous(connection):
        _run(connection, statement)


def _make(connection: BaseDatabaseWrapper, key: Key) -> None:
    if not _rows(connection, _UNIQUE, [key.to, sorted([TENANT, key.to_column])]):
        _index(connection, key)
    present = {name: (text, valid) for name, text, valid in _rows(connection, _KEYS, [key.table])}
    text, valid = present.get(key.name, ("", False))
    if text.removesuffix(" NOT VALID") != key.definition:
        valid = False
        again = f'DROP CONSTRAINT "{key.name}", ' if text else ""
        add = f'ADD CONSTRAINT "{key.name}" {key.definition} NOT VALID'
        _run(connection, f'ALTER TABLE "{key.table}" {again}{add}')
    if not valid:
        _validate(connection, key)


def _index(connection: BaseDatabaseWrapper, key: Key) -> None:
    concurrently = "" if connection.in_atomic_block else "CONCURRENTLY"
    with nullcontext() if connection.in_atomic_block else patient(connection):
        _run(connection, f'DROP INDEX {concurrently} IF EXISTS "{key.index}"')  # one whose making was interrupted
        _run(connection, f'CREATE UNIQUE INDEX {concurrently} "{key.index}" ON "{key.to}" ({TENANT}, {key.to_column})')


def _validate(connection: BaseDatabaseWrapper, key: Key) -> None:
    try:
        with transaction.atomic(using=connection.alias):
            _run(connection, "SELECT set_config('app.migrating', 'on', true)")  # old rows of every tenant
            _run(connection, f'ALTER TABLE "{key.table}" VALIDATE CONSTRAINT "{key.name}"')
    except IntegrityError as error:
        stray = _STRAY.format(key=key, tenant=TENANT)
        raise ForeignReference(
            f"A row of {key.table} names by {key.column} what is not of its tenant. Let the owner find such rows with "
            f"`{stray}`, mend or delete them, and migrate again."
        ) from error


_STRAY: Final = (
    "SET app.migrating = 'on'; SELECT * FROM {key.table} a WHERE a.{key.column} IS NOT NULL AND NOT EXISTS "
    "(SELECT FROM {key.to} b WHERE b.{tenant} = a.{tenant} AND b.{key.to_column} = a.{key.column})"
)


def superfluous(connection: BaseDatabaseWrapper) -> Iterator[str]:
    """Yield the SQL that drops every key beside those wanted: the simple ones they replace, and pairs of old."""
    keys = {(key.table, key.name): key for key in wanted()}
    replaced = {(key.table, key.column) for key in keys.values()}
    for table, name, columns in _rows(connection, _OF_TENANTS, []):
        simple = len(columns) == 1 and (table, columns[0]) in replaced
        pair = len(columns) == 2 and columns[0] == TENANT and (table, name) not in keys
        if simple or pair:
            yield f'ALTER TABLE "{table}" DROP CONSTRAINT "{name}"'


_COLUMNS = """
SELECT count(*) FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
WHERE relnamespace = 'public'::regnamespace AND NOT attisdropped AND (relname, attname) IN ((%s, %s), (%s, %s))
"""

_UNIQUE = """
SELECT 1 FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
WHERE c.relnamespace = 'public'::regnamespace AND c.relname = %s
  AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL
  AND (SELECT array_agg(attname::text ORDER BY attname) FROM pg_attribute
       WHERE attrelid = i.indrelid AND attnum = ANY(i.indkey)) = %s
"""

_KEYS = """
SELECT conname, pg_get_constraintdef(oid), convalidated FROM pg_constraint
WHERE contype = 'f' AND conrelid = to_regclass(%s)
"""

_OF_TENANTS = """
SELECT c.relname, k.conname, (
    SELECT array_agg(a.attname::text ORDER BY place) FROM unnest(k.conkey) WITH ORDINALITY AS at(number, place)
    JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = at.number)
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
WHERE k.contype = 'f' AND c.relnamespace = 'public'::regnamespace AND k.conparentid = 0 ORDER BY 1, 2
"""


def _columns_are_there(connection: BaseDatabaseWrapper, key: Key) -> bool:
    """Say whether table and columns exist: migrated to an earlier state, they may not."""
    return _rows(connection, _COLUMNS, [key.table, key.column, key.to, key.to_column]) == [(2,)]


def _rows(connection: BaseDatabaseWrapper, query: str, parameters: list[Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        found: list[tuple[Any, ...]] = cursor.fetchall()
    return found


def _run(connection: BaseDatabaseWrapper, statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)
