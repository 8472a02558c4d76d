"""Runs that undo what another one did."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("agents", "0015_callbacks")]
    operations = [migrations.AddField("run", "reverses_id", models.UUIDField(null=True))]
