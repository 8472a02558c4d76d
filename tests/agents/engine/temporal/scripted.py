"""Workflows whose activities a test plays: what a real worker says at just the right moment by chance alone."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

from temporalio import activity
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import UnsandboxedWorkflowRunner, Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from agents.engine.temporal.activities import pace
from agents.engine.temporal.messages import (
    ENDED,
    HELD,
    LOOK,
    MODEL,
    STEP,
    TAKE_UP,
    TOOLS,
    WAKE,
    WORKFLOW,
    Standing,
    take_up_queue,
    workflow_id,
)
from agents.engine.temporal.workflow import RunWorkflow

#: Seconds in which a workflow does what it does by itself.
SOON_S = 3.0

Handle = WorkflowHandle[Any, str | None]


class Stage:
    """One run's workflow, and the worker that has it. taken, asked: how often it was taken up, and each step's seq."""

    def __init__(self, client: Client, run_id: UUID) -> None:
        self.client = client
        self.run_id = run_id
        self.base = f"played-{run_id}"
        self.taken = 0
        self.asked: list[int] = []

    def at(self, kind: str, seq: int) -> Standing:
        """Return where the run stands, in the hands of the one worker."""
        return Standing(kind, f"{self.base}-one", 1, seq, pace=f"{self.base}-pace" if kind == MODEL else None)

    @asynccontextmanager
    async def play(
        self, take_up: Callable[[int], Awaitable[Standing]], step: Callable[[int], Awaitable[Standing]]
    ) -> AsyncIterator[Handle]:
        """Begin the workflow. take_up: answers the how-manieth attempt; step: answers what is asked of this seq."""

        @activity.defn(name=TAKE_UP)
        async def taken(run_id: str, lost: int) -> Standing:
            self.taken += 1
            return await take_up(self.taken)

        @activity.defn(name=STEP)
        async def asked(run_id: str, epoch: int, seq: int) -> Standing:
            self.asked.append(seq)
            return await step(seq)

        takers = [
            Worker(self.client, task_queue=take_up_queue(self.base, calls=calls), activities=[taken])
            for calls in (True, False)
        ]
        workflows = Worker(
            self.client,
            task_queue=self.base,
            workflows=[RunWorkflow],
            workflow_runner=self.runner,
            workflow_failure_exception_types=[Exception],
        )
        async with (
            workflows,
            takers[0],
            takers[1],
            Worker(
                self.client,
                task_queue=f"{self.base}-one",
                activities=[asked],
                graceful_shutdown_timeout=timedelta(0),
            ),
        ):
            yield await self.client.start_workflow(
                WORKFLOW, str(self.run_id), id=workflow_id(self.run_id), task_queue=self.base, result_type=str
            )

    #: Tests that change a constant of the workflow's module play outside of the sandbox, which has a copy of its own.
    runner: SandboxedWorkflowRunner | UnsandboxedWorkflowRunner = SandboxedWorkflowRunner()

    def permits(self) -> Worker:
        """Return who gives permits while it runs."""
        return Worker(self.client, task_queue=f"{self.base}-pace", activities=[pace])

    async def ended(self, handle: Handle) -> str | None:
        """Return what comes of the run by itself or, when nothing does, once it has its permit."""
        try:
            return await asyncio.wait_for(asyncio.shield(handle.result()), SOON_S)
        except TimeoutError:
            async with self.permits():
                return await asyncio.wait_for(handle.result(), 10 * SOON_S)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait for something that must come."""
        async with asyncio.timeout(10 * SOON_S):
            while not holds():
                await asyncio.sleep(0.02)


async def woken_before_its_line(stage: Stage) -> str | None:
    """It is cancelled when its step has committed the next call's intent, and before Temporal hears of that."""
    go = asyncio.Event()

    async def take_up(attempt: int) -> Standing:
        return stage.at(TOOLS, 1) if attempt == 1 else stage.at(HELD, 2)

    async def step(seq: int) -> Standing:
        if seq == 1:
            await go.wait()
            return stage.at(MODEL, 2)
        return Standing(ENDED, status="cancelled" if seq == LOOK else "completed")

    async with stage.play(take_up, step) as handle:
        await stage.until(lambda: stage.asked == [1])
        await handle.signal(WAKE)
        await stage.until(lambda: stage.taken == 2)
        await asyncio.sleep(0.3)
        go.set()
        return await stage.ended(handle)


async def held_before_its_line(stage: Stage) -> str | None:
    """A workflow that was begun anew finds it in the hands of a worker, where its next call waits for a permit."""

    async def take_up(attempt: int) -> Standing:
        return stage.at(HELD, 2)

    async def step(seq: int) -> Standing:
        return stage.at(MODEL, 2) if seq == LOOK else Standing(ENDED, status="completed")

    async with stage.play(take_up, step) as handle:
        return await stage.ended(handle)
