"""Which body a webhook gets: an event as JSON, or a line for a chat tool."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("webhooks", "0004_deliveries_of_a_run")]
    operations = [
        migrations.AddField(
            "endpoint", "form", models.CharField(db_default="standard", default="standard", max_length=10)
        )
    ]
