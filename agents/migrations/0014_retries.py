"""Runs that try another one again."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("agents", "0013_runs_by_dedupe_key")]
    operations = [migrations.AddField("run", "retry_of_id", models.UUIDField(null=True))]
