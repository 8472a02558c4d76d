"""What records are found by: their words and fields, in pages beside the log, made after they are sealed."""

from django.db import migrations

from db.roles import JOURNAL, OWNER

TABLES = """
CREATE TABLE audit_search_segment (
    tenant_id uuid NOT NULL,
    generation smallint NOT NULL,
    segment integer NOT NULL,
    first_id uuid NOT NULL,
    last_id uuid NOT NULL,
    PRIMARY KEY (tenant_id, generation, segment)
);
CREATE TABLE audit_search_page (
    tenant_id uuid NOT NULL,
    generation smallint NOT NULL,
    bucket smallint NOT NULL,
    segment integer NOT NULL,
    postings bytea NOT NULL,
    PRIMARY KEY (tenant_id, generation, bucket, segment)
);
ALTER TABLE audit_search_page ALTER postings SET STORAGE EXTERNAL;
CREATE TABLE audit_search_stale (
    tenant_id uuid NOT NULL,
    record_id uuid NOT NULL,
    PRIMARY KEY (tenant_id, record_id)
);
"""

#: Whatever deletes a payload, its words are to go too: its segment is made anew.
FORGET = """
CREATE FUNCTION audit_payload_forgotten() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit_search_stale (tenant_id, record_id) VALUES (OLD.tenant_id, OLD.record_id) ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER audit_payload_forgotten AFTER DELETE ON audit_payload
    FOR EACH ROW EXECUTE FUNCTION audit_payload_forgotten();
"""

DROP = """
DROP TRIGGER audit_payload_forgotten ON audit_payload;
DROP FUNCTION audit_payload_forgotten();
DROP TABLE audit_search_segment, audit_search_page, audit_search_stale;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("audit", "0006_outbox_aside"),
    ]
    operations = [
        migrations.RunSQL(
            [f"SET LOCAL ROLE {JOURNAL}", TABLES, FORGET, f"SET LOCAL ROLE {OWNER}"],
            [f"SET LOCAL ROLE {JOURNAL}", DROP, f"SET LOCAL ROLE {OWNER}"],
        ),
    ]
