"""Where the outbox's rows of logs that refuse are put, so that the others' are not looked for among them."""

from django.db import migrations

from db.roles import JOURNAL, OWNER

TABLE = """
CREATE TABLE audit_outbox_aside (
    tenant_id uuid NOT NULL,
    n uuid NOT NULL DEFAULT gen_random_uuid(),
    record_ids uuid[] NOT NULL,
    PRIMARY KEY (tenant_id, n)
);
ALTER TABLE audit_outbox_aside SET (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 5000);
"""

#: What waits there waits in the outbox again.
BACK = """
INSERT INTO audit_outbox (tenant_id, record_ids) SELECT tenant_id, record_ids FROM audit_outbox_aside;
DROP TABLE audit_outbox_aside;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("audit", "0005_erased"),
    ]
    operations = [
        migrations.RunSQL(
            [f"SET LOCAL ROLE {JOURNAL}", TABLE, f"SET LOCAL ROLE {OWNER}"],
            [f"SET LOCAL ROLE {JOURNAL}", BACK, f"SET LOCAL ROLE {OWNER}"],
        ),
    ]
