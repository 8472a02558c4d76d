"""Runs by what they were asked for: none but those of agents that serve identical requests once."""

from django.db import migrations, models

from db.indexes import BuildIndex


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("agents", "0012_dedupe_key")]
    operations = [
        BuildIndex(
            "run",
            models.Index(
                fields=["tenant_id", "dedupe_key", "-created_at"],
                condition=models.Q(("dedupe_key__isnull", False)),
                name="run_by_dedupe_key",
            ),
        ),
    ]
