"""A tenant's deliveries by their time: its term of retention goes round them in that order."""

from django.db import migrations, models

from db.indexes import BuildIndex


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("webhooks", "0006_ends_nobody_waits_for")]
    operations = [
        BuildIndex("delivery", models.Index(fields=["tenant_id", "created_at"], name="delivery_of_tenant")),
    ]
