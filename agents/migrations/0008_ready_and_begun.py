"""Begun runs that are ready, for workers without a place at the supplier: not to be searched for among the queued."""

from django.db import migrations, models

from db.indexes import BuildIndex


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("agents", "0007_tries")]
    operations = [
        BuildIndex(
            "run",
            models.Index(
                models.F("tenant_id"),
                models.F("priority").desc(),
                models.F("ready_at"),
                condition=models.Q(("ready_at__isnull", False), models.Q(("status", "queued"), _negated=True)),
                name="run_ready_begun",
            ),
        ),
    ]
