"""A worker that serves in a thread while a test looks on."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connections

from agents.engine.temporal.worker import TemporalWorker
from agents.providers.claude import ClaudeProvider


@contextmanager
def serving(model_url: str) -> Iterator[TemporalWorker]:
    """Drive what Temporal dispatches while the block runs; leaving stops the worker the way SIGTERM does."""
    worker = TemporalWorker(ClaudeProvider("rehearsal", model_url).answer)
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
