"""Where each witness stands, and when the next letter is due."""

from django.db import migrations

#: A witness as a whole. witness: its key's name and id. next_at: when it is asked again; a while ahead while somebody
#: asks it. tries: failures in a row. caught_up_at: when it was last asked for all that there was, and answered.
#: Its standing with one log. size: of the tree that it cosigned last, as far as we know. refused_since, refusal: it does
#: not cosign this log, and why; next_at: when it is asked again.
#: A letter. recipient: SHA-256 of the setting's entry, so that no address is kept. keys: what tells
#: the sets of signing keys apart that letters told of, the newest last. due_at: when the next one is; next_at: when it
#: is tried.
TABLES = """
CREATE TABLE checkpoints_witness (
    witness text PRIMARY KEY,
    next_at timestamptz NOT NULL,
    tries integer NOT NULL DEFAULT 0,
    failing_since timestamptz,
    failure text NOT NULL DEFAULT '',
    caught_up_at timestamptz NOT NULL
);
CREATE TABLE checkpoints_standing (
    witness text NOT NULL,
    tenant_id uuid NOT NULL,
    generation smallint NOT NULL,
    size bigint NOT NULL DEFAULT 0,
    asked_at timestamptz NOT NULL,
    tries integer NOT NULL DEFAULT 0,
    next_at timestamptz,
    refused_since timestamptz,
    refusal text NOT NULL DEFAULT '',
    PRIMARY KEY (witness, tenant_id, generation)
);
CREATE TABLE checkpoints_mailing (
    recipient text PRIMARY KEY,
    keys text[] NOT NULL,
    due_at timestamptz NOT NULL,
    next_at timestamptz NOT NULL,
    tries integer NOT NULL DEFAULT 0,
    failing_since timestamptz,
    failure text NOT NULL DEFAULT ''
);
"""


class Migration(migrations.Migration):
    initial = True

    dependencies = [("audit", "0004_cosignatures")]

    operations = [
        migrations.RunSQL(TABLES, "DROP TABLE checkpoints_mailing, checkpoints_standing, checkpoints_witness"),
    ]
