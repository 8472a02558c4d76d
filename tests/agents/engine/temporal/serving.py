"""A worker that serves in a thread while a test looks on."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import connections

from agents.core.model import ModelAnswer
from agents.engine.temporal.worker import TemporalWorker
from agents.providers.claude import ClaudeProvider
from quotas.provider import Gate

Answer = Callable[..., ModelAnswer]


def rehearsed(model_url: str) -> Answer:
    """Return what calls the rehearsed model."""
    return ClaudeProvider("rehearsal", model_url).answer


@contextmanager
def serving(answer: Answer, *, gate: Gate | None = None) -> Iterator[TemporalWorker]:
    """Drive what Temporal dispatches while the block runs; leaving stops the worker the way SIGTERM does."""
    worker = TemporalWorker(answer, gate=gate)
    loop = asyncio.new_event_loop()
    told_to_stop = asyncio.Event()

    def serve() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(worker.serve(told_to_stop))
        connections.close_all()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield worker
    finally:
        loop.call_soon_threadsafe(told_to_stop.set)
        thread.join()
        worker.close()
