"""Children whose parents have not taken in what they used. Null, as of those there are: taken in."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("agents", "0017_runs_by_what_they_retry")]
    operations = [migrations.AddField("run", "is_unheard", models.BooleanField(null=True))]
