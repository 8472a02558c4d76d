"""The catalogue: asked, remembered, and never empty."""

from collections.abc import Sequence

from agents.core.model import ModelError, ModelFault, ModelInfo
from agents.providers.catalogue import Catalogue, shipped_models
from agents.providers.claude import ClaudeProvider


class Supplier:
    """A provider that lists what it is told to; None: it fails."""

    def __init__(self, models: Sequence[ModelInfo] | None) -> None:
        self.listed = models
        self.asked = 0

    def models(self) -> list[ModelInfo]:
        self.asked += 1
        if self.listed is None:
            raise ModelError(ModelFault("connection", "down", retryable=True))
        return list(self.listed)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_it_asks_the_supplier(rehearsal_url: str) -> None:
    snapshot = Catalogue(ClaudeProvider("key", rehearsal_url)).snapshot()

    found = snapshot.find("claude-opus-4-7")
    assert snapshot.source == "api"
    assert found is not None
    assert found.capabilities["effort"]["max"]["supported"]
    assert snapshot.find("claude-nobody-9") is None


def test_the_shipped_list_serves_while_the_supplier_is_silent() -> None:
    supplier, clock = Supplier(None), Clock()
    catalogue = Catalogue(supplier, clock=clock)

    first, second = catalogue.snapshot(), catalogue.snapshot()

    assert first.source == second.source == "shipped"
    assert first.models == shipped_models()
    assert first.age_s is None
    assert first.fault is not None
    assert supplier.asked == 1
    clock.now += 61
    supplier.listed = [ModelInfo("new", "New", 5, 6)]
    assert catalogue.snapshot().models == (ModelInfo("new", "New", 5, 6),)


def test_an_old_list_is_kept_when_it_cannot_be_renewed() -> None:
    supplier, clock = Supplier([ModelInfo("new", "New", 5, 6)]), Clock()
    catalogue = Catalogue(supplier, max_age_s=100, clock=clock)
    catalogue.snapshot()

    clock.now += 99
    assert catalogue.snapshot().age_s == 99
    assert supplier.asked == 1
    supplier.listed = None
    clock.now += 1
    snapshot = catalogue.snapshot()

    assert supplier.asked == 2
    assert (snapshot.source, snapshot.age_s) == ("api", 100)
    assert snapshot.fault is not None
    assert snapshot.find("new") is not None


def test_limits_that_were_not_said_are_filled_in_from_the_shipped_list() -> None:
    known = shipped_models()[0]
    catalogue = Catalogue(Supplier([ModelInfo(known.id, "Renamed", 0, 0), ModelInfo("other", "Other", 0, 7)]))

    first, other = catalogue.snapshot().models

    assert (first.display_name, first.max_input_tokens, first.max_output_tokens) == (
        "Renamed",
        known.max_input_tokens,
        known.max_output_tokens,
    )
    assert (other.max_input_tokens, other.max_output_tokens) == (0, 7)
