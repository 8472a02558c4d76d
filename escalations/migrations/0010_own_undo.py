"""Whether a queue says itself how long answers can be taken back."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("escalations", "0009_reminded")]
    operations = [migrations.AddField("queue", "own_undo_s", models.IntegerField(null=True))]
