"""Whom runs are about, as keyed hashes beside them."""

from django.db import migrations, models

import db.scope


class Migration(migrations.Migration):
    dependencies = [("agents", "0015_callbacks")]

    operations = [
        migrations.CreateModel(
            name="RunSubject",
            fields=[
                ("tenant_id", models.UUIDField(default=db.scope.current_tenant_id, editable=False)),
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "tenant_id", "digest", "run_id", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("digest", models.CharField(max_length=64)),
                ("run_id", models.UUIDField()),
                ("key", models.SmallIntegerField()),
            ],
            options={
                "abstract": False,
                "base_manager_name": "objects",
                "indexes": [models.Index(fields=["tenant_id", "run_id"], name="subject_of_run")],
            },
        ),
    ]
