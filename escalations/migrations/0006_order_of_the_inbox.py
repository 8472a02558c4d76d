"""The most urgent first, and what the sweep has to look at."""

from django.db import migrations, models

from db.indexes import BuildIndex


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("escalations", "0005_life")]

    operations = [
        BuildIndex(
            model_name="escalation",
            index=models.Index(
                "tenant_id", "status", models.F("urgency").desc(), models.F("id").desc(), name="escalation_urgent"
            ),
        ),
        BuildIndex(
            model_name="escalation",
            index=models.Index(fields=["look_at"], name="escalation_look", condition=models.Q(look_at__isnull=False)),
        ),
    ]
