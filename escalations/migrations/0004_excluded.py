"""Members who may not answer a question, such as who changed what is proposed."""

import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("escalations", "0003_inbox_of_many"),
    ]

    operations = [
        migrations.AddField(
            model_name="escalation",
            name="excluded",
            field=django.contrib.postgres.fields.ArrayField(base_field=models.UUIDField(), null=True, size=None),
        ),
    ]
