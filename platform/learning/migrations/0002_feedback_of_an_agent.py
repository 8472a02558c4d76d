"""Feedback by its agent and time: the page that lists it, newest first."""

from django.db import migrations, models

from db.indexes import BuildIndex


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("learning", "0001_cases_and_feedback")]
    operations = [
        BuildIndex(
            "feedback", models.Index(fields=["tenant_id", "agent_id", "created_at", "id"], name="feedback_of_agent")
        ),
    ]
