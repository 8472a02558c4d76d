"""How often a run was taken up since it last got any further: what sets those aside that kill their workers."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("agents", "0006_engine_of_a_run")]
    operations = [migrations.AddField("run", "tries", models.SmallIntegerField(db_default=0))]
