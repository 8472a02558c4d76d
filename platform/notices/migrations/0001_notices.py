"""Notices, and what the database puts down for them in the transaction of what they tell."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import db.models
import db.scope

_TELL = """
CREATE FUNCTION notices_tell() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO notices_happening (id, tenant_id, kind, escalation_id, at, look_at)
    VALUES (gen_random_uuid(), NEW.tenant_id, TG_ARGV[0], NEW.id, now(), now());
    RETURN NULL;
END $$;

CREATE TRIGGER notices_asked AFTER INSERT ON escalations_escalation FOR EACH ROW
    EXECUTE FUNCTION notices_tell('asked');
CREATE TRIGGER notices_asked_again AFTER UPDATE ON escalations_escalation FOR EACH ROW
    WHEN (OLD.status <> 'open' AND NEW.status = 'open') EXECUTE FUNCTION notices_tell('asked');
CREATE TRIGGER notices_assigned AFTER UPDATE ON escalations_escalation FOR EACH ROW
    WHEN (OLD.assignee_id IS DISTINCT FROM NEW.assignee_id AND NEW.assignee_id IS NOT NULL
          AND NEW.claimed_by_id IS DISTINCT FROM NEW.assignee_id AND NEW.status = 'open')
    EXECUTE FUNCTION notices_tell('assigned');
CREATE TRIGGER notices_escalated AFTER UPDATE ON escalations_escalation FOR EACH ROW
    WHEN (OLD.queue IS DISTINCT FROM NEW.queue AND NEW.status = 'open') EXECUTE FUNCTION notices_tell('escalated');
CREATE TRIGGER notices_reminded AFTER UPDATE ON escalations_escalation FOR EACH ROW
    WHEN (OLD.reminded_at IS DISTINCT FROM NEW.reminded_at AND NEW.status = 'open')
    EXECUTE FUNCTION notices_tell('reminded');
-- Decided for good: an answer that can be taken back has a time at which it takes effect, and its number until then.
CREATE TRIGGER notices_decided AFTER UPDATE ON escalations_escalation FOR EACH ROW
    WHEN ((NEW.status = 'decided' AND NEW.effective_at IS NOT NULL AND NEW.answer_seq IS NULL
           AND (OLD.status <> 'decided' OR OLD.effective_at IS NULL OR OLD.answer_seq IS NOT NULL))
          OR (NEW.status = 'expired' AND OLD.status <> 'expired'))
    EXECUTE FUNCTION notices_tell('decided');
"""

_SILENT = """
DROP TRIGGER notices_decided ON escalations_escalation;
DROP TRIGGER notices_reminded ON escalations_escalation;
DROP TRIGGER notices_escalated ON escalations_escalation;
DROP TRIGGER notices_assigned ON escalations_escalation;
DROP TRIGGER notices_asked_again ON escalations_escalation;
DROP TRIGGER notices_asked ON escalations_escalation;
DROP FUNCTION notices_tell();
"""


class Migration(migrations.Migration):
    initial = True

    dependencies = [("escalations", "0009_reminded"), ("tenants", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="Happening",
            fields=[
                ("tenant_id", models.UUIDField(default=db.scope.current_tenant_id, editable=False)),
                ("id", models.UUIDField(default=db.models.new_id, editable=False, primary_key=True, serialize=False)),
                ("kind", models.CharField(max_length=10)),
                ("escalation_id", models.UUIDField()),
                ("at", models.DateTimeField()),
                ("look_at", models.DateTimeField()),
            ],
            options={
                "abstract": False,
                "base_manager_name": "objects",
                "indexes": [models.Index(fields=["look_at"], name="happening_look")],
            },
        ),
        migrations.CreateModel(
            name="Letter",
            fields=[
                ("tenant_id", models.UUIDField(default=db.scope.current_tenant_id, editable=False)),
                ("id", models.UUIDField(default=db.models.new_id, editable=False, primary_key=True, serialize=False)),
                ("status", models.CharField(default="pending", max_length=10)),
                ("attempts", models.IntegerField(default=0)),
                ("created_at", models.DateTimeField()),
                ("next_at", models.DateTimeField(null=True)),
                ("sent_at", models.DateTimeField(null=True)),
                ("error", models.CharField(max_length=100, null=True)),
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
            },
        ),
        migrations.CreateModel(
            name="Notice",
            fields=[
                ("tenant_id", models.UUIDField(default=db.scope.current_tenant_id, editable=False)),
                ("id", models.UUIDField(default=db.models.new_id, editable=False, primary_key=True, serialize=False)),
                ("happening_id", models.UUIDField()),
                ("kind", models.CharField(max_length=10)),
                ("escalation_id", models.UUIDField()),
                ("at", models.DateTimeField()),
                ("send_at", models.DateTimeField()),
                (
                    "letter",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="notices",
                        to="notices.letter",
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
            },
        ),
        migrations.CreateModel(
            name="Preference",
            fields=[
                ("tenant_id", models.UUIDField(default=db.scope.current_tenant_id, editable=False)),
                ("id", models.UUIDField(default=db.models.new_id, editable=False, primary_key=True, serialize=False)),
                ("mode", models.CharField(default="at_once", max_length=10)),
                ("hour", models.SmallIntegerField(default=8)),
                ("time_zone", models.CharField(default="UTC", max_length=64)),
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
            },
        ),
        migrations.AddIndex(
            model_name="letter",
            index=models.Index(condition=models.Q(("next_at__isnull", False)), fields=["next_at"], name="letter_due"),
        ),
        migrations.AddIndex(
            model_name="letter",
            index=models.Index(fields=["tenant_id", "created_at"], name="letter_of_tenant"),
        ),
        migrations.AddIndex(
            model_name="notice",
            index=models.Index(condition=models.Q(("letter__isnull", True)), fields=["send_at"], name="notice_due"),
        ),
        migrations.AddConstraint(
            model_name="notice",
            constraint=models.UniqueConstraint(fields=("happening_id", "user"), name="told_once_each"),
        ),
        migrations.AddConstraint(
            model_name="preference",
            constraint=models.UniqueConstraint(fields=("tenant_id", "user"), name="one_preference_each"),
        ),
        migrations.RunSQL(_TELL, _SILENT),
    ]
