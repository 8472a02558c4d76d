"""What a run was asked for, as a keyed hash, for agents that serve identical requests once."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("agents", "0011_mcp_servers")]
    operations = [migrations.AddField("run", "dedupe_key", models.CharField(max_length=64, null=True))]
