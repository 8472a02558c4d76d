"""Runs that try another one again."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("agents", "0011_mcp_servers")]
    operations = [migrations.AddField("run", "retry_of_id", models.UUIDField(null=True))]
