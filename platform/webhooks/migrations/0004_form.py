"""Which body a webhook gets: an event as JSON, or a line for a chat tool."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("webhooks", "0003_runs_of_runs")]
    operations = [
        migrations.AddField(
            "endpoint", "form", models.CharField(db_default="standard", default="standard", max_length=10)
        )
    ]
