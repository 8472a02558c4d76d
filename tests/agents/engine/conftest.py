"""A rehearsed model and drivers for the engine's tests: real HTTP, real PostgreSQL, real threads."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest
from django.db import connections

from agents.engine.django_q import listener
from agents.engine.driver import Driver
from agents.models import Run
from agents.providers.claude import ClaudeProvider
from tests.agents.providers.servers import rehearsal
from tests.worlds import World, world

#: Generous bound on how long a test waits for a run; nothing asserts on less.
PATIENCE_S = 30.0


@pytest.fixture(scope="session")
def model_url() -> Iterator[str]:
    """A rehearsal server with this folder's scripts."""
    with rehearsal(Path(__file__).parent / "scripts") as url:
        yield url


@pytest.fixture
def acme(database: None) -> World:
    """A fresh tenant."""
    return world()


@pytest.fixture
def driver(database: None, model_url: str) -> Iterator[Driver]:
    """A driver that serves in a thread of its own until the test ends."""
    stop = threading.Event()
    made = Driver(ClaudeProvider("rehearsal", model_url).answer, stopping=stop.is_set)

    def serve() -> None:
        with listener() as session:
            made.serve(session, seconds=600)
        connections.close_all()

    thread = threading.Thread(target=serve)
    thread.start()
    yield made
    stop.set()
    thread.join()
    made.close()


@pytest.fixture
def settles() -> Callable[[World, UUID], Run]:
    """Wait until a run is parked for a person or ended."""

    def wait(of: World, run_id: UUID) -> Run:
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            run = of.run(run_id)
            if run.ended_at or (run.status == "waiting" and run.waiting_for == "decision"):
                return run
            time.sleep(0.02)
        raise AssertionError(f"the run did not settle: {run.status}, {of.actions(run_id)}")

    return wait
