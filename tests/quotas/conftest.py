"""Where counts are kept: in the process, and in a Redis server of the tests' own where one is installed."""

import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis
from pytest_django import Settings

from quotas import guesses, rates

REDIS_SERVER = shutil.which("redis-server")

#: `.ci/run` installs the server, so that both are tried before a change lands.
PLACES = ("memory", "redis") if REDIS_SERVER else ("memory",)


@dataclass
class Redis:
    """A server that listens on a Unix socket only and keeps nothing."""

    url: str
    process: subprocess.Popen[bytes]

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait()


def start_redis(folder: Path) -> Redis:
    """Start a server and wait until it answers."""
    assert REDIS_SERVER is not None
    path = folder / "redis.sock"
    options = ["--port", "0", "--unixsocket", str(path), "--save", "", "--appendonly", "no", "--dir", str(folder)]
    process = subprocess.Popen([REDIS_SERVER, *options], stdout=subprocess.DEVNULL)
    server = Redis(f"unix://{path}", process)
    with redis.Redis(unix_socket_path=str(path)) as client:
        for _ in range(600):
            try:
                client.ping()
                return server
            except redis.ConnectionError:
                threading.Event().wait(0.05)
    server.stop()
    raise AssertionError("redis-server does not answer")


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Redis]:
    """A server for the whole run."""
    # The path of a Unix socket must be short.
    with tempfile.TemporaryDirectory(prefix="r") as folder:
        server = start_redis(Path(folder))
        yield server
        server.stop()


@pytest.fixture(params=PLACES)
def counts(request: pytest.FixtureRequest, settings: Settings) -> Iterator[str]:
    """Fresh counts in one of the places."""
    if request.param == "redis":
        server: Redis = request.getfixturevalue("redis_server")
        settings.REDIS_URL = server.url
        with redis.Redis.from_url(server.url) as client:
            client.flushall()
    rates.forget()
    guesses.forget()
    yield request.param
    rates.forget()
    guesses.forget()
