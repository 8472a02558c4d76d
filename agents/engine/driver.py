"""Drive many runs in one process: threads, because the work is waiting on models and tools.

The main loop claims nothing itself. A notification (or the poll behind it) starts a thread that claims a run, drives it
and ends; when more are ready, that thread starts the next one first. The loop renews leases, sweeps what is due, and
watches for the stop. A waiting run holds nothing here.
"""

import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from uuid import UUID

import psycopg
from django.db import connection

from agents.core.decide import Command
from agents.engine import chores, claims, leases
from agents.engine.executor import Means, RunExecutor
from agents.engine.leases import Claimed, LostLease
from agents.engine.toolbox import perform_call
from agents.tools.caching import cache
from metrics.counters import count, flush
from quotas.provider import Gate, Place

log = logging.getLogger(__name__)

CHANNEL = "countersign_runs"

#: Seconds between polls for what no notification told of, between heartbeats, and for a graceful stop.
POLL_S = 5.0
HEARTBEAT_S = leases.LEASE.total_seconds() / 4
STOP_S = 7.0

#: Seconds to wait at the end for leases to be given back, and again for the counters to be handed in.
LAST_S = 1.0

#: Seconds between attempts to claim while the supplier takes no more calls, and to claim what needs none.
AGAIN_S = 0.25
WITHOUT_S = 1.0

#: Runs one process drives at once, and its threads for parallel tool calls.
RUNS = 256
TOOLS = 64


class Driver:
    """One process's driver. It outlives the tasks that lend it their time (`serve`)."""

    def __init__(
        self,
        answer: Callable[..., object],
        *,
        gate: Gate | None = None,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self.name = f"{socket.gethostname()}/{os.getpid()}"
        self._stopping = stopping
        self._lock = threading.Lock()  # guards the five below
        self._active: dict[UUID, Claimed] = {}
        self._told = 0  # how often something was said to be ready
        self._threads = 0
        self._saturated = False
        self._last_tenant = UUID(int=0)
        self._runs = ThreadPoolExecutor(RUNS, thread_name_prefix="run")
        self._tools = ThreadPoolExecutor(TOOLS, thread_name_prefix="tool")
        self._means = Means(answer, perform_call, self._tools, stopping, gate)  # type: ignore[arg-type]
        self._next_poll, self._next_heartbeat = 0.0, time.monotonic() + HEARTBEAT_S
        self._handing_in = threading.Thread()
        self._chores, self._next_chores = chores.Chores(), 0.0
        self._gate = gate
        self._full = False  # nobody may call the model now: a claim found no place
        self._next_try = self._next_without = 0.0
        if gate is not None:
            gate.freed = self._freed

    # --- the loop -----------------------------------------------------------------------------------------------

    def serve(self, listener: psycopg.Connection[tuple[object, ...]], *, seconds: float) -> None:
        """Drive runs for `seconds`, or until told to stop; then everything that can is given back within 10 s.

        listener: a connection of its own, in autocommit mode. Raises `psycopg.OperationalError` when it breaks.
        """
        until = time.monotonic() + seconds
        listener.execute(f"LISTEN {CHANNEL}")
        self._next_poll = 0.0
        while time.monotonic() < until and not self._stopping():
            self._keep()
            pause = max(0.0, min(self._next_poll, self._next_heartbeat, until) - time.monotonic())
            for _ in listener.notifies(timeout=min(pause, AGAIN_S if self._full else 0.5), stop_after=1):
                self.claim_soon(chain=False)
        if self._stopping():
            try:
                self._wind_down()
            finally:
                self._hand_in_the_last()

    def _keep(self) -> None:
        now = time.monotonic()
        if now >= self._next_poll:
            due = leases.sweep_and_next()
            self._next_poll = now + (POLL_S if due is None else min(POLL_S, max(0.05, due)))
            self.claim_soon()
        if now >= self._next_heartbeat:
            self._next_heartbeat = now + HEARTBEAT_S
            self._heartbeat()
            self._hand_in()
        if now >= self._next_chores:
            self._next_chores = now + chores.EVERY_S
            self._chores.see_to()
        if self._full and now >= self._next_try:
            self._full, self._next_try = False, now + AGAIN_S
            if now >= self._next_without:
                self._next_without = now + WITHOUT_S
                self.claim_soon(calling=False)
            self.claim_soon()

    def _freed(self) -> None:
        if self._full and not self._stopping():
            self._full = False
            self.claim_soon()

    def _heartbeat(self) -> None:
        with self._lock:
            mine = list(self._active.values())
        if mine:
            kept = leases.heartbeat(mine)
            with self._lock:
                lost = {run.id for run in mine if run.id not in kept and run.id in self._active}
            if lost:
                log.warning("leases lost", extra={"runs": [str(run) for run in lost]})

    def _hand_in(self) -> None:
        """Add what was counted to the totals, in a thread of its own: whatever becomes of it, leases are renewed."""
        if not self._handing_in.is_alive():
            self._handing_in = threading.Thread(target=_flush, name="totals", daemon=True)
            self._handing_in.start()

    def _hand_in_the_last(self) -> None:
        """Hand in what was counted up to now: not before the one under way is done, as that one does not know of it."""
        until = time.monotonic() + LAST_S
        self._chores.end(LAST_S)
        if self._handing_in.is_alive():
            self._handing_in.join(LAST_S)
        if not self._handing_in.is_alive():
            self._hand_in()
            self._handing_in.join(max(0.0, until - time.monotonic()))
        if self._handing_in.is_alive():
            log.warning("stopped before the counters were handed in")

    def _wind_down(self) -> None:
        """Let the steps in progress end, and give back the leases of those that do not in time.

        In a thread of its own: a database that is away, or does not answer, keeps no worker from ending.
        """
        until = time.monotonic() + STOP_S
        while time.monotonic() < until:
            with self._lock:
                if not self._active:
                    return
            time.sleep(0.05)
        with self._lock:
            left = list(self._active.values())
        if left:
            giving_back = threading.Thread(target=leases.release_at_last, args=[left], name="giving-back", daemon=True)
            giving_back.start()
            giving_back.join(LAST_S)
            if giving_back.is_alive():
                log.warning("stopped before the leases were given back; they run out")
            log.warning("stopped with steps unfinished", extra={"runs": [str(run.id) for run in left]})

    def is_busy(self) -> bool:
        """Say whether a run is still in the hands of a thread here."""
        with self._lock:
            return self._threads > 0

    def close(self) -> None:
        """End the threads; for tests and embedding, a process that ends needs no more than to end."""
        self._runs.shutdown()
        self._tools.shutdown()

    # --- runs -----------------------------------------------------------------------------------------------------

    def claim_soon(self, *, chain: bool = True, calling: bool = True) -> None:
        """Start a thread that claims a run, unless all are busy; then the next to come free claims again.

        chain: whether it starts another one when more runs are ready; not needed where each run has its notification.
        calling: whether it claims any run, and so needs a place for a model call; otherwise one whose next step is
        another as far as one can see.
        """
        with self._lock:
            self._told += 1
            if self._threads >= RUNS:
                self._saturated = True
                return
            self._threads += 1
        try:
            self._runs.submit(self._claim_and_drive, chain, calling)
        except RuntimeError:  # no thread to be had
            with self._lock:
                self._threads -= 1
            raise

    def _claim_and_drive(self, chain: bool, calling: bool) -> None:
        try:
            self._drive_next(chain, calling)
        except LostLease as lost:
            log.warning("lease lost", extra={"run": str(lost)})
            if not self._stopping():  # then it was given back
                count("leases_lost")
                self.claim_soon()  # whoever has the run may have come for another one
        except psycopg.OperationalError as error:
            log.warning("database unavailable; the lease will run out and the run goes on: %s", error)
        except Exception:
            log.exception("a run's step failed; it is tried again when its lease has run out")
        finally:
            connection.close()
            with self._lock:
                self._threads -= 1
                again, self._saturated = self._saturated, False
            if again and not self._stopping():
                self.claim_soon()

    def _drive_next(self, chain: bool, calling: bool) -> None:
        if self._stopping():
            return
        with ExitStack() as leaving:
            place = None
            if self._gate is not None and calling:
                place = self._gate.enter()
                if place is None:
                    self._full = True
                    return
                leaving.callback(place.leave)
            begun = self._claimed(leaving, place, chain, calling)
            if begun is not None:
                self._drive(*begun)

    def _claimed(
        self, leaving: ExitStack, place: Place | None, chain: bool, calling: bool
    ) -> tuple[RunExecutor, Command] | None:
        """Claim a run and begin with it; returns what drives it, and what to do first, or None when none is ready.

        A claim sees what was ready when its statement began. Whoever is told of a later run may take the one that this
        claim was for, before it comes to it; then that later run is nobody's, although each has had its claim. So one
        that finds nothing looks again if something was said to be ready meanwhile, and the driver goes on.
        """
        told = None
        while told != self._told and not self._stopping():
            told = self._told
            with claims.claim(self.name, after=self._last_tenant, calling=calling) as claimed:
                if claimed is None:
                    continue
                count("claims")
                step, run = claimed
                self._last_tenant = run.tenant_id
                if chain and run.more:
                    self.claim_soon(calling=calling)
                executor = RunExecutor(run, self._means, place)
                leaving.callback(executor.leave)
                command = executor.begin(step)
            return executor, command
        return None

    def _drive(self, executor: RunExecutor, command: Command) -> None:
        run = executor.run
        with self._lock:
            self._active[run.id] = run
        try:
            executor.carry_on(command)
            self._wake_in_time(executor)
        finally:
            with self._lock:
                if self._active.get(run.id) is run:  # another thread here may have taken it up since this one lost it
                    del self._active[run.id]

    def _wake_in_time(self, executor: RunExecutor) -> None:
        """Look again when the run just parked is due, if that is before the next poll."""
        if executor.until is not None:
            pause = (executor.until - executor.run.now()).total_seconds()
            self._next_poll = min(self._next_poll, time.monotonic() + max(0.0, pause))


def _flush() -> None:
    """Hand in the counters; nothing is forgotten when the database does not take them, and another time is soon.

    Sees to the results of tools that have expired, too: whoever's they are, somebody's driver is there.
    """
    try:
        flush()
    except psycopg.OperationalError as error:
        log.warning("counters are not handed in this time: %s", error)
    except Exception:
        log.exception("counters are not handed in this time")
    cache.purge_if_due()
