"""Runs by the one that they try again: erasing one finds the others."""

from django.db import migrations, models

from db.indexes import BuildIndex


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("agents", "0016_subjects")]
    operations = [
        BuildIndex(
            "run",
            models.Index(
                fields=["tenant_id", "retry_of_id"],
                condition=models.Q(("retry_of_id__isnull", False)),
                name="run_by_retried",
            ),
        ),
    ]
