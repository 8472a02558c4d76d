"""Exports, and the bytes they are made of."""

import django.db.models.deletion
from django.db import migrations, models

import db.models
import db.scope


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Export",
            fields=[
                ("tenant_id", models.UUIDField(default=db.scope.current_tenant_id, editable=False)),
                ("id", models.UUIDField(default=db.models.new_id, editable=False, primary_key=True, serialize=False)),
                ("format", models.CharField(max_length=10)),
                ("since", models.DateTimeField(null=True)),
                ("until", models.DateTimeField(null=True)),
                ("filter", models.JSONField(default=dict)),
                ("payloads", models.BooleanField(default=True)),
                ("asked_by", models.CharField(max_length=100)),
                ("status", models.CharField(default="queued", max_length=10)),
                ("created_at", models.DateTimeField()),
                ("next_at", models.DateTimeField(null=True)),
                ("epoch", models.IntegerField(default=0)),
                ("state", models.JSONField(default=dict)),
                ("done", models.BigIntegerField(default=0)),
                ("total", models.BigIntegerField(null=True)),
                ("percent", models.SmallIntegerField(default=0)),
                ("size", models.BigIntegerField(default=0)),
                ("ready_at", models.DateTimeField(null=True)),
                ("expires_at", models.DateTimeField(null=True)),
                ("error", models.CharField(max_length=60, null=True)),
                ("detail", models.CharField(max_length=500, null=True)),
            ],
            options={
                "abstract": False,
                "base_manager_name": "objects",
                "indexes": [
                    models.Index(condition=models.Q(("next_at__isnull", False)), fields=["next_at"], name="export_due"),
                    models.Index(fields=["tenant_id", "id"], name="export_of_tenant"),
                ],
            },
        ),
        migrations.CreateModel(
            name="Part",
            fields=[
                ("tenant_id", models.UUIDField(default=db.scope.current_tenant_id, editable=False)),
                ("id", models.UUIDField(default=db.models.new_id, editable=False, primary_key=True, serialize=False)),
                ("lane", models.SmallIntegerField()),
                ("n", models.IntegerField()),
                ("start", models.BigIntegerField(null=True)),
                ("size", models.IntegerField()),
                ("data", models.BinaryField()),
                ("told", models.JSONField(null=True)),
                (
                    "export",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="parts", to="exports.export"
                    ),
                ),
            ],
            options={
                "abstract": False,
                "base_manager_name": "objects",
                "indexes": [models.Index(fields=["tenant_id", "export", "start"], name="part_by_start")],
                "constraints": [
                    models.UniqueConstraint(fields=("tenant_id", "export", "lane", "n"), name="one_part_per_place")
                ],
            },
        ),
        # The bytes are compressed already.
        migrations.RunSQL("ALTER TABLE exports_part ALTER data SET STORAGE EXTERNAL", migrations.RunSQL.noop),
    ]
