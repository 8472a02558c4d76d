"""Keys of tenants' own, by which values are found again that are not kept."""

from django.db import migrations, models

import db.models
import db.scope


class Migration(migrations.Migration):
    dependencies = [("vault", "0002_field_keys")]

    operations = [
        migrations.CreateModel(
            name="HashKey",
            fields=[
                ("tenant_id", models.UUIDField(default=db.scope.current_tenant_id, editable=False)),
                ("id", models.UUIDField(default=db.models.new_id, editable=False, primary_key=True, serialize=False)),
                ("number", models.SmallIntegerField()),
                ("sealed", models.TextField()),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "abstract": False,
                "base_manager_name": "objects",
                "constraints": [
                    models.UniqueConstraint(fields=("tenant_id", "number"), name="one_hash_key_per_number")
                ],
            },
        ),
    ]
