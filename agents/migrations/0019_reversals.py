"""Runs that undo what another one did."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("agents", "0018_unheard_children")]
    operations = [migrations.AddField("run", "reverses_id", models.UUIDField(null=True))]
