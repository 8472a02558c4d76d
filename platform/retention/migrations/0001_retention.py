"""Holds, erasures and terms, and the functions of the journal's owner that erase by them and by nothing else."""

import django.contrib.postgres.fields
from django.db import migrations, models

import db.models
import db.scope
from db.roles import APP, JOURNAL, OWNER

_OWN = "current_setting('app.tenant')::uuid"

#: Each function that erases says again what the policies say: the journal's owner may see all while it migrates.
_DEFINER = """LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp"""

# The tree that a run is in; the family, which has what retries or undoes any of it and their trees, too; and the holds in
# force over any run of that. Asked by the app role and by the functions below.
_HOLDS = f"""
CREATE FUNCTION retention_tree(of_run uuid) RETURNS SETOF uuid LANGUAGE sql STABLE
SET search_path = pg_catalog, public, pg_temp AS $$
    WITH RECURSIVE up AS (
        SELECT r.id, r.parent_id FROM agents_run r WHERE r.tenant_id = {_OWN} AND r.id = of_run
        UNION ALL
        SELECT p.id, p.parent_id FROM up JOIN agents_run p ON p.tenant_id = {_OWN} AND p.id = up.parent_id
    ), down AS (
        SELECT id FROM up WHERE parent_id IS NULL
        UNION ALL
        SELECT c.id FROM down JOIN agents_run c ON c.parent_id = down.id AND c.tenant_id = {_OWN})
    SELECT id FROM down
$$;

CREATE FUNCTION retention_family(of_run uuid) RETURNS SETOF uuid LANGUAGE sql STABLE
SET search_path = pg_catalog, public, pg_temp AS $$
    WITH RECURSIVE family AS (
        SELECT r.id FROM agents_run r WHERE r.tenant_id = {_OWN} AND r.id = of_run
        UNION
        SELECT next.id FROM family CROSS JOIN LATERAL (
            SELECT unnest(ARRAY[r.parent_id, r.retry_of_id, r.reverses_id]) AS id FROM agents_run r
            WHERE r.tenant_id = {_OWN} AND r.id = family.id
            UNION ALL
            SELECT r.id FROM agents_run r WHERE r.parent_id = family.id AND r.tenant_id = {_OWN}
            UNION ALL
            SELECT r.id FROM agents_run r WHERE r.tenant_id = {_OWN} AND r.retry_of_id = family.id
            UNION ALL
            SELECT r.id FROM agents_run r WHERE r.tenant_id = {_OWN} AND r.reverses_id = family.id) AS next
        WHERE next.id IS NOT NULL)
    SELECT id FROM family
$$;

CREATE FUNCTION retention_holds_of(of_run uuid) RETURNS SETOF uuid LANGUAGE sql STABLE
SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT h.id FROM retention_order h
    WHERE h.tenant_id = {_OWN} AND h.kind = 'hold' AND h.status = 'confirmed' AND EXISTS (
        SELECT FROM retention_family(of_run) AS t (id) JOIN agents_run r ON r.tenant_id = {_OWN} AND r.id = t.id
        WHERE r.id = h.run_id OR r.agent_id = h.agent_id
        OR (coalesce(h.since, h.until) IS NOT NULL AND (h.until IS NULL OR r.created_at < h.until)
            AND (h.since IS NULL OR r.ended_at IS NULL OR r.ended_at >= h.since))
        OR EXISTS (SELECT FROM agents_runsubject s
                   WHERE s.tenant_id = {_OWN} AND s.run_id = r.id AND s.digest = ANY (h.digests)))
$$;
"""  # noqa: S608 - constants only

_ERASE = f"""
CREATE FUNCTION retention_drop(of_run uuid, at_most integer, because text, by_order uuid) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    own CONSTANT uuid := {_OWN};
    streams CONSTANT uuid[] := ARRAY(
        SELECT of_run UNION ALL
        SELECT e.id FROM escalations_escalation e WHERE e.tenant_id = own AND e.run_id = of_run UNION ALL
        SELECT c.id FROM learning_case c WHERE c.tenant_id = own AND c.run_id = of_run UNION ALL
        SELECT f.id FROM learning_feedback f WHERE f.tenant_id = own AND f.run_id = of_run);
    gone integer;
BEGIN
    WITH deleted AS (
        DELETE FROM audit_payload p USING (
            SELECT r.id FROM audit_record r WHERE r.tenant_id = own AND r.stream = ANY (streams) AND EXISTS (
                SELECT FROM audit_payload q WHERE q.record_id = r.id AND q.tenant_id = own)
            LIMIT at_most) AS doomed
        WHERE p.record_id = doomed.id AND p.tenant_id = own RETURNING 1)
    SELECT count(*) INTO gone FROM deleted;
    INSERT INTO audit_erased (tenant_id, stream, why, reference)
    SELECT own, stream, because, by_order FROM unnest(streams) AS stream
    WHERE because <> 'term' OR gone < at_most  -- a term's row says that nothing is left
    ON CONFLICT DO NOTHING;
    RETURN gone;
END $$;

-- Up to at_most payloads of a run, on an erasure of it that two persons stand behind. Says how many there were.
CREATE FUNCTION retention_erase(by_order uuid, of_run uuid, at_most integer) RETURNS integer {_DEFINER} AS $$
DECLARE
    own CONSTANT uuid := {_OWN};
BEGIN
    IF NOT EXISTS (
        SELECT FROM retention_order o JOIN retention_item i ON i.tenant_id = own AND i.order_id = o.id
        WHERE o.tenant_id = own AND o.id = by_order AND o.kind = 'erasure' AND o.status = 'confirmed'
        AND o.decided_by_id <> o.asked_by_id AND i.run_id = of_run) THEN
        RAISE EXCEPTION 'no erasure of this run was confirmed' USING ERRCODE = '42501';
    ELSIF NOT EXISTS (SELECT FROM agents_run r
                      WHERE r.tenant_id = own AND r.id = of_run AND r.ended_at IS NOT NULL) THEN
        RAISE EXCEPTION 'this run has not ended' USING ERRCODE = '42501';
    ELSIF EXISTS (SELECT FROM escalations_escalation e WHERE e.tenant_id = own AND e.run_id = of_run
                  AND (e.status = 'open' OR e.answer_seq IS NOT NULL)) THEN
        RAISE EXCEPTION 'somebody is asked about this run' USING ERRCODE = '42501';
    ELSIF EXISTS (SELECT FROM retention_holds_of(of_run)) THEN
        RAISE EXCEPTION 'a hold forbids erasing this run' USING ERRCODE = '42501';
    END IF;
    RETURN retention_drop(of_run, at_most, 'request', by_order);
END $$;

-- The days of a class by the newest terms that name it and that two persons stand behind; null for ever. The rows of
-- retention_term, which the app role writes, only say where a round has come to.
CREATE FUNCTION retention_days(of_kind text) RETURNS integer LANGUAGE sql STABLE
SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT (o.terms ->> of_kind)::integer FROM retention_order o
    WHERE o.tenant_id = {_OWN} AND o.kind = 'terms' AND o.status IN ('confirmed', 'done')
    AND o.decided_by_id <> o.asked_by_id AND jsonb_exists(o.terms, of_kind)
    ORDER BY o.decided_at DESC, o.id DESC LIMIT 1
$$;

-- Up to at_most payloads of a run, once all of its tree is past its term. Says how many there were, or null when it may
-- not be touched yet.
CREATE FUNCTION retention_expire_run(of_run uuid, at_most integer) RETURNS integer {_DEFINER} AS $$
DECLARE
    own CONSTANT uuid := {_OWN};
    tree CONSTANT uuid[] := ARRAY(SELECT retention_tree(of_run));
    term integer;
BEGIN
    term := retention_days(CASE
        WHEN EXISTS (SELECT FROM escalations_escalation e WHERE e.tenant_id = own AND e.run_id = ANY (tree))
        THEN 'decisions' ELSE 'runs' END);
    IF term IS NULL OR cardinality(tree) = 0 OR EXISTS (
        SELECT FROM agents_run r WHERE r.tenant_id = own AND r.id = ANY (tree)
        AND (r.ended_at IS NULL OR r.ended_at >= now() - make_interval(days => term)))
        OR EXISTS (SELECT FROM escalations_escalation e WHERE e.tenant_id = own AND e.run_id = ANY (tree)
                   AND (e.status = 'open' OR e.answer_seq IS NOT NULL))
        OR EXISTS (SELECT FROM retention_family(of_run) AS f (id) JOIN agents_run r ON r.tenant_id = own AND r.id = f.id
                   WHERE r.ended_at IS NULL)
        OR EXISTS (SELECT FROM retention_holds_of(of_run)) THEN
        RETURN NULL;
    END IF;
    RETURN retention_drop(of_run, at_most, 'term', NULL);
END $$;

-- Payloads of records beyond runs of a class, past its term, of the next `reach` records behind `after`. Says how many,
-- and how far it came: null at the end. What a hold is over stays, and is met again in the next round.
CREATE FUNCTION retention_expire_records(of_kind text, after uuid, reach integer, OUT gone integer, OUT upto uuid)
{_DEFINER} AS $$
DECLARE
    own CONSTANT uuid := {_OWN};
    moment CONSTANT timestamptz := now() - make_interval(days => retention_days(of_kind));
    -- Not before 1970: the digits of a negative number would be those of a time to come.
    bound CONSTANT uuid := (lpad(to_hex(greatest((extract(epoch FROM moment) * 1000)::bigint, 0)), 12, '0')
                            || repeat('0', 20))::uuid;
BEGIN
    gone := 0;
    IF moment IS NULL OR of_kind NOT IN ('sign_in', 'configuration') THEN
        RETURN;
    END IF;
    SELECT last.id INTO upto FROM (
        SELECT r.id FROM audit_record r WHERE r.tenant_id = own AND r.id > after AND r.id < bound
        ORDER BY r.id LIMIT reach) AS last ORDER BY last.id DESC LIMIT 1;
    WITH deleted AS (
        DELETE FROM audit_payload p USING audit_record r
        WHERE r.tenant_id = own AND r.id > after AND r.id <= upto AND r.seq IS NULL
        AND p.record_id = r.id AND p.tenant_id = own
        AND split_part(r.action, '.', 1) NOT IN ('decision', 'appeal')
        AND (of_kind = 'sign_in') = (split_part(r.action, '.', 1) IN (
            'access', 'account', 'identity', 'login', 'password', 'recovery_codes', 'second_factor', 'session'))
        AND NOT EXISTS (
            SELECT FROM retention_order h WHERE h.tenant_id = own AND h.kind = 'hold' AND h.status = 'confirmed'
            AND (h.agent_id = r.stream OR (coalesce(h.since, h.until) IS NOT NULL
                 AND (h.since IS NULL OR r.at >= h.since) AND (h.until IS NULL OR r.at < h.until))))
        RETURNING 1)
    SELECT count(*) INTO gone FROM deleted;
    INSERT INTO audit_expired AS e (tenant_id, kind, before) VALUES (own, of_kind, moment)
    ON CONFLICT (tenant_id, kind) DO UPDATE SET before = greatest(e.before, excluded.before);
END $$;

REVOKE ALL ON FUNCTION retention_tree(uuid), retention_family(uuid), retention_holds_of(uuid), retention_days(text),
    retention_drop(uuid, integer, text, uuid),
    retention_erase(uuid, uuid, integer), retention_expire_run(uuid, integer),
    retention_expire_records(text, uuid, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION retention_tree(uuid), retention_family(uuid), retention_holds_of(uuid),
    retention_erase(uuid, uuid, integer), retention_expire_run(uuid, integer), retention_expire_records(text, uuid, integer) TO {APP};
"""  # noqa: S608 - constants only

# What two persons stand behind stays as it was when the second confirmed it, and ends as it may. Digests only grow: a new
# key's are added. Kinds and states are those of `retention.models.order`.
_AS_CONFIRMED = """
CREATE FUNCTION retention_as_confirmed() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF NEW.kind = 'terms' AND EXISTS (
        SELECT FROM jsonb_each_text(NEW.terms) AS term (kind, days) WHERE days::integer NOT BETWEEN 7 AND 36500) THEN
        RAISE EXCEPTION 'a term has 7 to 36500 days' USING ERRCODE = '23514';
    ELSIF TG_OP = 'INSERT' OR OLD.status IN ('asked', 'refused') AND NEW.tenant_id = OLD.tenant_id AND NEW.id = OLD.id
        AND (OLD.status = 'asked' OR NEW.status = 'refused') THEN
        RETURN NEW;
    ELSIF (NEW.tenant_id, NEW.id, NEW.kind, NEW.reason, NEW.asked_by_id, NEW.asked_at, NEW.decided_by_id, NEW.decided_at,
           NEW.run_id, NEW.agent_id, NEW.since, NEW.until, NEW.of_id, NEW.terms) IS DISTINCT FROM
          (OLD.tenant_id, OLD.id, OLD.kind, OLD.reason, OLD.asked_by_id, OLD.asked_at, OLD.decided_by_id, OLD.decided_at,
           OLD.run_id, OLD.agent_id, OLD.since, OLD.until, OLD.of_id, OLD.terms)
        OR (NEW.status = OLD.status AND NOT coalesce(NEW.digests @> OLD.digests, OLD.digests IS NULL))
        OR (OLD.digests IS NULL AND NEW.digests IS NOT NULL)
        OR (NEW.status <> OLD.status AND (OLD.kind, OLD.status, NEW.status) NOT IN (
            ('hold', 'confirmed', 'released'), ('erasure', 'confirmed', 'done'))) THEN
        RAISE EXCEPTION 'two persons confirmed this as it is' USING ERRCODE = '42501';
    ELSIF OLD.kind = 'hold' AND OLD.status = 'confirmed' AND NEW.status = 'released' AND NOT EXISTS (
        SELECT FROM retention_order r WHERE r.tenant_id = OLD.tenant_id AND r.kind = 'release' AND r.of_id = OLD.id
        AND r.status IN ('confirmed', 'released') AND r.decided_by_id <> r.asked_by_id) THEN
        RAISE EXCEPTION 'two persons release a hold' USING ERRCODE = '42501';
    END IF;
    RETURN NEW;
END $$;
REVOKE ALL ON FUNCTION retention_as_confirmed() FROM PUBLIC;

CREATE TRIGGER retention_as_confirmed BEFORE INSERT OR UPDATE ON retention_order FOR EACH ROW
    EXECUTE FUNCTION retention_as_confirmed();
"""

_AS_ANYBODY_LIKES = """
DROP TRIGGER retention_as_confirmed ON retention_order;
DROP FUNCTION retention_as_confirmed();
"""

_BACK = """
DROP FUNCTION retention_expire_records(text, uuid, integer);
DROP FUNCTION retention_expire_run(uuid, integer);
DROP FUNCTION retention_days(text);
DROP FUNCTION retention_erase(uuid, uuid, integer);
DROP FUNCTION retention_drop(uuid, integer, text, uuid);
DROP FUNCTION retention_holds_of(uuid);
DROP FUNCTION retention_family(uuid);
DROP FUNCTION retention_tree(uuid);
"""


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("agents", "0020_runs_by_what_they_undo"),
        ("audit", "0005_erased"),
        ("escalations", "0007_appeals"),
        ("learning", "0001_cases_and_feedback"),
        ("webhooks", "0004_deliveries_of_a_run"),
    ]

    operations = [
        migrations.CreateModel(
            name="Item",
            fields=[
                ("tenant_id", models.UUIDField(default=db.scope.current_tenant_id, editable=False)),
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "tenant_id", "order_id", "run_id", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("order_id", models.UUIDField()),
                ("run_id", models.UUIDField()),
                ("erased_at", models.DateTimeField(null=True)),
            ],
            options={
                "abstract": False,
                "base_manager_name": "objects",
                "indexes": [
                    models.Index(
                        condition=models.Q(("erased_at__isnull", True)),
                        fields=["tenant_id", "order_id"],
                        name="item_left",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Order",
            fields=[
                ("tenant_id", models.UUIDField(default=db.scope.current_tenant_id, editable=False)),
                ("id", models.UUIDField(default=db.models.new_id, editable=False, primary_key=True, serialize=False)),
                ("kind", models.CharField(max_length=10)),
                ("status", models.CharField(default="asked", max_length=10)),
                ("reason", models.CharField(max_length=1000)),
                ("asked_by_id", models.UUIDField()),
                ("asked_at", models.DateTimeField()),
                ("decided_by_id", models.UUIDField(null=True)),
                ("decided_at", models.DateTimeField(null=True)),
                ("ended_at", models.DateTimeField(null=True)),
                ("run_id", models.UUIDField(null=True)),
                ("agent_id", models.UUIDField(null=True)),
                ("since", models.DateTimeField(null=True)),
                ("until", models.DateTimeField(null=True)),
                ("sealed_subject", models.TextField(default="")),
                (
                    "digests",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=64), null=True, size=None
                    ),
                ),
                ("of_id", models.UUIDField(null=True)),
                ("terms", models.JSONField(null=True)),
                ("runs", models.IntegerField(default=0)),
                ("payloads", models.BigIntegerField(default=0)),
                ("look_at", models.DateTimeField(null=True)),
            ],
            options={
                "abstract": False,
                "base_manager_name": "objects",
                "indexes": [
                    models.Index(fields=["tenant_id", "kind", "-id"], name="order_by_kind"),
                    models.Index(
                        condition=models.Q(("kind", "hold"), ("status", "confirmed")),
                        fields=["tenant_id"],
                        name="hold_in_force",
                    ),
                    models.Index(condition=models.Q(("look_at__isnull", False)), fields=["look_at"], name="order_due"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("status__in", ("asked", "refused")),
                            models.Q(
                                ("decided_by_id__isnull", False),
                                models.Q(("decided_by_id", models.F("asked_by_id")), _negated=True),
                            ),
                            _connector="OR",
                        ),
                        name="two_persons_confirm",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("kind", "release"), ("status", "asked")),
                        fields=("tenant_id", "of_id"),
                        name="one_release_asked_per_hold",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("kind", "terms"), ("status", "asked")),
                        fields=("tenant_id",),
                        name="one_change_of_terms_asked",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Term",
            fields=[
                ("tenant_id", models.UUIDField(default=db.scope.current_tenant_id, editable=False)),
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "tenant_id", "kind", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("kind", models.CharField(max_length=20)),
                ("days", models.IntegerField()),
                ("upto", models.UUIDField(null=True)),
                ("look_at", models.DateTimeField()),
            ],
            options={
                "abstract": False,
                "base_manager_name": "objects",
                "indexes": [models.Index(fields=["look_at"], name="term_due")],
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("days__range", (7, 36500))), name="term_in_bounds")
                ],
            },
        ),
        migrations.RunSQL(_AS_CONFIRMED, _AS_ANYBODY_LIKES),
        migrations.RunSQL(
            [f"SET LOCAL ROLE {JOURNAL}", _HOLDS, _ERASE, f"SET LOCAL ROLE {OWNER}"],
            [f"SET LOCAL ROLE {JOURNAL}", _BACK, f"SET LOCAL ROLE {OWNER}"],
        ),
    ]
