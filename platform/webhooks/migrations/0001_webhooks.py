"""Webhooks, and what the database puts down for them in the transaction of what they tell."""

import django.contrib.postgres.fields
import django.core.validators
import django.db.models.deletion
from django.db import migrations, models

import db.models
import db.scope

_TELL = """
CREATE FUNCTION webhooks_tell(told_tenant uuid, kind text, run uuid, escalation uuid, callback text)
RETURNS void LANGUAGE sql AS $$
    INSERT INTO webhooks_delivery
        (id, tenant_id, endpoint_id, url, type, run_id, escalation_id, status, attempts, created_at, next_at)
    SELECT gen_random_uuid(), told_tenant, wanting.endpoint, wanting.url, kind, run, escalation, 'pending', 0,
           now(), now()
    FROM (SELECT e.id AS endpoint, NULL AS url FROM webhooks_endpoint e
          WHERE e.tenant_id = told_tenant AND e.is_active AND (cardinality(e.events) = 0 OR kind = ANY (e.events))
          UNION ALL SELECT NULL, callback WHERE callback IS NOT NULL) AS wanting
$$;

CREATE FUNCTION webhooks_run_ended() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM webhooks_tell(NEW.tenant_id, 'run.' || NEW.status, NEW.id, NULL, NEW.callback_url);
    RETURN NULL;
END $$;

CREATE FUNCTION webhooks_asked() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM webhooks_tell(
        NEW.tenant_id,
        'escalation.' || CASE WHEN TG_OP = 'INSERT' THEN 'requested' WHEN NEW.status = 'open' THEN 'reopened'
                         ELSE NEW.status END,
        NEW.run_id, NEW.id, NULL);
    RETURN NULL;
END $$;

CREATE TRIGGER webhooks_run_ended AFTER UPDATE ON agents_run FOR EACH ROW
    WHEN (OLD.ended_at IS NULL AND NEW.ended_at IS NOT NULL) EXECUTE FUNCTION webhooks_run_ended();
CREATE TRIGGER webhooks_asked AFTER INSERT ON escalations_escalation FOR EACH ROW EXECUTE FUNCTION webhooks_asked();
CREATE TRIGGER webhooks_answered AFTER UPDATE ON escalations_escalation FOR EACH ROW
    WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION webhooks_asked();
"""

_SILENT = """
DROP TRIGGER webhooks_answered ON escalations_escalation;
DROP TRIGGER webhooks_asked ON escalations_escalation;
DROP TRIGGER webhooks_run_ended ON agents_run;
DROP FUNCTION webhooks_asked();
DROP FUNCTION webhooks_run_ended();
DROP FUNCTION webhooks_tell(uuid, text, uuid, uuid, text);
"""


class Migration(migrations.Migration):
    initial = True

    dependencies = [("agents", "0015_callbacks"), ("escalations", "0007_appeals"), ("tenants", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="Endpoint",
            fields=[
                ("tenant_id", models.UUIDField(default=db.scope.current_tenant_id, editable=False)),
                ("id", models.UUIDField(default=db.models.new_id, editable=False, primary_key=True, serialize=False)),
                (
                    "name",
                    models.CharField(
                        max_length=63,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\\Z",
                                "Use 1 to 63 lower-case letters, digits and hyphens; begin and end with a letter or digit.",
                            )
                        ],
                    ),
                ),
                ("url", models.CharField(max_length=2000)),
                (
                    "events",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=40), default=list, size=None
                    ),
                ),
                ("sealed", models.TextField(default="")),
                ("sealed_former", models.TextField(default="")),
                ("former_until", models.DateTimeField(null=True)),
                ("secret_name", models.CharField(max_length=63, null=True)),
                ("is_active", models.BooleanField(default=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
            ],
            options={
                "abstract": False,
                "base_manager_name": "objects",
                "constraints": [models.UniqueConstraint(fields=("tenant_id", "name"), name="one_webhook_per_name")],
            },
        ),
        migrations.CreateModel(
            name="Delivery",
            fields=[
                ("tenant_id", models.UUIDField(default=db.scope.current_tenant_id, editable=False)),
                ("id", models.UUIDField(default=db.models.new_id, editable=False, primary_key=True, serialize=False)),
                ("url", models.CharField(max_length=2000, null=True)),
                ("type", models.CharField(max_length=40)),
                ("run_id", models.UUIDField()),
                ("escalation_id", models.UUIDField(null=True)),
                ("status", models.CharField(default="pending", max_length=10)),
                ("attempts", models.IntegerField(default=0)),
                ("created_at", models.DateTimeField()),
                ("next_at", models.DateTimeField(null=True)),
                ("delivered_at", models.DateTimeField(null=True)),
                ("answered", models.SmallIntegerField(null=True)),
                ("error", models.CharField(max_length=300, null=True)),
                (
                    "endpoint",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="deliveries",
                        to="webhooks.endpoint",
                    ),
                ),
            ],
            options={
                "abstract": False,
                "base_manager_name": "objects",
                "indexes": [
                    models.Index(
                        condition=models.Q(("next_at__isnull", False)), fields=["next_at"], name="delivery_due"
                    ),
                    models.Index(fields=["tenant_id", "endpoint", "created_at", "id"], name="delivery_of_endpoint"),
                ],
            },
        ),
        migrations.RunSQL(_TELL, _SILENT),
    ]
