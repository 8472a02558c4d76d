"""Histories of workflows as Temporal keeps them."""

import asyncio
from typing import Any
from uuid import UUID

from django.conf import settings
from temporalio.client import WorkflowHistory

from agents.engine.temporal.connection import connect
from agents.engine.temporal.messages import workflow_id

Json = Any


def chain(run_id: UUID) -> list[WorkflowHistory]:
    """Return the histories of a run's workflow and of those that it went on as, the first one first."""

    async def fetch() -> list[WorkflowHistory]:
        client = await connect(settings.TEMPORAL)
        found: list[WorkflowHistory] = []
        async for each in client.list_workflows(f"WorkflowId = '{workflow_id(run_id)}'"):
            handle = client.get_workflow_handle(each.id, run_id=each.run_id)
            found.append(await handle.fetch_history())
        return sorted(found, key=lambda history: history.events[0].event_time.ToNanoseconds())

    return asyncio.run(fetch())


def held(history: WorkflowHistory) -> str:
    """Return all that a history holds as text; payloads are base64 in its JSON, but not here."""
    return b"".join(event.SerializeToString() for event in history.events).decode(errors="replace")


def bytes_of(history: WorkflowHistory) -> int:
    """Return how large a history is, as the server counts it."""
    return sum(event.ByteSize() for event in history.events)
