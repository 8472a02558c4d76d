"""A foreground supervisor: child processes that live and end together.

Children run in sessions of their own, so that Ctrl-C in a terminal reaches the supervisor alone and it ends them in
order. A child that ends by itself brings all down. On Linux children get SIGTERM when the supervisor is killed.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import FrameType, TracebackType
from typing import Any, Self

from ops.errors import ChildDied, StopRequested

STOP_SECONDS = 20.0
"""What children get between SIGTERM and SIGKILL; an engine's driver parks its runs in half of it."""

_TICK_SECONDS = 0.1
_WATCH_EVERY_TICKS = 10
_PR_SET_PDEATHSIG = 1
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass(frozen=True)
class Child:
    """One process to run."""

    name: str
    """What people call it: web, workers, …"""
    command: tuple[str, ...]
    environment: Mapping[str, str] | None = None
    """The whole environment; None means the supervisor's."""
    pass_fds: tuple[int, ...] = ()
    """File descriptors it inherits."""


class Supervisor:
    """Runs children until told to stop or until one of them dies. Use it as a context manager, in the main thread.

    watch: called about once a second while waiting, for what lives outside the children (the embedded database).
    """

    def __init__(self, watch: Callable[[], None] | None = None) -> None:
        self._watch = watch
        self._children: list[tuple[Child, subprocess.Popen[bytes]]] = []
        self._former_handlers: dict[int, Any] = {}
        self._stop_requests = 0
        self._ticks = 0

    def __enter__(self) -> Self:
        for number in _STOP_SIGNALS:
            self._former_handlers[number] = signal.signal(number, self._request_stop)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self.stop()
        finally:
            for number, handler in self._former_handlers.items():
                signal.signal(number, handler)

    def start(self, child: Child) -> int:
        """Start a child and return its process id. What it writes goes to the supervisor's stderr."""
        parent = os.getpid()
        process = subprocess.Popen(  # noqa: S603
            child.command,
            env=child.environment,
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,
            pass_fds=child.pass_fds,
            start_new_session=True,
            preexec_fn=lambda: _die_with(parent),
        )
        self._children.append((child, process))
        return process.pid

    def wait_until(self, done: Callable[[], bool], *, seconds: float, what: str) -> None:
        """Wait until `done` says so.

        Raises StopRequested or ChildDied when that comes first, and ChildDied, naming `what`, after `seconds`.
        """
        deadline = time.monotonic() + seconds
        while not done():
            self._tick()
            if time.monotonic() > deadline:
                raise ChildDied(f"{what} did not come within {seconds:.0f} s.")

    def run(self) -> None:
        """Wait until somebody asks to stop. Raises ChildDied when a child ends before."""
        with suppress(StopRequested):
            while True:
                self._tick()

    def stop(self) -> None:
        """End all children: SIGTERM to each, SIGKILL to what is left of it after a while or at a second request."""
        for _, process in self._children:
            if process.poll() is None:
                process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        requests = self._stop_requests
        while any(process.poll() is None for _, process in self._children):
            if time.monotonic() > deadline or self._stop_requests > max(requests, 1):
                break
            time.sleep(_TICK_SECONDS)
        for _, process in reversed(self._children):
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)  # its own children too, should it have left any
            process.wait()
        self._children.clear()

    def _tick(self) -> None:
        if self._stop_requests:
            raise StopRequested("Stopped while starting.")
        for child, process in self._children:
            code = process.poll()
            if code is not None:
                raise ChildDied(f"{child.name} {_ending(code)}; everything else is stopped.")
        self._ticks += 1
        if self._watch and self._ticks % _WATCH_EVERY_TICKS == 0:
            self._watch()
        time.sleep(_TICK_SECONDS)

    def _request_stop(self, number: int, frame: FrameType | None) -> None:
        self._stop_requests += 1


def _die_with(parent: int) -> None:
    """Runs in the child before its program: ask the kernel for SIGTERM when the supervisor dies."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)  # It died before it could be watched.


def _ending(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    return f"was ended by {signal.Signals(-code).name}"
