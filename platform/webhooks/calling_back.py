"""Calls back whoever asks for a run that has ended: its trigger fired before they asked."""

from typing import Any

from django.db.models.functions import Now

from agents.models import Run
from webhooks.models import Delivery


def put_down(sender: Any, run: Run, **_: Any) -> None:
    """Put down one more delivery of an ended run's end to its `callback_url`, in the caller's transaction and scope."""
    Delivery.objects.create(
        url=run.callback_url,
        type=f"run.{run.status}",
        run_id=run.id,
        status="pending",
        attempts=0,
        created_at=Now(),
        next_at=Now(),
    )
