"""What tenants demand of calls of their tools, and the version of it all that each step is planned by."""

from django.db import migrations, models

import db.fields
import db.models
import db.scope


class Migration(migrations.Migration):
    dependencies = [
        ("agents", "0008_ready_and_begun"),
    ]

    operations = [
        migrations.CreateModel(
            name="Policy",
            fields=[
                ("tenant_id", models.UUIDField(default=db.scope.current_tenant_id, editable=False)),
                ("id", models.UUIDField(default=db.models.new_id, editable=False, primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=63)),
                ("number", models.PositiveIntegerField(default=1)),
                ("document", db.fields.OrderedJSONField()),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
            ],
            options={
                "abstract": False,
                "base_manager_name": "objects",
                "constraints": [models.UniqueConstraint(fields=("tenant_id", "name"), name="one_policy_per_name")],
            },
        ),
        migrations.CreateModel(
            name="PolicySet",
            fields=[
                ("tenant_id", models.UUIDField(default=db.scope.current_tenant_id, editable=False)),
                ("id", models.UUIDField(default=db.models.new_id, editable=False, primary_key=True, serialize=False)),
                ("version", models.IntegerField(default=0)),
            ],
            options={
                "abstract": False,
                "base_manager_name": "objects",
                "constraints": [models.UniqueConstraint(fields=("tenant_id",), name="one_policy_set_per_tenant")],
            },
        ),
    ]
