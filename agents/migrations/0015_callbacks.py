"""Where a client is told of a run's end."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("agents", "0014_retries")]
    operations = [migrations.AddField("run", "callback_url", models.CharField(max_length=2000, null=True))]
