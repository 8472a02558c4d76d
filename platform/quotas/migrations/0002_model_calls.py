from django.db import migrations, models

import db.models


class Migration(migrations.Migration):
    dependencies = [("quotas", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="ModelCall",
            fields=[
                ("id", models.UUIDField(default=db.models.new_id, editable=False, primary_key=True, serialize=False)),
                ("worker", models.IntegerField()),
                ("tokens", models.BigIntegerField()),
                ("counts_until", models.DateTimeField(null=True)),
            ],
        ),
        migrations.RunSQL("ALTER TABLE quotas_modelcall SET UNLOGGED", "ALTER TABLE quotas_modelcall SET LOGGED"),
    ]
