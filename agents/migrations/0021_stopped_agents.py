"""Agents that take no new runs until they are let go on. Null, as of all there are: they take them."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("agents", "0020_runs_by_what_they_undo")]
    operations = [migrations.AddField("agent", "stopped_at", models.DateTimeField(null=True))]
