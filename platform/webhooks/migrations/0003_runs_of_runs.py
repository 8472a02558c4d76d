"""Webhooks are told of whole runs only: the end of a run that another run started is that one's affair."""

from django.db import migrations

_WHOLE = """
CREATE OR REPLACE FUNCTION webhooks_run_ended() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.parent_id IS NULL THEN
        PERFORM webhooks_tell(NEW.tenant_id, 'run.' || NEW.status, NEW.id, NULL, NEW.callback_url);
    END IF;
    RETURN NULL;
END $$;
"""

_EACH = """
CREATE OR REPLACE FUNCTION webhooks_run_ended() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM webhooks_tell(NEW.tenant_id, 'run.' || NEW.status, NEW.id, NULL, NEW.callback_url);
    RETURN NULL;
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("webhooks", "0002_soft_limits")]
    operations = [migrations.RunSQL(_WHOLE, _EACH)]
