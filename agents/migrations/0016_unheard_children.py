"""Children whose parents have not taken in what they used. Null, as of those there are: taken in."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("agents", "0015_callbacks")]
    operations = [migrations.AddField("run", "is_unheard", models.BooleanField(null=True))]
