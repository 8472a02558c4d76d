"""Countersign, everything on: journal with salted commitments, fence, row-level security, grants, budget, outbox.

Runs are submitted through the action that REST calls, and driven by the engine's own driver in this process, as the
other peers are. A client thread waits for its run by the driver's own signal, after the commit: no polling.
"""

import argparse
import os
import tempfile
import threading
from collections.abc import Callable
from typing import Any
from uuid import UUID

import installation
from common import FINAL, WARM_UP, Result, drive_threads, options_parser
from fake_model import TOOL_TURNS, reply

PATIENCE_S = 30.0


class Waiting:
    """Who waits for which run."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._of: dict[UUID, threading.Event] = {}

    def event(self, run: UUID) -> threading.Event:
        """The event of a run, whoever asks first."""
        with self._lock:
            return self._of.setdefault(run, threading.Event())


def driver_class() -> Any:
    """The engine's driver, which tells when a run's last commit is done."""
    from agents.engine.driver import Driver

    waiting = Waiting()

    class Telling(Driver):
        """Sets the run's event behind the last commit."""

        def _wake_in_time(self, executor: Any) -> None:
            super()._wake_in_time(executor)
            if executor.state.ended:
                waiting.event(executor.run.id).set()

    return Telling, waiting


def model_function(options: argparse.Namespace, tool_turns: int = TOOL_TURNS) -> Callable[..., Any]:
    """What the engine calls the model with: the provider over HTTP, or a function in this process."""
    from agents.core.model import ModelAnswer, Usage
    from agents.providers.claude import ClaudeProvider

    if options.client == "sdk":
        return ClaudeProvider("bench", options.model_url).answer

    def answer(request: Any, *, timeout_s: float) -> ModelAnswer:
        said = reply((len(request.messages) - 1) // 2, tool_turns)
        usage = Usage(said["usage"]["input_tokens"], said["usage"]["output_tokens"])
        return ModelAnswer(said["model"], said["stop_reason"], said["content"], usage, request_id="req_bench")

    return answer


class Engine:
    """A driver that serves in a thread of its own, and runs submitted to it."""

    def __init__(self, answer: Callable[..., Any], name: str) -> None:
        from agents.engine.garbage import leave_what_is_loaded
        from db import session

        telling, self.waiting = driver_class()
        self.world = installation.world(name)
        self.runs: list[UUID] = []
        self._stop = threading.Event()
        self.driver = telling(answer, stopping=self._stop.is_set)

        def serve() -> None:
            with session.connect() as listener:
                self.driver.serve(listener, seconds=3600)

        leave_what_is_loaded()  # as a worker process does
        self._thread = threading.Thread(target=serve, daemon=True)
        self._thread.start()
        self.run(-1)  # opens the month's budget

    def run(self, number: int) -> str:
        """Submit one run and wait for its end."""
        run = self.world.submit({"task": number})
        self.runs.append(run)
        if not self.waiting.event(run).wait(PATIENCE_S):
            raise SystemExit(f"run {run} did not end:\n{self.world.history(run)}")
        return FINAL

    def close(self) -> None:
        """Stop, and see that every run ended as it must."""
        self._stop.set()
        self._thread.join()
        self.driver.close()
        outcomes = self.world.outcomes(self.runs)
        wrong = [outcome for outcome in outcomes if outcome != ("completed", FINAL)]
        assert len(outcomes) == len(self.runs)
        assert not wrong, wrong[:3]
        _close_pools()


def _close_pools() -> None:
    from django.db import connections

    for connection in connections.all():
        connection.close()
        if getattr(connection, "pool", None):
            connection.close_pool()


def main() -> None:
    """Warm up, measure, print."""
    options = options_parser().parse_args()
    with tempfile.TemporaryDirectory() as data_dir:
        installation.boot(options.dsn, data_dir)
        engine = Engine(model_function(options), f"bench-{os.getpid()}")
        drive_threads(engine.run, options.warmup or WARM_UP * options.concurrency, options.concurrency)
        with Result() as result:
            took = drive_threads(engine.run, options.runs, options.concurrency)
        engine.close()
        result.emit(options.runs, took)


if __name__ == "__main__":
    main()
