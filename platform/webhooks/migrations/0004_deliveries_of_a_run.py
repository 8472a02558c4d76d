"""Deliveries by the run that they tell of: erasing it takes them along."""

from django.db import migrations, models

from db.indexes import BuildIndex


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("webhooks", "0003_runs_of_runs")]
    operations = [
        BuildIndex("delivery", models.Index(fields=["tenant_id", "run_id"], name="delivery_of_run")),
    ]
