"""Deliveries of spent soft limits, put down when somebody is told of one."""

from django.db import migrations, models

_TELL = """
CREATE FUNCTION webhooks_soft_spent() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO webhooks_delivery (id, tenant_id, endpoint_id, type, window_id, status, attempts, created_at, next_at)
    SELECT gen_random_uuid(), NEW.tenant_id, e.id, 'budget.soft_limit_reached', NEW.id, 'pending', 0, now(), now()
    FROM webhooks_endpoint e
    WHERE e.tenant_id = NEW.tenant_id AND e.is_active
    AND (cardinality(e.events) = 0 OR 'budget.soft_limit_reached' = ANY (e.events));
    RETURN NULL;
END $$;

CREATE TRIGGER webhooks_soft_spent AFTER UPDATE ON quotas_window FOR EACH ROW
    WHEN (NEW.soft_told AND NOT OLD.soft_told) EXECUTE FUNCTION webhooks_soft_spent();
"""

_SILENT = """
DROP TRIGGER webhooks_soft_spent ON quotas_window;
DROP FUNCTION webhooks_soft_spent();
"""


class Migration(migrations.Migration):
    dependencies = [("webhooks", "0001_webhooks"), ("quotas", "0003_more_budgets")]
    operations = [
        migrations.AlterField("delivery", "run_id", models.UUIDField(null=True)),
        migrations.AddField("delivery", "window_id", models.UUIDField(null=True)),
        migrations.RunSQL(_TELL, _SILENT),
    ]
