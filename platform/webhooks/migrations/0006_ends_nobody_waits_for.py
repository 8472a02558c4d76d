"""A run's end that no webhook waits for is not gone into: one look, and no statement that would insert nothing."""

from django.db import migrations

_IF_ANY = """
CREATE OR REPLACE FUNCTION webhooks_run_ended() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.parent_id IS NULL AND (NEW.callback_url IS NOT NULL OR EXISTS (
        SELECT FROM webhooks_endpoint e WHERE e.tenant_id = NEW.tenant_id AND e.is_active)) THEN
        PERFORM webhooks_tell(NEW.tenant_id, 'run.' || NEW.status, NEW.id, NULL, NEW.callback_url);
    END IF;
    RETURN NULL;
END $$;
"""

_EACH = """
CREATE OR REPLACE FUNCTION webhooks_run_ended() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.parent_id IS NULL THEN
        PERFORM webhooks_tell(NEW.tenant_id, 'run.' || NEW.status, NEW.id, NULL, NEW.callback_url);
    END IF;
    RETURN NULL;
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("webhooks", "0005_form")]
    operations = [migrations.RunSQL(_IF_ANY, _EACH)]
