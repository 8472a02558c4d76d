"""The transparency log: leaves, tiles and checkpoints, which are added and never changed."""

from django.db import migrations

from db.roles import JOURNAL, OWNER

#: A tenant's log, and a further generation of it when a backup was restored that lacked what had been signed.
TABLES = """
CREATE TABLE audit_log (
    tenant_id uuid NOT NULL,
    generation smallint NOT NULL,
    origin text NOT NULL UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, generation)
);
CREATE TABLE audit_leaf (
    tenant_id uuid NOT NULL,
    generation smallint NOT NULL,
    index bigint NOT NULL,
    record_id uuid NOT NULL,
    hash bytea NOT NULL,
    PRIMARY KEY (tenant_id, generation, index),
    UNIQUE (record_id, tenant_id, generation)
);
CREATE TABLE audit_tile (
    tenant_id uuid NOT NULL,
    generation smallint NOT NULL,
    level smallint NOT NULL,
    n bigint NOT NULL,
    hashes bytea NOT NULL,
    root bytea NOT NULL,
    PRIMARY KEY (tenant_id, generation, level, n)
);
ALTER TABLE audit_tile ALTER hashes SET STORAGE EXTERNAL;
CREATE TABLE audit_checkpoint (
    tenant_id uuid NOT NULL,
    generation smallint NOT NULL,
    size bigint NOT NULL,
    at timestamptz NOT NULL DEFAULT statement_timestamp(),
    note text NOT NULL,
    PRIMARY KEY (tenant_id, generation, size)
);
"""

GUARDS = "".join(
    f"""
CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE ON {table}
    FOR EACH ROW EXECUTE FUNCTION audit_forbid_change();
CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION audit_forbid_change();
"""
    for table in ("audit_log", "audit_leaf", "audit_tile", "audit_checkpoint")
)

#: The outbox empties as fast as it fills, so what was deleted is to be had again soon.
COMPACTION = """
ALTER TABLE audit_outbox SET (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_cost_delay = 0, autovacuum_analyze_threshold = 100000);
"""


class Migration(migrations.Migration):
    dependencies = [
        ("audit", "0002_hand_over"),
    ]
    operations = [
        migrations.RunSQL(
            [f"SET LOCAL ROLE {JOURNAL}", TABLES, GUARDS, COMPACTION, f"SET LOCAL ROLE {OWNER}"],
            [
                f"SET LOCAL ROLE {JOURNAL}",
                "DROP TABLE audit_checkpoint, audit_tile, audit_leaf, audit_log",
                f"SET LOCAL ROLE {OWNER}",
            ],
        ),
    ]
