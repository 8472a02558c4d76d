"""Results of tools that are given again, which no log holds, and the breakers of tools that fail."""

import django.db.models.deletion
from django.db import migrations, models

import db.models
import db.scope


class Migration(migrations.Migration):
    dependencies = [
        ("agents", "0009_policies"),
    ]

    operations = [
        migrations.CreateModel(
            name="ToolResult",
            fields=[
                ("tenant_id", models.UUIDField(default=db.scope.current_tenant_id, editable=False)),
                ("key", models.CharField(editable=False, max_length=64, primary_key=True, serialize=False)),
                ("tool_id", models.UUIDField()),
                ("run_id", models.UUIDField(null=True)),
                ("result", models.TextField()),
                ("size", models.IntegerField()),
                ("truncated", models.BooleanField()),
                ("expires_at", models.DateTimeField()),
            ],
            options={
                "abstract": False,
                "base_manager_name": "objects",
                "indexes": [
                    models.Index(fields=["expires_at"], name="tool_result_expired"),
                    models.Index(fields=["tenant_id", "-expires_at"], include=("size",), name="tool_result_by_tenant"),
                    models.Index(fields=["tenant_id", "run_id"], name="tool_result_by_run"),
                ],
            },
        ),
        migrations.CreateModel(
            name="ToolBreaker",
            fields=[
                ("tenant_id", models.UUIDField(default=db.scope.current_tenant_id, editable=False)),
                ("id", models.UUIDField(default=db.models.new_id, editable=False, primary_key=True, serialize=False)),
                ("failures", models.IntegerField()),
                ("failed_at", models.DateTimeField()),
                ("opened_at", models.DateTimeField(null=True)),
                ("retry_at", models.DateTimeField(null=True)),
                (
                    "tool",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name="+", to="agents.tool"
                    ),
                ),
            ],
            options={
                "abstract": False,
                "base_manager_name": "objects",
                "indexes": [
                    models.Index(fields=["failed_at"], name="tool_breaker_failed"),
                    models.Index(
                        condition=models.Q(("opened_at__isnull", False)), fields=["opened_at"], name="tool_breaker_open"
                    ),
                ],
                "constraints": [models.UniqueConstraint(fields=("tenant_id", "tool"), name="one_breaker_per_tool")],
            },
        ),
        migrations.RunSQL("ALTER TABLE agents_toolresult SET UNLOGGED", "ALTER TABLE agents_toolresult SET LOGGED"),
    ]
