"""What becomes of a question while it waits: whose it is, how urgent, until when; answers that can be taken back."""

import django.contrib.postgres.fields
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import db.models
import db.scope


class Migration(migrations.Migration):
    dependencies = [
        ("escalations", "0004_excluded"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField("escalation", "risk", models.SmallIntegerField(db_default=0)),
        migrations.AddField("escalation", "urgency", models.BigIntegerField(db_default=0)),
        migrations.AddField("escalation", "assignee_id", models.UUIDField(null=True)),
        migrations.AddField("escalation", "claimed_by_id", models.UUIDField(null=True)),
        migrations.AddField("escalation", "claimed_at", models.DateTimeField(null=True)),
        migrations.AddField("escalation", "snoozed_until", models.DateTimeField(null=True)),
        migrations.AddField(
            "escalation",
            "been_in",
            django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=63), null=True, size=None),
        ),
        migrations.AddField("escalation", "overdue_at", models.DateTimeField(null=True)),
        migrations.AddField("escalation", "effective_at", models.DateTimeField(null=True)),
        migrations.AddField("escalation", "answer_seq", models.IntegerField(null=True)),
        migrations.AddField("escalation", "look_at", models.DateTimeField(null=True)),
        migrations.AddField("queue", "undo_s", models.IntegerField(db_default=0, default=0)),
        migrations.CreateModel(
            name="Opened",
            fields=[
                ("tenant_id", models.UUIDField(default=db.scope.current_tenant_id, editable=False)),
                ("id", models.UUIDField(default=db.models.new_id, editable=False, primary_key=True, serialize=False)),
                ("at", models.DateTimeField(auto_now_add=True)),
                (
                    "escalation",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="openings",
                        to="escalations.escalation",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to=settings.AUTH_USER_MODEL),
                ),
            ],
            options={
                "abstract": False,
                "base_manager_name": "objects",
                "constraints": [
                    models.UniqueConstraint(fields=("escalation", "user"), name="opened_once_each"),
                ],
            },
        ),
        migrations.CreateModel(
            name="Delegation",
            fields=[
                ("tenant_id", models.UUIDField(default=db.scope.current_tenant_id, editable=False)),
                ("id", models.UUIDField(default=db.models.new_id, editable=False, primary_key=True, serialize=False)),
                ("starts_at", models.DateTimeField()),
                ("ends_at", models.DateTimeField()),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "delegate",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
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
                "indexes": [
                    models.Index(fields=["tenant_id", "delegate", "ends_at"], name="delegation_now"),
                ],
            },
        ),
    ]
