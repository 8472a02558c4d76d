"""Runs by the one that they undo: erasing one finds the others."""

from django.db import migrations, models

from db.indexes import BuildIndex


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("agents", "0019_reversals")]
    operations = [
        BuildIndex(
            "run",
            models.Index(
                fields=["tenant_id", "reverses_id"],
                condition=models.Q(("reverses_id__isnull", False)),
                name="run_by_undone",
            ),
        ),
    ]
