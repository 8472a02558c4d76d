"""A driver that serves in a thread while a test looks on."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connections

from agents.engine.driver import Driver
from agents.providers.claude import ClaudeProvider
from db import session
from quotas.provider import Gate


@contextmanager
def serving(model_url: str, gate: Gate | None = None) -> Iterator[Driver]:
    """Drive whatever is due while the block runs; leaving stops the driver the way SIGTERM does."""
    stop = threading.Event()
    driver = Driver(ClaudeProvider("rehearsal", model_url).answer, gate=gate, stopping=stop.is_set)

    def serve() -> None:
        with session.connect() as listener:
            driver.serve(listener, seconds=600)
        connections.close_all()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield driver
    finally:
        stop.set()
        thread.join()
        driver.close()
