"""The Temporal engine on the real dev server, with the rehearsed model and the tenants of the engine's tests."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from pytest_django import Settings

from agents.engine.temporal.worker import TemporalWorker
from tests.agents.engine.conftest import acme, model_url, settles
from tests.agents.engine.temporal.server import temporal_address
from tests.agents.engine.temporal.serving import rehearsed, serving

__all__ = ["acme", "model_url", "settles", "temporal_address"]


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
