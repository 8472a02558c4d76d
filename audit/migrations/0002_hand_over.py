"""The journal gets an owner of its own, whom nobody is by mistake; records are found by tenant, and take less room.

The tables and functions go to the role `countersign_journal`, which the owner's login can enter but does not inherit:
whatever alters them from here on begins with `SET LOCAL ROLE countersign_journal` (`db.roles.journal`). Cannot be
reversed for that reason.
"""

from django.db import migrations

from db.roles import JOURNAL

#: The tenant goes before the id in the key, so that one index serves a tenant's records in their order. Text keeps the
#: facts as they were written, in two thirds of what jsonb takes.
SHAPES = """
ALTER TABLE audit_record DROP CONSTRAINT audit_record_pkey, ALTER facts TYPE json USING facts::json;
ALTER TABLE audit_record ADD PRIMARY KEY (tenant_id, id);
DROP INDEX audit_record_stream;
CREATE INDEX audit_record_actor ON audit_record (tenant_id, actor, id) WHERE actor <> 'engine';
CREATE INDEX audit_record_action ON audit_record (tenant_id, action, id) WHERE seq IS NULL;
CREATE INDEX audit_record_subject ON audit_record (tenant_id, subject, id) WHERE subject IS NOT NULL;
"""

# The first half of a UUIDv7: 48 bits of milliseconds, the version, 12 bits of the millisecond's fraction. One expression
# each, so that the planner puts it in place of the call.
MOMENTS = """
CREATE FUNCTION audit_moment(at timestamptz) RETURNS bytea LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT int8send((((extract(epoch FROM at) * 1000000)::bigint / 1000) << 16) | 28672
        | (((extract(epoch FROM at) * 1000000)::bigint % 1000) * 4096 / 1000))
$$;
CREATE FUNCTION audit_is_now(id uuid) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT substring(uuid_send(id) FROM 1 FOR 8) = audit_moment(statement_timestamp())
$$;
CREATE OR REPLACE FUNCTION audit_record_id(at timestamptz, place integer) RETURNS uuid
LANGUAGE sql VOLATILE PARALLEL SAFE AS $$
    SELECT encode(
        audit_moment(at) || int2send((((place & 16383) | 32768) - 65536)::smallint)
        || substring(uuid_send(gen_random_uuid()) FROM 1 FOR 6), 'hex')::uuid
$$;
"""

GUARDS = """
CREATE TRIGGER audit_payload_no_change BEFORE UPDATE ON audit_payload
    FOR EACH ROW EXECUTE FUNCTION audit_forbid_change();
CREATE TRIGGER audit_payload_no_truncate BEFORE TRUNCATE ON audit_payload
    FOR EACH STATEMENT EXECUTE FUNCTION audit_forbid_change();
"""

#: What `db.partitions` gives those it makes from here on.
PARTITIONS = """
DO $$
DECLARE name text;
BEGIN
    FOR name IN SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'audit_record'::regclass LOOP
        EXECUTE format('CREATE UNIQUE INDEX IF NOT EXISTS %I ON %I (stream, seq)', name || '_stream', name);
    END LOOP;
    FOR name IN SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'audit_payload'::regclass LOOP
        EXECUTE format('CREATE OR REPLACE TRIGGER %I BEFORE TRUNCATE ON %I FOR EACH STATEMENT '
                       'EXECUTE FUNCTION audit_forbid_change()', name || '_no_truncate', name);
    END LOOP;
END $$;
"""

OWNER = f"""
DO $$
DECLARE name text;
BEGIN
    FOR name IN SELECT inhrelid::regclass::text FROM pg_inherits
                WHERE inhparent IN ('audit_record'::regclass, 'audit_payload'::regclass)
                UNION ALL VALUES ('audit_record'), ('audit_payload'), ('audit_outbox') LOOP
        EXECUTE format('ALTER TABLE %I OWNER TO {JOURNAL}', name);
    END LOOP;
END $$;
ALTER FUNCTION audit_moment(timestamptz) OWNER TO {JOURNAL};
ALTER FUNCTION audit_is_now(uuid) OWNER TO {JOURNAL};
ALTER FUNCTION audit_record_id(timestamptz, integer) OWNER TO {JOURNAL};
ALTER FUNCTION audit_forbid_change() OWNER TO {JOURNAL};
"""  # noqa: S608 - constants only


class Migration(migrations.Migration):
    dependencies = [
        ("audit", "0001_journal"),
    ]
    operations = [
        migrations.RunSQL([SHAPES, MOMENTS, GUARDS, PARTITIONS, OWNER]),
    ]
