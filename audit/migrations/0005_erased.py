"""Why a payload is gone: by which order a run's were erased, and up to where those of a class were, whose term ended."""

from django.db import migrations

from db.roles import JOURNAL, OWNER

#: A row for each stream whose payloads were erased. why: `request` (of an erasure, `reference`) or `term`.
#: Of the records beyond runs, a row for each class: those before the moment `before` are past their term.
TABLES = """
CREATE TABLE audit_erased (
    tenant_id uuid NOT NULL,
    stream uuid NOT NULL,
    why text NOT NULL,
    reference uuid,
    at timestamptz NOT NULL DEFAULT statement_timestamp(),
    PRIMARY KEY (tenant_id, stream, why)
);
CREATE TABLE audit_expired (
    tenant_id uuid NOT NULL,
    kind text NOT NULL,
    before timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, kind)
);
"""


class Migration(migrations.Migration):
    dependencies = [
        ("audit", "0004_cosignatures"),
    ]
    operations = [
        migrations.RunSQL(
            [f"SET LOCAL ROLE {JOURNAL}", TABLES, f"SET LOCAL ROLE {OWNER}"],
            [f"SET LOCAL ROLE {JOURNAL}", "DROP TABLE audit_erased, audit_expired", f"SET LOCAL ROLE {OWNER}"],
        ),
    ]
