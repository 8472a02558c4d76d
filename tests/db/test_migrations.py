"""What a migration may do while the last release's processes work on (docs/running.md, "Upgrade").

Expand, then contract: a release only adds, and what nothing uses any more goes a release later. Nothing locks a table
for longer than it takes to change the catalogue, nothing reads or writes all rows in one transaction.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

import pytest
from django.apps import apps
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation
from django.db.models import NOT_PROVIDED

from db.indexes import BuildIndex

OURS: Final = frozenset(config.label for config in apps.get_app_configs() if "site-packages" not in config.path)

#: How many migrations each app had before the rule: no installation migrates to them while it serves.
BEFORE_THE_RULE: Final = {
    "agents": 5,
    "audit": 2,
    "escalations": 2,
    "quotas": 1,
    "signin": 2,
    "tenants": 3,
    "vault": 2,
}

#: (app, migration, what `objections` says) → why it may be done all the same.
ALLOWED: Final[dict[tuple[str, str, str], str]] = {
    (
        "quotas",
        "0003_more_budgets",
        "reads a whole table while nobody can write: add it not valid, then validate it",
    ): "before it, the table has one row a tenant",
    (
        "webhooks",
        "0002_soft_limits",
        "may rewrite or read a whole table",
    ): "it only takes NOT NULL away, which reads nothing; and no release has had the table",
    (
        "retention",
        "0001_retention",
        "writes all rows in one transaction",
    ): "what deletes stands in functions, which it makes and does not call",
}

#: What SQL of our own may not do to a table that is in use, as people write it.
DANGEROUS: Final = {
    r"DROP\s+(TABLE|COLUMN|VIEW|FUNCTION|SCHEMA)": "drops what the last release may use",
    r"\bRENAME\b": "renames what the last release uses",
    r"\bTRUNCATE\s+(TABLE\s+)?\w+\s*(;|$)": "empties a table",
    r"CREATE\s+(UNIQUE\s+)?INDEX\s+(?!CONCURRENTLY)": "makes an index while nobody can write",
    r"CREATE\s+(UNIQUE\s+)?INDEX\s+CONCURRENTLY": "cannot be run again when it broke off: use db.indexes.BuildIndex",
    r"DROP\s+INDEX\s+(?!CONCURRENTLY)": "drops an index while nobody can read",
    r"ALTER\s+COLUMN\s+\S+\s+(SET\s+DATA\s+)?TYPE": "rewrites a table",
    r"SET\s+NOT\s+NULL": "reads a whole table while nobody can write, and refuses the last release's rows",
    r"SET\s+(UN)?LOGGED": "rewrites a table",
    r"ADD\s+CONSTRAINT(?![^;]*NOT\s+VALID)": "reads a whole table while nobody can write",
    r"ADD\s+COLUMN(?![^;]*DEFAULT)[^;]*NOT\s+NULL": "adds a column that the last release leaves out",
    r"\bLOCK\s+TABLE\b": "locks a table",
    r"\b(UPDATE\s+\w+\s+SET|DELETE\s+FROM)\b": "writes all rows in one transaction",
    r"\b(CLUSTER|VACUUM\s+FULL)\b": "rewrites a table",
}


def objections(app: str, operation: Operation, made: set[str]) -> Iterator[str]:
    """Yield what is to be said against an operation. made: models that this same migration made, in lower case."""
    if isinstance(operation, migrations.SeparateDatabaseAndState):
        for each in operation.database_operations:
            yield from objections(app, each, made)
    elif isinstance(operation, migrations.RunSQL):
        own = [rf"\bTABLE\s+{app}_{model}\b" for model in made]
        for text in _texts(operation.sql):
            if not any(re.search(pattern, text, re.IGNORECASE) for pattern in own):
                yield from (said for pattern, said in DANGEROUS.items() if re.search(pattern, text, re.IGNORECASE))
    elif isinstance(operation, migrations.RunPython):
        yield "runs code over rows: do it outside migrations, a batch a transaction"
    elif isinstance(operation, migrations.DeleteModel | migrations.RemoveField):
        yield "drops what the last release reads"
    elif isinstance(operation, migrations.RenameModel | migrations.RenameField | migrations.AlterModelTable):
        yield "renames what the last release uses"
    elif str(getattr(operation, "model_name", getattr(operation, "name", ""))).lower() in made:
        return
    elif isinstance(operation, migrations.AddField):
        yield from _of_field(operation.field)
    elif isinstance(operation, migrations.AlterField):
        yield "may rewrite or read a whole table"
    elif type(operation) in (migrations.AddIndex, migrations.RemoveIndex, migrations.RenameIndex):
        yield "changes an index while nobody can write: use db.indexes.BuildIndex, or drop it concurrently"
    elif type(operation) is AddIndexConcurrently:
        yield "cannot be run again when it broke off: use db.indexes.BuildIndex"
    elif type(operation) in (migrations.AddConstraint, migrations.AlterUniqueTogether, migrations.AlterIndexTogether):
        yield "reads a whole table while nobody can write: add it not valid, then validate it"


def _of_field(field: Any) -> Iterator[str]:
    if isinstance(field, models.ManyToManyField):
        return
    if not field.null and field.db_default is NOT_PROVIDED and not field.generated:
        yield "adds a column that the last release leaves out: let it be null, or give it a db_default"
    if field.unique or (field.db_index and not isinstance(field, models.ForeignKey)):
        yield "makes an index while nobody can write: add it concurrently, in another migration"
    if isinstance(field, models.ForeignKey) and field.db_index:  # type: ignore[attr-defined]
        yield "makes an index while nobody can write: db_index=False, and add it concurrently in another migration"


def _texts(sql: Any) -> list[str]:
    if isinstance(sql, str):
        return [sql]
    return [each if isinstance(each, str) else each[0] for each in sql or []]


def _since_the_rule() -> Iterator[tuple[str, str, migrations.Migration]]:
    for (app, name), migration in sorted(MigrationLoader(None).disk_migrations.items()):
        if app in OURS and int(name[:4]) > BEFORE_THE_RULE.get(app, 0):
            yield app, name, migration


def test_no_app_of_before_is_forgotten() -> None:
    assert BEFORE_THE_RULE.keys() <= OURS


def test_no_migration_hinders_the_last_release() -> None:
    found = set()
    for app, name, migration in _since_the_rule():
        made = {each.name.lower() for each in migration.operations if isinstance(each, migrations.CreateModel)}
        found |= {(app, name, said) for each in migration.operations for said in objections(app, each, made)}

    assert found - ALLOWED.keys() == set()
    assert ALLOWED.keys() - found == set(), "allowed for nothing"


@pytest.mark.parametrize(
    ("operation", "objected"),
    [
        (migrations.AddField("run", "n", models.IntegerField(default=0)), True),
        (migrations.AddField("run", "n", models.IntegerField(db_default=0)), False),
        (migrations.AddField("run", "n", models.IntegerField(null=True)), False),
        (migrations.AddField("run", "n", models.IntegerField(null=True, unique=True)), True),
        (migrations.AddField("run", "n", models.IntegerField(null=True, db_index=True)), True),
        (migrations.RemoveField("run", "n"), True),
        (migrations.RenameField("run", "n", "m"), True),
        (migrations.AlterField("run", "n", models.TextField()), True),
        (migrations.AddIndex("run", models.Index(fields=["n"], name="n")), True),
        (migrations.AddIndex("made", models.Index(fields=["n"], name="n")), False),
        (migrations.CreateModel("made", []), False),
        (migrations.DeleteModel("run"), True),
        (migrations.RunPython(migrations.RunPython.noop), True),
        (migrations.RunSQL("CREATE INDEX n ON agents_run (n)"), True),
        (migrations.RunSQL("CREATE INDEX CONCURRENTLY n ON agents_run (n)"), True),
        (migrations.RunSQL("DROP INDEX CONCURRENTLY IF EXISTS n"), False),
        (AddIndexConcurrently("run", models.Index(fields=["n"], name="n")), True),
        (BuildIndex("run", models.Index(fields=["n"], name="n")), False),
        (migrations.RunSQL("ALTER TABLE agents_run ADD CONSTRAINT n CHECK (n > 0)"), True),
        (migrations.RunSQL("ALTER TABLE agents_run ADD CONSTRAINT n CHECK (n > 0) NOT VALID"), False),
        (migrations.RunSQL(["ALTER TABLE agents_run ALTER n SET NOT NULL"]), True),
        (migrations.RunSQL("ALTER TABLE agents_run ADD COLUMN n integer NOT NULL"), True),
        (migrations.RunSQL("ALTER TABLE agents_run ADD COLUMN n integer NOT NULL DEFAULT 0"), False),
        (migrations.RunSQL("UPDATE agents_run SET n = 1"), True),
        (migrations.RunSQL("ALTER TABLE agents_run SET UNLOGGED"), True),
        (migrations.RunSQL("ALTER TABLE agents_made SET UNLOGGED"), False),
        (migrations.RunSQL("CREATE TRIGGER t BEFORE TRUNCATE ON r EXECUTE FUNCTION f()"), False),
        (migrations.SeparateDatabaseAndState([migrations.RunSQL("DROP TABLE n")], []), True),
    ],
)
def test_what_is_objected_to(operation: Operation, objected: bool) -> None:
    assert bool(list(objections("agents", operation, {"made"}))) == objected
