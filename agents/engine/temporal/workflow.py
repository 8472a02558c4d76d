"""The workflow of a run: who does what next, and when. Deterministic: what it does is what its history says.

It decides nothing about the run itself. A worker takes the run up and reports where it stands; each step is one
activity on that worker's own queue, where the run is in memory; when the worker is gone, another one takes it up. What
is still open when a run waits is a signal or a durable timer.

A change of what this module does with an old history stops runs in flight: tests replay recorded ones
(`tests/agents/engine/temporal/histories`), and `workflow.patched` is the way to change it.
"""

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError
from temporalio.exceptions import TimeoutError as TimedOut

from agents.engine.temporal.messages import (
    ENDED,
    HELD,
    LOOK,
    LOST,
    MODEL,
    PACE,
    PARKED,
    STEP,
    TAKE_UP,
    TOOLS,
    WAKE,
    WORKFLOW,
    Standing,
    take_up_queue,
)

#: How long a worker has to begin a step of a run it holds, and to give a sign of life meanwhile. When it is gone, its
#: lease runs out and the sweep of another one wakes the workflow, before or after.
BEGIN_WITHIN = timedelta(seconds=60)
SIGN_OF_LIFE = timedelta(seconds=60)

#: How long taking a run up may last, and the longest pause between attempts while the database is away.
TAKE_UP_WITHIN = timedelta(seconds=10)
AGAIN_WITHIN = timedelta(seconds=15)

#: No step lasts that long: model and tools have limits of their own, which end it before.
STEP_WITHIN = timedelta(hours=12)

#: How long a permit may take to come, until a new one is asked for; longer than any queue of model calls should be.
PACE_WITHIN = timedelta(days=7)

#: The change since which a run that waits for a permit can be woken.
WOKEN_IN_LINE = "woken-in-line"

#: The change since which a wake that comes in the step before the line is not forgotten in it.
WOKEN_BEFORE_LINE = "woken-before-line"

#: Kinds of standing of a run that some worker has in its hands.
IN_HANDS = frozenset({MODEL, TOOLS, HELD})

#: Events after which the workflow goes on as a new one, far below the server's limits (51,200 events, 50 MB).
EVENTS = 2000


@workflow.defn(name=WORKFLOW)
class RunWorkflow:
    """One run."""

    def __init__(self) -> None:
        self._woken = False

    @workflow.signal(name=WAKE)
    def wake(self) -> None:
        """Something happened to the run: look at it again."""
        self._woken = True

    @workflow.run
    async def drive(self, run_id: str, known: Standing | None = None) -> str | None:
        """Return the run's last status. known: where it stood when the workflow before this one went on as this one."""
        lost = 0
        at = known or await self._take_up(run_id, lost, calls=True)
        while at.kind != ENDED:
            if at.kind in IN_HANDS:
                if self._is_long() and not self._woken:
                    workflow.continue_as_new(args=[run_id, at])
                # Of one that is held the row alone was asked, and only its worker knows whether a call needs a permit.
                at = await self._step(run_id, replace(at, seq=LOOK) if at.kind == HELD else at)
            else:
                if at.kind == PARKED:
                    await self._rest(at.pause_s)
                lost = at.epoch or lost
                at = await self._take_up(run_id, lost, calls=at.calls)
        return at.status

    def _is_long(self) -> bool:
        info = workflow.info()
        return info.get_current_history_length() > EVENTS or info.is_continue_as_new_suggested()

    async def _take_up(self, run_id: str, lost: int, *, calls: bool) -> Standing:
        self._woken = False  # whatever happened until now, the activity sees
        taken: Standing = await workflow.execute_activity(
            TAKE_UP,
            args=[run_id, lost],
            result_type=Standing,
            task_queue=take_up_queue(workflow.info().task_queue, calls=calls),
            start_to_close_timeout=TAKE_UP_WITHIN,
            retry_policy=RetryPolicy(maximum_interval=AGAIN_WITHIN),
        )
        return taken

    async def _step(self, run_id: str, at: Standing) -> Standing:
        if at.pace is not None and (elsewhere := await self._pace(run_id, at)) is not None:
            return elsewhere
        step = workflow.start_activity(
            STEP,
            args=[run_id, at.epoch, at.seq],
            result_type=Standing,
            task_queue=at.queue,
            schedule_to_start_timeout=BEGIN_WITHIN,
            heartbeat_timeout=SIGN_OF_LIFE,
            start_to_close_timeout=STEP_WITHIN,
            retry_policy=RetryPolicy(maximum_attempts=1),
        )
        woken = False
        while True:
            await self._ends_or_wakes(step)
            if step.done():
                then = _result(step)
                if woken and then.pace is not None and workflow.patched(WOKEN_BEFORE_LINE):
                    self._woken = True  # perhaps the step had been committed before: the next call is looked at, too
                return then
            woken = True
            # Woken in the middle of a step: perhaps its worker is gone or has given the run back, and the row knows.
            seen = await self._take_up(run_id, 0, calls=False)
            if not _is_in_the_same_hands(seen, at) and (seen.kind in IN_HANDS or not step.done()):
                step.add_done_callback(_forget)
                step.cancel()
                return seen

    async def _pace(self, run_id: str, at: Standing) -> Standing | None:
        """Wait for a permit. Returns None with it, or where the run stands when it was moved on meanwhile."""
        permit = _permit(at)
        while True:
            await self._ends_or_wakes(permit)
            if permit.done() or not workflow.patched(WOKEN_IN_LINE):
                if await _came(permit):
                    return None
                permit = _permit(at)
                continue
            seen = await self._take_up(run_id, 0, calls=False)
            if _is_in_the_same_hands(seen, at):  # whose worker alone can say whether the call is still wanted
                seen = await self._step(run_id, replace(at, seq=LOOK, pace=None))
            if seen != at:
                permit.add_done_callback(_forget)
                permit.cancel()
                return seen

    async def _ends_or_wakes(self, activity: "workflow.ActivityHandle[Any]") -> None:
        """Wait until an activity has ended, or until woken."""
        await workflow.wait_condition(lambda: activity.done() or self._woken)

    async def _rest(self, pause_s: float | None) -> None:
        """Wait until woken, or until the run is due by itself."""
        timeout = None if pause_s is None else timedelta(seconds=pause_s)
        with suppress(asyncio.TimeoutError):
            await workflow.wait_condition(lambda: self._woken, timeout=timeout)


def _permit(at: Standing) -> "workflow.ActivityHandle[None]":
    return workflow.start_activity(
        PACE, task_queue=at.pace, start_to_close_timeout=SIGN_OF_LIFE, schedule_to_close_timeout=PACE_WITHIN
    )


async def _came(permit: "workflow.ActivityHandle[None]") -> bool:
    """Wait for a permit; returns False when it did not come in its time."""
    try:
        await permit
    except ActivityError as error:
        if not isinstance(error.cause, TimedOut):
            raise
        return False
    return True


def _is_in_the_same_hands(seen: Standing, before: Standing) -> bool:
    return seen.epoch == before.epoch and seen.kind in IN_HANDS


def _forget(activity: "asyncio.Task[Any]") -> None:
    """Take note of how an activity ended that nobody waits for any more."""
    if not activity.cancelled():
        activity.exception()


def _result(step: "workflow.ActivityHandle[Standing]") -> Standing:
    try:
        return step.result()
    except ActivityError:  # the worker is gone, or cannot be reached: the run's row knows more
        return Standing(LOST)
