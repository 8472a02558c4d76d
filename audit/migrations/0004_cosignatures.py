"""What witnesses signed of the logs' checkpoints, which is added and never changed."""

from django.db import migrations

from db.roles import JOURNAL, OWNER

#: witness: its key's name and id, as a verifier key begins. line: the signature line as it stands in a note.
TABLE = """
CREATE TABLE audit_cosignature (
    tenant_id uuid NOT NULL,
    generation smallint NOT NULL,
    witness text NOT NULL,
    size bigint NOT NULL,
    at timestamptz NOT NULL DEFAULT statement_timestamp(),
    line text NOT NULL,
    PRIMARY KEY (tenant_id, generation, witness, size)
);
CREATE TRIGGER audit_cosignature_no_change BEFORE UPDATE OR DELETE ON audit_cosignature
    FOR EACH ROW EXECUTE FUNCTION audit_forbid_change();
CREATE TRIGGER audit_cosignature_no_truncate BEFORE TRUNCATE ON audit_cosignature
    FOR EACH STATEMENT EXECUTE FUNCTION audit_forbid_change();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("audit", "0003_log"),
    ]
    operations = [
        migrations.RunSQL(
            [f"SET LOCAL ROLE {JOURNAL}", TABLE, f"SET LOCAL ROLE {OWNER}"],
            [f"SET LOCAL ROLE {JOURNAL}", "DROP TABLE audit_cosignature", f"SET LOCAL ROLE {OWNER}"],
        ),
    ]
