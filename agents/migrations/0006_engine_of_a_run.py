"""A run stays with the engine that it was started on; none is named for those of the default one."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("agents", "0005_newest_by_reference")]
    operations = [migrations.AddField("run", "engine", models.CharField(max_length=10, null=True))]
