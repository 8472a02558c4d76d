"""The servers of the provider's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agents.providers.claude import close_connections
from tests.agents.providers.servers import Recorder, recorder, rehearsal


@pytest.fixture(scope="session")
def rehearsal_url() -> Iterator[str]:
    """A rehearsal server with the tests' scripts. Its fault counters are per conversation: use texts of your own."""
    with rehearsal(Path(__file__).parent / "scripts") as url:
        yield url


@pytest.fixture(scope="session", autouse=True)
def closed_connections() -> Iterator[None]:
    """Leave no connection open behind the tests."""
    yield
    close_connections()


@pytest.fixture
def supplier() -> Iterator[Recorder]:
    """A server that answers what the test puts into it."""
    with recorder() as running:
        yield running
