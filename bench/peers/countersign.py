"""Countersign, everything on: journal with salted commitments, fence, row-level security, grants, budget, outbox.

Runs are submitted through the action that REST calls, and driven by the engine's own driver in this process, as the
other peers are. A client thread waits for its run by the driver's own signal, after the commit: no polling.

--mode workers   two processes drive them, as many as the product starts by default, with `--concurrency` runs for each,
                 and this one only submits: Python keeps a process to one core
"""

import argparse
import multiprocessing
import os
import tempfile
import threading
from collections.abc import Callable
from typing import Any
from uuid import UUID

import installation
from common import FINAL, WARM_UP, Result, drive_threads, options_parser, process_cpu_seconds
from fake_model import TOOL_TURNS, reply

PATIENCE_S = 30.0
WORKERS = 2


class Waiting:
    """Who waits for which run."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._of: dict[UUID, threading.Event] = {}

    def event(self, run: UUID) -> threading.Event:
        """The event of a run, whoever asks first."""
        with self._lock:
            return self._of.setdefault(run, threading.Event())


def driver_class(tell: Callable[[UUID], None]) -> Any:
    """The engine's driver, which tells of a run behind its last commit."""
    from agents.engine.driver import Driver

    class Telling(Driver):
        """Tells of each run that has ended."""

        def _wake_in_time(self, executor: Any) -> None:
            super()._wake_in_time(executor)
            if executor.state.ended:
                tell(executor.run.id)

    return Telling


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


class Clients:
    """Runs submitted, and whoever waits for them."""

    def __init__(self, name: str) -> None:
        self.waiting = Waiting()
        self.world = installation.world(name)
        self.runs: list[UUID] = []

    def run(self, number: int) -> str:
        """Submit one run and wait for its end."""
        run = self.world.submit({"task": number})
        self.runs.append(run)
        if not self.waiting.event(run).wait(PATIENCE_S):
            raise SystemExit(f"run {run} did not end:\n{self.world.history(run)}")
        return FINAL

    def check(self) -> None:
        """See that every run ended as it must."""
        outcomes = self.world.outcomes(self.runs)
        wrong = [outcome for outcome in outcomes if outcome != ("completed", FINAL)]
        assert len(outcomes) == len(self.runs)
        assert not wrong, wrong[:3]
        _close_pools()


class Engine(Clients):
    """A driver that serves in a thread of its own, and runs submitted to it."""

    def __init__(self, answer: Callable[..., Any], name: str) -> None:
        from agents.engine.garbage import leave_what_is_loaded
        from db import session

        super().__init__(name)
        self._stop = threading.Event()
        self.driver = driver_class(lambda run: self.waiting.event(run).set())(answer, stopping=self._stop.is_set)

        def serve() -> None:
            with session.connect() as listener:
                self.driver.serve(listener, seconds=3600)

        leave_what_is_loaded()  # as a worker process does
        self._thread = threading.Thread(target=serve, daemon=True)
        self._thread.start()
        self.run(-1)  # opens the month's budget

    def cpu_seconds(self) -> float:
        """CPU of other processes than this one."""
        return 0.0

    def close(self) -> None:
        """Stop, and see that every run ended as it must."""
        self._stop.set()
        self._thread.join()
        self.driver.close()
        self.check()


class Workers(Clients):
    """Worker processes that drive, and runs submitted to them by this one."""

    def __init__(self, answer: Callable[..., Any], name: str) -> None:
        super().__init__(name)
        _close_pools()  # before the fork
        context = multiprocessing.get_context("fork")
        self._stop, pipes = context.Event(), [context.Pipe(duplex=False) for _ in range(WORKERS)]
        self._workers = [context.Process(target=_work, args=(answer, told, self._stop)) for _, told in pipes]
        for worker in self._workers:
            worker.start()
        for hear, told in pipes:
            told.close()  # so that it ends for us when its worker has
            threading.Thread(target=self._hear, args=(hear,), daemon=True).start()
        self.run(-1)  # opens the month's budget

    def _hear(self, hear: Any) -> None:
        try:
            while True:
                self.waiting.event(UUID(bytes=hear.recv_bytes())).set()
        except EOFError:
            return

    def cpu_seconds(self) -> float:
        """CPU of the workers."""
        return sum(process_cpu_seconds(worker.pid or 0) for worker in self._workers)

    def close(self) -> None:
        """Stop the workers, and see that every run ended as it must."""
        self._stop.set()
        for worker in self._workers:
            worker.join()
        self.check()


def _work(answer: Callable[..., Any], told: Any, stop: Any) -> None:
    """Drive runs in a process of its own, as a worker of `qcluster` does, and tell of each that has ended."""
    from agents.engine.garbage import leave_what_is_loaded
    from db import session

    telling = threading.Lock()  # a pipe takes one message at a time

    def tell(run: UUID) -> None:
        with telling:
            told.send_bytes(run.bytes)

    leave_what_is_loaded()
    driver = driver_class(tell)(answer, stopping=stop.is_set)
    with session.connect() as listener:
        driver.serve(listener, seconds=3600)
    driver.close()
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
        many = WORKERS if options.mode == "workers" else 1
        kind = Workers if options.mode == "workers" else Engine
        runs, concurrency = many * options.runs, many * options.concurrency
        engine = kind(model_function(options), f"bench-{os.getpid()}")
        drive_threads(engine.run, options.warmup or WARM_UP * concurrency, concurrency)
        with Result(engine.cpu_seconds) as result:
            took = drive_threads(engine.run, runs, concurrency)
        result["cpu"] += result["server_cpu"]  # it is all ours
        result["server_cpu"] = 0.0
        engine.close()
        result.emit(runs, took)


if __name__ == "__main__":
    main()
