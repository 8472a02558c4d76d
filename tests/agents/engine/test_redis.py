"""Redis as q2's broker: a real one, that is flushed and killed under the runs. None of them is lost."""

import re
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import pytest
import redis

from agents.models import Run
from tests.agents.engine.clusters import Cluster, cluster, wait_for_drivers
from tests.ops.processes import PATIENCE_SECONDS, eventually
from tests.quotas.conftest import start_redis
from tests.worlds import LOOKUP, World

Settles = Callable[[World, UUID], Run]


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where a server keeps its socket; the path must be short."""
    with tempfile.TemporaryDirectory(prefix="r") as made:
        yield Path(made)


@contextmanager
def flushing(url: str) -> Iterator[None]:
    """Empty the server again and again."""
    stop = threading.Event()

    def flush() -> None:
        with redis.Redis.from_url(url) as client:
            while not stop.wait(0.1):
                client.flushall()

    thread = threading.Thread(target=flush)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def forget_a_slice(url: str, host: Cluster) -> None:
    """Lose what is queued next before a worker has it, which a flush does only by luck.

    Who has waited longest is served first, and workers begin to wait anew with every slice.
    """
    queue = re.search(r"Enqueued \[(\S+)\]", host.said())
    assert queue is not None
    with redis.Redis.from_url(url) as client:
        assert client.blpop([queue[1]], timeout=PATIENCE_SECONDS) is not None


def test_a_redis_that_forgets_loses_no_run(
    acme: World, process_environment: dict[str, str], model_url: str, settles: Settles, folder: Path
) -> None:
    acme.define("looker", role="You look keys up.", tool_specs={"lookup": LOOKUP})
    server = start_redis(folder)
    try:
        with cluster(process_environment, model_url, short_slices=True, REDIS_URL=server.url) as host:
            wait_for_drivers(1)
            with flushing(server.url):
                for number in range(6):
                    run = acme.submit("looker", {"a": f"{number}", "b": acme.slug})
                    assert settles(acme, run.id).status == "completed"
            forget_a_slice(server.url, host)
            assert eventually(lambda: "has lost its driver" in host.said())
            wait_for_drivers(1)
            assert host.stop() == 0
        with redis.Redis.from_url(server.url) as client:
            assert client.keys("django_q:*:q") == []
    finally:
        server.stop()


def test_while_redis_is_away_the_drivers_go_on_and_afterwards_hand_over_again(
    acme: World, process_environment: dict[str, str], model_url: str, settles: Settles, folder: Path
) -> None:
    acme.define("looker", role="You look keys up.", tool_specs={"lookup": LOOKUP})
    server = start_redis(folder)
    with cluster(process_environment, model_url, short_slices=True, REDIS_URL=server.url) as host:
        wait_for_drivers(1)
        server.process.kill()
        server.process.wait()
        assert eventually(lambda: "this driver goes on" in host.said())
        runs = [acme.submit("looker", {"a": f"{number}", "b": acme.slug}) for number in range(6)]
        assert all(settles(acme, run.id).status == "completed" for run in runs)
        server = start_redis(folder)
        try:
            slices = host.said().count("processing driver-0")
            assert eventually(lambda: host.said().count("processing driver-0") > slices + 1)
            last = acme.submit("looker", {"a": "last", "b": acme.slug})
            assert settles(acme, last.id).status == "completed"
        finally:
            server.stop()
    wait_for_drivers(0)
