"""The journal: records, payloads, outbox, and the guards that forbid changing a record."""

from django.db import migrations, models

TABLES = """
CREATE TABLE audit_record (
    id uuid NOT NULL PRIMARY KEY,
    at timestamptz NOT NULL,
    tenant_id uuid NOT NULL,
    stream uuid NOT NULL,
    seq integer,
    v smallint NOT NULL,
    action text NOT NULL,
    actor text NOT NULL,
    subject text,
    outcome text NOT NULL,
    facts jsonb NOT NULL,
    commitment bytea
) PARTITION BY RANGE (id);
CREATE INDEX audit_record_stream ON audit_record (stream, seq);

CREATE TABLE audit_payload (
    record_id uuid NOT NULL PRIMARY KEY,
    tenant_id uuid NOT NULL,
    salt bytea NOT NULL,
    value text NOT NULL
) PARTITION BY RANGE (record_id);

-- One row a statement that appended; the sequencer takes and deletes whole rows, so there is no index to keep.
CREATE TABLE audit_outbox (
    tenant_id uuid NOT NULL,
    record_ids uuid[] NOT NULL
);
"""

# UUIDv7 (RFC 9562): 48 bits of milliseconds, 12 bits of the millisecond's fraction, then 14 bits of the record's place
# in its statement, so that records of one transaction ascend, and 48 random bits.
RECORD_ID = """
CREATE FUNCTION audit_record_id(at timestamptz, place integer) RETURNS uuid LANGUAGE sql VOLATILE PARALLEL SAFE AS $$
    SELECT encode(
        int8send(((us / 1000) << 16) | x'7000'::bigint | ((us % 1000) * 4096 / 1000))
        || int2send((((place & 16383) | 32768) - 65536)::smallint)
        || substring(uuid_send(gen_random_uuid()) FROM 1 FOR 6), 'hex')::uuid
    FROM (SELECT (extract(epoch FROM at) * 1000000)::bigint AS us) AS clock
$$;
"""

GUARDS = """
CREATE FUNCTION audit_forbid_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the journal is append-only: % on % refused', TG_OP, TG_TABLE_NAME USING ERRCODE = '42501';
END $$;
CREATE TRIGGER audit_record_no_change BEFORE UPDATE OR DELETE ON audit_record
    FOR EACH ROW EXECUTE FUNCTION audit_forbid_change();
CREATE TRIGGER audit_record_no_truncate BEFORE TRUNCATE ON audit_record
    FOR EACH STATEMENT EXECUTE FUNCTION audit_forbid_change();
"""


class Migration(migrations.Migration):
    initial = True
    dependencies: list[tuple[str, str]] = []
    operations = [
        migrations.RunSQL(TABLES, "DROP TABLE audit_outbox, audit_payload, audit_record"),
        migrations.RunSQL(RECORD_ID, "DROP FUNCTION audit_record_id"),
        migrations.RunSQL(GUARDS, "DROP FUNCTION audit_forbid_change CASCADE"),
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.CreateModel(
                    name="Record",
                    fields=[("id", models.UUIDField(primary_key=True, serialize=False))],
                    options={
                        "base_manager_name": "objects",
                        "db_table": "audit_record",
                        "managed": False,
                        "abstract": False,
                    },
                ),
                migrations.CreateModel(
                    name="Payload",
                    fields=[("record_id", models.UUIDField(primary_key=True, serialize=False))],
                    options={
                        "base_manager_name": "objects",
                        "db_table": "audit_payload",
                        "managed": False,
                        "abstract": False,
                    },
                ),
            ]
        ),
    ]
