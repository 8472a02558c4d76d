"""Cases that people taught, and feedback on outputs."""

import django.db.models.deletion
from django.db import migrations, models

import db.models
import db.scope


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("agents", "0015_callbacks"),
    ]

    operations = [
        migrations.CreateModel(
            name="Feedback",
            fields=[
                ("tenant_id", models.UUIDField(default=db.scope.current_tenant_id, editable=False)),
                ("id", models.UUIDField(default=db.models.new_id, editable=False, primary_key=True, serialize=False)),
                ("run_id", models.UUIDField()),
                ("agent_id", models.UUIDField()),
                ("version_id", models.UUIDField()),
                ("user_id", models.UUIDField(null=True)),
                ("score", models.SmallIntegerField(null=True)),
                ("thumb", models.SmallIntegerField(null=True)),
                ("seq", models.IntegerField(default=1)),
                ("created_at", models.DateTimeField()),
            ],
            options={
                "abstract": False,
                "base_manager_name": "objects",
                "indexes": [models.Index(fields=["tenant_id", "agent_id", "version_id"], name="feedback_of_version")],
                "constraints": [
                    models.UniqueConstraint(fields=("run_id", "user_id"), name="one_feedback_each"),
                    models.UniqueConstraint(
                        condition=models.Q(("user_id__isnull", True)), fields=("run_id",), name="one_feedback_by_link"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="FeedbackWish",
            fields=[
                ("tenant_id", models.UUIDField(default=db.scope.current_tenant_id, editable=False)),
                ("id", models.UUIDField(default=db.models.new_id, editable=False, primary_key=True, serialize=False)),
                ("run_id", models.UUIDField()),
            ],
            options={
                "abstract": False,
                "base_manager_name": "objects",
                "constraints": [models.UniqueConstraint(fields=("run_id",), name="one_wish_per_run")],
            },
        ),
        migrations.CreateModel(
            name="Case",
            fields=[
                ("tenant_id", models.UUIDField(default=db.scope.current_tenant_id, editable=False)),
                ("id", models.UUIDField(default=db.models.new_id, editable=False, primary_key=True, serialize=False)),
                ("version_id", models.UUIDField()),
                ("run_id", models.UUIDField()),
                ("escalation_id", models.UUIDField(null=True)),
                ("source", models.CharField(max_length=10)),
                ("tag", models.CharField(max_length=10)),
                ("kept_by_id", models.UUIDField()),
                ("created_at", models.DateTimeField()),
                ("removed_at", models.DateTimeField(null=True)),
                (
                    "agent",
                    models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="+", to="agents.agent"),
                ),
            ],
            options={
                "abstract": False,
                "base_manager_name": "objects",
                "indexes": [
                    models.Index(fields=["tenant_id", "agent", "created_at", "id"], name="case_of_agent"),
                    models.Index(fields=["tenant_id", "run_id"], name="case_of_run"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("escalation_id__isnull", False), ("removed_at__isnull", True)),
                        fields=("escalation_id",),
                        name="one_case_per_question",
                    )
                ],
            },
        ),
    ]
