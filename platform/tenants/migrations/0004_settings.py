"""How long answers can be taken back in a tenant, and whom its webhooks and callbacks may tell."""

import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("tenants", "0003_people")]
    operations = [
        migrations.AddField("tenant", "undo_s", models.IntegerField(db_default=0, default=0)),
        migrations.AddField(
            "tenant",
            "webhook_hosts",
            django.contrib.postgres.fields.ArrayField(models.CharField(max_length=253), null=True),
        ),
    ]
