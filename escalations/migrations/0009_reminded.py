"""When those who work a question were reminded of it."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("escalations", "0008_opened_before_bulk")]
    operations = [migrations.AddField("escalation", "reminded_at", models.DateTimeField(null=True))]
