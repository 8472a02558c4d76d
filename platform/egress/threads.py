"""Calls that may hang, bounded: run in pooled threads and abandoned when their time is up.

Python cannot stop a thread, so an abandoned call goes on until it ends by itself; `max_abandoned` bounds how many there
may be. The threads are daemons (they never hold up the end of the process) and are made anew after a fork.
"""

import threading
import time
from collections.abc import Callable
from contextvars import Context
from queue import Empty, SimpleQueue
from typing import Any

from egress.forks import start_afresh_in_children


class OutOfTimeError(Exception):
    """The call was not done in time and has been abandoned."""


class TooManyAbandonedError(Exception):
    """So many abandoned calls still run that no new one is started."""


class _Job:
    __slots__ = ("abandoned", "done", "error", "function", "value")

    def __init__(self, function: Callable[[], Any]) -> None:
        self.function = function
        self.value: Any = None
        self.error: BaseException | None = None
        self.abandoned = False
        self.done = threading.Lock()  # taken until the job is done: cheaper than an Event
        self.done.acquire()


class Threads:
    """A pool that grows with demand and shrinks when idle.

    max_abandoned: calls that may be running although nobody waits for them any more.
    idle_s: seconds a thread stays without work.
    """

    def __init__(self, name: str, *, max_abandoned: int = 64, idle_s: float = 30.0) -> None:
        self._name = name
        self._max_abandoned = max_abandoned
        self._idle_s = idle_s
        self.start_afresh()
        start_afresh_in_children(self)

    def start_afresh(self) -> None:
        """Make threads anew: after a fork there are none."""
        self._lock = threading.Lock()  # guards the two below and every job's `abandoned`
        self._idle: list[SimpleQueue[_Job]] = []
        self._abandoned = 0

    @property
    def abandoned(self) -> int:
        """How many calls run on although nobody waits for them."""
        return self._abandoned

    def call(self, function: Callable[[], Any], timeout_s: float, more: Callable[[], float] = lambda: 0.0) -> Any:
        """Return what `function()` returns or raise what it raises, in a context of its own.

        more: asked whenever the time is up; returns how many seconds the call gets beyond it. Raises nothing.
        Raises OutOfTimeError after `timeout_s` seconds and those, TooManyAbandonedError without having called it.
        """
        job = _Job(function)
        with self._lock:
            if self._abandoned >= self._max_abandoned:
                raise TooManyAbandonedError
            inbox = self._idle.pop() if self._idle else None
        if inbox is None:
            inbox = SimpleQueue()
            threading.Thread(target=self._work, args=(inbox,), name=self._name, daemon=True).start()
        inbox.put(job)
        del inbox
        while not job.done.acquire(timeout=min(timeout_s, threading.TIMEOUT_MAX)):
            timeout_s = more()
            if timeout_s <= 0:
                self._abandon(job)
                break
        if job.error is not None:
            raise job.error
        return job.value

    def _abandon(self, job: _Job) -> None:
        """Raise OutOfTimeError, unless the job was done just now."""
        with self._lock:
            if not job.done.acquire(blocking=False):
                job.abandoned = True
                self._abandoned += 1
                raise OutOfTimeError

    def _work(self, inbox: "SimpleQueue[_Job]") -> None:
        job: _Job | None = inbox.get()
        while job is not None:
            try:
                job.value = Context().run(job.function)  # a fresh context: nothing leaks from call to call
            except BaseException as error:
                job.error = error
            with self._lock:
                if job.abandoned:
                    self._abandoned -= 1
                    job.value = job.error = None
                self._idle.append(inbox)
                job.done.release()
            del job
            job = self._next(inbox)

    def _next(self, inbox: "SimpleQueue[_Job]") -> _Job | None:
        try:
            return inbox.get(timeout=self._idle_s)
        except Empty:
            with self._lock:
                if inbox in self._idle:
                    self._idle.remove(inbox)
                    return None
            return inbox.get()  # somebody has just taken this thread: the job is on its way


def remaining(deadline: float) -> float:
    """Seconds until `deadline` on the monotonic clock. Raises TimeoutError when it has passed."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
