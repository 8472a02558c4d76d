"""From which priority on a queue's questions must have been opened before they are decided in bulk."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("escalations", "0007_appeals")]
    operations = [
        migrations.AddField("queue", "must_open_from", models.SmallIntegerField(db_default=60, default=60)),
    ]
