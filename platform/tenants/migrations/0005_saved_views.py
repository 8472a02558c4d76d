import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import db.models
import db.scope


class Migration(migrations.Migration):
    dependencies = [
        ("tenants", "0004_settings"),
    ]

    operations = [
        migrations.CreateModel(
            name="SavedView",
            fields=[
                ("tenant_id", models.UUIDField(default=db.scope.current_tenant_id, editable=False)),
                ("id", models.UUIDField(default=db.models.new_id, editable=False, primary_key=True, serialize=False)),
                ("place", models.CharField(max_length=20)),
                ("name", models.CharField(max_length=200)),
                ("query", models.CharField(max_length=500)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "abstract": False,
                "base_manager_name": "objects",
                "constraints": [
                    models.UniqueConstraint(fields=("tenant_id", "user", "place", "name"), name="one_view_per_name")
                ],
            },
        ),
    ]
