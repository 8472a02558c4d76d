"""The Temporal engine on the real dev server, with the rehearsed model and the tenants of the engine's tests."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pytest_django import Settings

from agents.engine.temporal.worker import TemporalWorker
from tests.agents.engine.conftest import acme, settles
from tests.agents.engine.temporal.server import temporal_address
from tests.agents.engine.temporal.serving import rehearsed, serving
from tests.agents.providers.servers import rehearsal

__all__ = ["acme", "settles", "temporal_address"]

SCRIPT_FOLDERS = (Path(__file__).parent.parent / "scripts", Path(__file__).parent / "scripts")


@pytest.fixture(scope="session")
def model_url() -> Iterator[str]:
    """A rehearsal server with the scripts of the engine's tests, and some more."""
    with rehearsal(*SCRIPT_FOLDERS) as url:
        yield url


@pytest.fixture
def on_temporal(temporal_address: str, settings: Settings) -> None:
    """New runs start on Temporal."""
    settings.ENGINE = "temporal"
    settings.TEMPORAL = replace(settings.TEMPORAL, address=temporal_address)


@pytest.fixture
def worker(database: None, on_temporal: None, model_url: str) -> Iterator[TemporalWorker]:
    """A worker in a thread of its own until the test ends."""
    with serving(rehearsed(model_url)) as made:
        yield made
