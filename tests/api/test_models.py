"""The catalogue of models over the interface."""

from collections.abc import Iterator

import pytest
from pytest_django.fixtures import Settings

from agents.providers import installed
from tests.agents.providers.servers import rehearsal
from tests.api.conftest import Caller


@pytest.fixture
def anew() -> Iterator[None]:
    """Make the process's provider and catalogue anew, before and after."""
    for made in (installed.provider, installed.catalogue):
        made.cache_clear()
    yield
    for made in (installed.provider, installed.catalogue):
        made.cache_clear()


def test_it_lists_what_the_supplier_offers(alice: Caller, settings: Settings, anew: None) -> None:
    with rehearsal() as url:
        settings.ANTHROPIC_API_KEY, settings.ANTHROPIC_BASE_URL = "rehearsal", url
        answer = alice.get("models")
    assert answer.json["source"] == "api"
    assert "claude-opus-4-7" in [model["id"] for model in answer.json["results"]]


def test_it_falls_back_on_the_list_that_comes_along(alice: Caller, settings: Settings, anew: None) -> None:
    settings.ANTHROPIC_API_KEY, settings.ANTHROPIC_BASE_URL = "none", "http://127.0.0.1:9"
    answer = alice.get("models")
    assert answer.json["source"] == "shipped"
    assert all(model["max_output_tokens"] > 0 for model in answer.json["results"])
