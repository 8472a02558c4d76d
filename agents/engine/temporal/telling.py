"""Tell Temporal that a run can go on: its workflow is started unless it is open, and woken."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from django.conf import settings
from temporalio.api.workflowservice.v1 import GetSystemInfoRequest
from temporalio.client import Client
from temporalio.common import Priority, WorkflowIDConflictPolicy
from temporalio.service import RPCError, RPCStatusCode

from agents.engine.temporal.messages import WAKE, WORKFLOW, workflow_id

#: How long one message may take, its repetitions included.
WITHIN: Final = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Told:
    """A run that can go on. wakes: whether it may be waiting, so that its workflow must be woken, too."""

    run_id: UUID
    tenant_id: UUID
    priority: int = 0
    wakes: bool = False


async def tell(client: Client, told: Told) -> None:
    """Start the run's workflow unless it is open, and wake it. The tenth time is harmless. Raises `RPCError`."""
    await client.start_workflow(
        WORKFLOW,
        str(told.run_id),
        id=workflow_id(told.run_id),
        task_queue=settings.TEMPORAL.task_queue,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        start_signal=WAKE if told.wakes else None,
        priority=Priority(priority_key=_priority(told.priority), fairness_key=str(told.tenant_id)),
        rpc_timeout=WITHIN,
    )


def _priority(of_run: int) -> int:
    """Return Temporal's priority, 1 (first) to 5, of a run's, 100 (first) to -100: the middle is for 0 alone."""
    return 3 - (of_run > 0) - (of_run > 50) + (of_run < 0) + (of_run < -50)


async def check(client: Client) -> None:
    """Raise `RPCError` when Temporal does not answer."""
    await client.workflow_service.get_system_info(GetSystemInfoRequest(), timeout=WITHIN)


async def is_open(client: Client, run_id: UUID) -> bool:
    """Say whether anybody will ask for the run's next step. Raises `RPCError` when Temporal does not say."""
    try:
        found = await client.get_workflow_handle(workflow_id(run_id)).describe(rpc_timeout=WITHIN)
    except RPCError as error:
        if error.status == RPCStatusCode.NOT_FOUND:
            return False
        raise
    return found.close_time is None
