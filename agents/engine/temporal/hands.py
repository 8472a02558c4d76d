"""The runs that this process has in its hands: claimed here, and driven here step by step, each when it is asked for.

In between, a run waits in memory for Temporal to ask for the next step; its lease is renewed meanwhile. The next step's
intent is in the journal already, and this process knows whether its effect was begun: that is why a run stays with one
process until it is parked, and why another one takes it up by a new claim alone.
"""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

import psycopg
from django.db import connection

from agents.core.decide import CallModel, Command, Finished, Park, Perform
from agents.engine import claims, leases
from agents.engine.executor import Means, RunExecutor, Stopped
from agents.engine.leases import Claimed, LostLease
from agents.engine.temporal import rows
from agents.engine.temporal.messages import ENDED, LOOK, LOST, MODEL, PARKED, RELEASED, TOOLS, Standing
from agents.engine.temporal.telling import Told
from quotas.provider import Place

log = logging.getLogger(__name__)

#: Runs one process has in its hands at most.
RUNS: Final = 256

#: Seconds to wait for the supplier to take another call before the run is left to others.
PLACE_WITHIN_S: Final = 4.0


class NoPlace(Exception):
    """The supplier takes no more calls for now."""


@dataclass(slots=True)
class _Held:
    """One run. lock: held by whoever performs a step of it. asked_at: when Temporal last asked for one, monotonic.

    signs: what tells Temporal that an activity on it is alive.
    """

    executor: RunExecutor
    command: Command | Stopped
    lock: threading.Lock = field(default_factory=threading.Lock)
    asked_at: float = field(default_factory=time.monotonic)
    signs: list[Callable[[], None]] = field(default_factory=list)
    gone: bool = False


#: What is done when a step is asked for.
Doing = Callable[[RunExecutor, CallModel | Perform], Command | Stopped]


class Hands:
    """What one process holds. Thread-safe.

    queue: the task queue that this process alone serves, and its name in the runs' rows. pace: the queue whose rate
    model calls keep to, or None.
    """

    def __init__(self, queue: str, means: Means, *, pace: str | None = None) -> None:
        self.queue = queue
        self._means = means
        self._pace = pace
        self._lock = threading.Lock()  # guards the next one
        self._held: dict[UUID, _Held] = {}

    def __len__(self) -> int:
        return len(self._held)

    # --- what Temporal asks for -----------------------------------------------------------------------------------

    def take_up(self, run_id: UUID, *, lost: int) -> Standing:
        """Claim a run and commit the intent of its first step; says where the run stands when it cannot be claimed.

        lost: the epoch of a holder that was asked and does not have it (any more).
        """
        place = self._place(run_id)
        with ExitStack() as failing:
            if place is not None:
                failing.callback(place.leave)
            with claims.claim_run(run_id, self.queue) as claimed:
                if claimed is None:
                    return self._found(run_id, lost)
                step, run = claimed
                executor = RunExecutor(run, self._means, place)
                failing.callback(executor.leave)
                command = executor.begin(step)
            failing.pop_all()
        held = _Held(executor, command)
        with self._lock:
            before, self._held[run_id] = self._held.get(run_id), held
        if before is not None:
            self._disown(before)
        return self._standing(held)

    def _disown(self, held: _Held) -> None:
        """Have one whose lease was lost do nothing more; one in its step finds out by itself, and leaves its place."""
        if held.lock.acquire(blocking=False):
            held.gone = True
            held.executor.leave()
            held.lock.release()

    def _place(self, run_id: UUID) -> Place | None:
        """Take a place for the call of the model that the run begins with, if it does and calls are limited.

        Raises `NoPlace`: a run that would have to wait stays in the queue, and nothing is written.
        """
        gate = self._means.gate
        if gate is None or not rows.calls_first(run_id):
            return None
        until = time.monotonic() + PLACE_WITHIN_S
        while (place := gate.enter()) is None:
            if time.monotonic() > until or self._means.stopping():
                raise NoPlace
            time.sleep(gate.wait_s())
        return place

    def _found(self, run_id: UUID, lost: int) -> Standing:
        held = self._held.get(run_id)
        if held is not None and held.executor.run.epoch != lost and not held.lock.locked():
            return self._standing(held)
        return rows.standing(run_id, lost=lost)

    def step(self, run_id: UUID, epoch: int, seq: int, *, sign: Callable[[], None] = lambda: None) -> Standing:
        """Perform the run's next step unless it was performed already, and say where the run stands then.

        epoch, seq: where it stood when the step was asked for; `LOOK` asks for none, and ends a run that was cancelled,
        or whose deadline passed, before its model call was begun. sign: tells Temporal that this activity is alive.
        """
        return self._asked(run_id, epoch, seq, self._look if seq == LOOK else self._next, sign)

    def _asked(self, run_id: UUID, epoch: int, seq: int, do: Doing, sign: Callable[[], None]) -> Standing:
        held = self._held.get(run_id)
        if held is None or held.executor.run.epoch != epoch:
            return Standing(LOST, epoch=epoch)
        held.asked_at = time.monotonic()
        held.signs.append(sign)
        try:
            with held.lock:
                if not held.gone and seq in {held.executor.state.seq, LOOK}:
                    self._perform(held, do)
                return self._standing(held)
        finally:
            held.signs.remove(sign)
            held.asked_at = time.monotonic()

    def _look(self, executor: RunExecutor, command: CallModel | Perform) -> Command | Stopped:
        try:
            return executor.unless_over(command, look=True)
        except psycopg.OperationalError as error:
            log.warning("not asked this time whether a call is still wanted: %s", error)
            return command

    def _next(self, executor: RunExecutor, command: CallModel | Perform) -> Command | Stopped:
        # It may have waited for long: for its permit, or for Temporal.
        instead = self._look(executor, command) if self._pace else executor.unless_over(command, look=False)
        return executor.one_step(command) if instead is command else instead

    def _last(self, executor: RunExecutor, command: CallModel | Perform) -> Command | Stopped:
        if isinstance(command, CallModel):
            return executor.withdraw(command)  # nobody asked for it, and it would hardly end in time
        return executor.one_step(command)

    def _perform(self, held: _Held, do: Doing) -> None:
        try:
            if isinstance(held.command, CallModel | Perform):
                held.command = do(held.executor, held.command)
        except LostLease:
            held.gone = True
            log.warning("lease lost", extra={"run": str(held.executor.run.id)})
        except psycopg.OperationalError as error:
            held.gone = True
            log.warning("database unavailable; the lease will run out and the run goes on: %s", error)
        except Exception:
            held.gone = True
            log.exception("a run's step failed; it is tried again when its lease has run out")

    def _standing(self, held: _Held) -> Standing:
        """Say where a run stands, and let go of it when its next step is not this process's."""
        executor, run = held.executor, held.executor.run
        if not held.gone and isinstance(held.command, CallModel | Perform):
            kind, pace = (MODEL, self._pace) if isinstance(held.command, CallModel) else (TOOLS, None)
            return Standing(kind, self.queue, run.epoch, executor.state.seq, pace=pace)
        self._let_go(held)
        if held.gone:
            return Standing(LOST, epoch=run.epoch)
        if isinstance(held.command, Park):
            until = held.command.until
            pause_s = None if until is None else max(0.0, (until - run.now()).total_seconds())
            return Standing(PARKED, pause_s=pause_s, calls=held.command.waiting_for == "provider")
        if isinstance(held.command, Finished):
            return Standing(ENDED, status=executor.state.status if executor.state.ended else None)
        return Standing(RELEASED)

    def _let_go(self, held: _Held) -> None:
        held.executor.leave()
        with self._lock:
            if self._held.get(held.executor.run.id) is held:
                del self._held[held.executor.run.id]

    # --- what this process sees to itself ---------------------------------------------------------------------------

    def give_signs(self) -> None:
        """Tell Temporal that the steps in progress are alive."""
        for held in self._all():
            for sign in list(held.signs):
                try:
                    sign()
                except Exception:  # of an activity that Temporal does not know any more, say; the others go on
                    log.exception("a sign of life was not given", extra={"run": str(held.executor.run.id)})

    def heartbeat(self) -> None:
        """Renew the leases; a run whose lease is lost is not this process's any more."""
        mine = self._all()
        kept = leases.heartbeat([held.executor.run for held in mine]) if mine else set()
        for held in mine:
            if held.executor.run.id not in kept:
                self._drop(held)  # one in its step finds out by itself

    def forgotten(self, after_s: float) -> list[UUID]:
        """Return the runs in no step that nobody has asked for in so many seconds; each once in that time."""
        now = time.monotonic()
        found = [held for held in self._all() if not held.signs and held.asked_at < now - after_s]
        for held in found:
            held.asked_at = now
        return [held.executor.run.id for held in found]

    def overtaken(self) -> list[Told]:
        """Return the runs that wait for a permit and were cancelled, say, or whose deadline has passed meanwhile."""
        if self._pace is None:
            return []
        in_line = [held.executor for held in self._all() if not held.signs and isinstance(held.command, CallModel)]
        over = {each.run.id: Told(each.run.id, each.run.tenant_id, wakes=True) for each in in_line if each.is_over()}
        others = [(each.run.id, each.run.epoch, each.state.seq) for each in in_line if each.run.id not in over]
        return [*over.values(), *(rows.overtaken(others) if others else [])]

    def drop(self, run_id: UUID) -> None:
        """Let go of a run that nobody will ask for; its lease runs out, and the sweep sees to it."""
        held = self._held.get(run_id)
        if held is not None:
            self._drop(held)

    def _drop(self, held: _Held) -> None:
        if not held.lock.acquire(blocking=False):
            return
        try:
            if self._is_mine(held):
                log.warning("lease lost", extra={"run": str(held.executor.run.id)})
                held.gone = True
                self._let_go(held)
        finally:
            held.lock.release()

    def wind_down(self, threads: Executor) -> list[Claimed]:
        """Begin the steps whose intents stand in the journal: this process is stopping, so they give the runs back.

        So nobody has to wonder later whether their effects were begun, even if Temporal never asks for them. A call of
        the model is taken back instead. Returns the runs, for Temporal to be told.
        """
        everything = sorted(self._all(), key=lambda held: held.lock.locked())  # first those that wait for nothing
        for held in everything:
            threads.submit(self._step_and_close, held.executor.run.id, held.executor.run.epoch, held.executor.state.seq)
        return [held.executor.run for held in everything]

    def _step_and_close(self, run_id: UUID, epoch: int, seq: int) -> None:
        try:
            self._asked(run_id, epoch, seq, self._last, lambda: None)
        finally:
            connection.close()

    def give_back(self) -> None:
        """Give back the leases of what is still in its step."""
        left = [held.executor.run for held in self._all()]
        if left:
            leases.release_at_last(left)
            log.warning("stopped with steps unfinished", extra={"runs": [str(run.id) for run in left]})

    def _all(self) -> list[_Held]:
        with self._lock:
            return list(self._held.values())

    def _is_mine(self, held: _Held) -> bool:
        with self._lock:
            return self._held.get(held.executor.run.id) is held
