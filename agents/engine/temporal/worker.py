"""One worker process: Temporal's pollers, the hands, and what they see to themselves (leases, sweep, the stop)."""

import asyncio
import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any, Final, TypeVar
from uuid import UUID

import psycopg
from django.conf import settings
from django.db import connection
from psycopg_pool import PoolTimeout
from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.worker import CustomSlotSupplier, FixedSizeSlotSupplier, Worker, WorkerTuner

from agents.core.model import ModelAnswer
from agents.engine import chores
from agents.engine.driver import HEARTBEAT_S, POLL_S, STOP_S, TOOLS
from agents.engine.executor import Means
from agents.engine.temporal import rows, telling
from agents.engine.temporal.activities import Activities, pace
from agents.engine.temporal.connection import connect
from agents.engine.temporal.hands import RUNS, Hands
from agents.engine.temporal.messages import take_up_queue
from agents.engine.temporal.presence import Presence
from agents.engine.temporal.slots import Room
from agents.engine.temporal.telling import Told
from agents.engine.temporal.workflow import RunWorkflow
from agents.engine.toolbox import perform_call
from agents.tools.caching import cache
from metrics.counters import flush
from quotas.provider import Gate

T = TypeVar("T")

log = logging.getLogger(__name__)

#: Runs taken up at once, on each of the two queues; what is short, but for the wait for the supplier.
TAKERS: Final = 8

#: Seconds between signs of life of steps in progress, and after which Temporal is asked whether a run was forgotten.
SIGN_S: Final = 10.0
FORGOTTEN_S: Final = 60.0

#: Seconds between attempts to reach a Temporal that is away at the start.
CONNECT_S: Final = 2.0

#: How long a workflow waits for the process that has it in its cache.
STICKY: Final = timedelta(seconds=5)

#: Seconds more to answer what Temporal has handed out already.
LAST_S: Final = 1.0

#: Calls of Temporal under way at once, of those that tell of many runs or ask about them.
CALLS: Final = 20


class TemporalWorker:
    """Drives runs for Temporal until told to stop. `serve` runs it, in a loop of its own."""

    def __init__(self, answer: Callable[..., ModelAnswer], *, gate: Gate | None = None) -> None:
        self._stopping = threading.Event()
        self._tools = ThreadPoolExecutor(TOOLS, thread_name_prefix="tool")
        self._steps = ThreadPoolExecutor(RUNS + TAKERS, thread_name_prefix="step")
        self._takers = ThreadPoolExecutor(2 * TAKERS, thread_name_prefix="take-up")
        self._closing = ThreadPoolExecutor(3, thread_name_prefix="closing")  # what the stop does waits for nothing else
        base = settings.TEMPORAL.task_queue
        name = f"{socket.gethostname()[:40]}-{os.getpid()}-{secrets.token_hex(3)}"
        means = Means(answer, perform_call, self._tools, self._stopping.is_set, gate)
        self._rate = settings.TEMPORAL.model_rate
        self._pace = f"{base}-pace" if self._rate else None
        self.hands = Hands(f"{base}-{name}"[:100], means, pace=self._pace)
        self._presence = Presence()

    async def serve(self, told_to_stop: asyncio.Event) -> None:
        """Serve until told to stop; then everything that can is given back within 10 s.

        Raises what Temporal says when it does not let this worker work: a namespace that is not there, a key refused.
        """
        client = await self._connected(told_to_stop)
        if client is None:
            return
        takers, others = self._pollers(client)
        running = [asyncio.ensure_future(worker.run()) for worker in (*takers, *others)]
        keeping = [asyncio.ensure_future(each) for each in self._kept(client)]
        log.info("driving runs", extra={"queue": self.hands.queue, "temporal": settings.TEMPORAL.address})
        stop = asyncio.ensure_future(told_to_stop.wait())
        await asyncio.wait([stop, *running, *keeping], return_when=asyncio.FIRST_COMPLETED)
        self._stopping.set()
        until = time.monotonic() + STOP_S
        await _at_most(asyncio.gather(*(taker.shutdown() for taker in takers)), until)
        await self._wind_down(client, until)
        # A task that was handed to a poller which is gone waits for its time-out.
        await _at_most(asyncio.gather(*(other.shutdown() for other in others)), until + LAST_S)
        for task in keeping:
            task.cancel()
        with suppress(psycopg.Error):  # then what was counted last is lost
            await _at_most(_in_thread(flush, self._closing), time.monotonic() + LAST_S)
        await _at_most(_in_thread(self._presence.leave, self._closing), time.monotonic() + LAST_S)
        for broken in (task for task in running if task.done()):
            broken.result()

    def close(self) -> None:
        """End the threads, for a process that goes on; it waits for the steps that had not ended."""
        for threads in (self._takers, self._steps, self._tools, self._closing):
            threads.shutdown()

    # --- starting -------------------------------------------------------------------------------------------------

    async def _connected(self, told_to_stop: asyncio.Event) -> Client | None:
        """Connect, however long Temporal is away; None when told to stop before."""
        while not told_to_stop.is_set():
            try:
                return await connect(settings.TEMPORAL)
            except RuntimeError as error:
                log.warning("Temporal at %s does not answer; trying again: %s", settings.TEMPORAL.address, error)
            with suppress(TimeoutError):
                await asyncio.wait_for(told_to_stop.wait(), CONNECT_S)
        return None

    def _pollers(self, client: Client) -> tuple[list[Worker], list[Worker]]:
        """Return what polls for runs to take up, and what polls for all the rest.

        With as few polls as can be on the queues that all workers share: each may swallow a task when its machine is
        stopped, which is handed out again after its time-out only.
        """
        base = settings.TEMPORAL.task_queue
        does = Activities(self.hands)
        takers = [
            Worker(
                client,
                task_queue=take_up_queue(base, calls=calls),
                activities=[does.take_up],
                activity_executor=self._takers,
                tuner=_tuner(Room(TAKERS, self._has_room)),
                max_concurrent_activity_task_polls=1,
                disable_eager_activity_execution=True,
            )
            for calls in (True, False)
        ]
        workflows = Worker(
            client,
            task_queue=base,
            workflows=[RunWorkflow],
            max_concurrent_workflow_task_polls=2,
            sticky_queue_schedule_to_start_timeout=STICKY,
        )
        steps = Worker(
            client,
            task_queue=self.hands.queue,
            activities=[does.step],
            activity_executor=self._steps,
            max_concurrent_activities=RUNS + TAKERS,
        )
        return takers, [workflows, steps, *self._pacing(client)]

    def _pacing(self, client: Client) -> list[Worker]:
        if self._pace is None or self._rate is None:
            return []
        calls, seconds = self._rate
        return [
            Worker(
                client,
                task_queue=self._pace,
                activities=[pace],
                max_task_queue_activities_per_second=calls / seconds,
            )
        ]

    def _has_room(self, reserved: int) -> bool:
        return len(self.hands) + reserved < RUNS and not self._stopping.is_set()

    # --- keeping --------------------------------------------------------------------------------------------------

    def _kept(self, client: Client) -> list[Coroutine[Any, Any, None]]:
        async def heartbeat() -> None:
            await _in_thread(self.hands.heartbeat)

        async def signs() -> None:
            await _in_thread(self.hands.give_signs)

        async def overtaken() -> None:
            await _tell_all(client, await _in_thread(self.hands.overtaken))

        async def forgotten() -> None:
            results = await _some_at_once(
                [partial(self._ask_about, client, run_id) for run_id in self.hands.forgotten(FORGOTTEN_S)]
            )
            for failure in results:
                if failure is not None:
                    raise failure

        async def presence() -> None:
            await _in_thread(self._presence.keep)

        async def totals() -> None:
            await _in_thread(flush)
            await _in_thread(cache.purge_if_due)

        beside_runs = chores.Chores()

        async def beside() -> None:
            beside_runs.see_to()

        return [
            _every(HEARTBEAT_S, heartbeat),
            _every(chores.EVERY_S, beside),
            _every(HEARTBEAT_S, presence),
            _every(HEARTBEAT_S, totals),
            _every(SIGN_S, signs),
            _every(POLL_S, partial(sweep, client)),
            _every(FORGOTTEN_S / 4, forgotten),
            _every(FORGOTTEN_S / 4, overtaken),
        ]

    async def _ask_about(self, client: Client, run_id: UUID) -> None:
        if not await telling.is_open(client, run_id):
            log.warning("nobody dispatches this run any more; it is let go", extra={"run": str(run_id)})
            self.hands.drop(run_id)

    # --- stopping -------------------------------------------------------------------------------------------------

    async def _wind_down(self, client: Client, until: float) -> None:
        """Let the steps in progress end, and give back the leases of those that do not in time."""
        given_back = self.hands.wind_down(self._steps)
        while len(self.hands) and time.monotonic() < until:
            await asyncio.sleep(0.05)
        if len(self.hands):
            await _at_most(_in_thread(self.hands.give_back, self._closing), until + LAST_S)
        # The workflows wait for this process.
        told = _tell_all(client, [Told(run.id, run.tenant_id, wakes=True) for run in given_back])
        await _at_most(told, until + LAST_S / 2)


def _tuner(slots: CustomSlotSupplier) -> WorkerTuner:
    one = FixedSizeSlotSupplier(1)
    return WorkerTuner.create_composite(
        workflow_supplier=one, activity_supplier=slots, local_activity_supplier=one, nexus_supplier=one
    )


async def sweep(client: Client) -> None:
    """Tell Temporal of what is due and was not claimed."""
    await telling.check(client)  # while it is away nothing counts as told
    told = await _tell_all(client, await _in_thread(rows.due))
    await _in_thread(partial(rows.in_line, [each.run_id for each in told]))


async def _tell_all(client: Client, due: list[Told]) -> list[Told]:
    """Tell Temporal of what is due; returns what it was told of. What fails is due again later."""
    results = await _some_at_once([partial(telling.tell, client, told) for told in due])
    failures = [result for result in results if result is not None]
    if failures:
        log.warning("Temporal was not told of %s runs that are due: %s", len(failures), failures[0])
    return [told for told, failure in zip(due, results, strict=True) if failure is None]


async def _some_at_once(calls: list[Callable[[], Coroutine[Any, Any, None]]]) -> list[BaseException | None]:
    """Make the calls, side by side; returns how each ended: None, or as it failed."""
    slots = asyncio.Semaphore(CALLS)

    async def make(call: Callable[[], Coroutine[Any, Any, None]]) -> None:
        async with slots:
            await call()

    return await asyncio.gather(*(make(call) for call in calls), return_exceptions=True)


async def _every(seconds: float, look: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Look again and again. What is away now is there another time; what else fails is told."""
    while True:
        try:
            await look()
        except (psycopg.OperationalError, PoolTimeout, RPCError) as error:
            log.warning("not seen to this time: %s", error)
        except Exception:
            log.exception("not seen to this time")
        await asyncio.sleep(seconds)


async def _at_most(what: Awaitable[Any], until: float) -> None:
    """Wait for something, but not longer; it goes on."""
    with suppress(TimeoutError):
        await asyncio.wait_for(asyncio.shield(what), max(0.0, until - time.monotonic()))


async def _in_thread(do: Callable[[], T], threads: ThreadPoolExecutor | None = None) -> T:
    """Do something that waits, for the database or for this loop. threads: by default those of what is kept."""

    def doing() -> T:
        try:
            return do()
        finally:
            connection.close()

    return await asyncio.get_running_loop().run_in_executor(threads, doing)
