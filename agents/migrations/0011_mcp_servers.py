"""MCP servers, whose tools agents may be given."""

from django.db import migrations, models

import db.fields
import db.models
import db.scope


class Migration(migrations.Migration):
    dependencies = [("agents", "0010_tool_guards")]
    operations = [
        migrations.CreateModel(
            name="McpServerRow",
            fields=[
                ("tenant_id", models.UUIDField(default=db.scope.current_tenant_id, editable=False)),
                ("id", models.UUIDField(default=db.models.new_id, editable=False, primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=63)),
                ("document", db.fields.OrderedJSONField()),
                ("discovered", db.fields.OrderedJSONField(null=True)),
                ("discovered_at", models.DateTimeField(null=True)),
                ("seen", models.JSONField(default=dict)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
            ],
            options={
                "db_table": "agents_mcpserver",
                "abstract": False,
                "base_manager_name": "objects",
            },
        ),
        migrations.AddConstraint(
            model_name="mcpserverrow",
            constraint=models.UniqueConstraint(fields=("tenant_id", "name"), name="one_mcp_server_per_name"),
        ),
    ]
