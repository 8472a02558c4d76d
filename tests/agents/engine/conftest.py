"""A rehearsed model and drivers for the engine's tests: real HTTP, real PostgreSQL, real threads."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest

from agents.engine.driver import Driver
from agents.models import Run
from tests.agents.engine.serving import serving
from tests.agents.providers.servers import rehearsal
from tests.quotas.conftest import REDIS_SERVER
from tests.worlds import World, world

#: `.ci/run` installs redis-server; without it what needs it is no part of the tests.
collect_ignore = [] if REDIS_SERVER else ["test_redis.py"]

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
    with serving(model_url) as made:
        yield made


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
