"""Which models there are: asked of the supplier, remembered for a while, with a shipped list for when it is silent."""

import functools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import resources
from typing import Literal, Protocol

import yaml

from agents.core.model import JsonObject, ModelError, ModelFault, ModelInfo

MAX_AGE_S = 6 * 3600.0
# After a failed look-up the old list serves this long before the supplier is asked again.
RETRY_S = 60.0

_ALL_EFFORTS = ("low", "medium", "high", "xhigh", "max")
_ALL_THINKING = ("adaptive", "between_tools", "disabled", "enabled")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The catalogue at one moment.

    source: `api`, or `shipped` when the supplier has not answered yet. age_s: seconds since the supplier said so; None
        for the shipped list. fault: why the last look-up failed, when it did.
    """

    models: tuple[ModelInfo, ...]
    source: Literal["api", "shipped"]
    age_s: float | None
    fault: ModelFault | None = None

    def find(self, model_id: str) -> ModelInfo | None:
        """Return the model of that id, or None."""
        return next((model for model in self.models if model.id == model_id), None)


class ListsModels(Protocol):
    """What the catalogue needs of a provider (`agents.core.model.ModelProvider`)."""

    def models(self) -> list[ModelInfo]:
        """Return the models on offer. Raises `ModelError`."""


class Catalogue:
    """The models of one provider. Thread-safe: one thread asks, the others get the list there is.

    clock: monotonic seconds.
    """

    def __init__(
        self, provider: ListsModels, *, max_age_s: float = MAX_AGE_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._provider = provider
        self._max_age_s = max_age_s
        self._clock = clock
        self._asking = threading.Lock()
        self._models: tuple[ModelInfo, ...] | None = None
        self._fault: ModelFault | None = None
        self._fetched_at = 0.0
        self._ask_again_at = float("-inf")

    def snapshot(self) -> Snapshot:
        """Return the models, asking the supplier if what is known is too old. Never raises for what it says."""
        if self._clock() >= self._ask_again_at and self._asking.acquire(blocking=False):
            try:
                self._refresh()
            finally:
                self._asking.release()
        models = self._models
        if models is None:
            return Snapshot(shipped_models(), "shipped", None, self._fault)
        return Snapshot(models, "api", self._clock() - self._fetched_at, self._fault)

    def _refresh(self) -> None:
        try:
            models = self._provider.models()
        except ModelError as error:
            self._fault = error.fault
            self._ask_again_at = self._clock() + RETRY_S
            return
        self._models = tuple(_completed(model) for model in models)
        self._fault = None
        self._fetched_at = self._clock()
        self._ask_again_at = self._fetched_at + self._max_age_s


@functools.cache
def shipped_models() -> tuple[ModelInfo, ...]:
    """Return the list that comes along (`models.yaml`), newest first."""
    return tuple(
        ModelInfo(
            id=entry["id"],
            display_name=entry["display_name"],
            max_input_tokens=entry["max_input_tokens"],
            max_output_tokens=entry["max_output_tokens"],
            capabilities=_capabilities(entry),
            lifecycle=entry["lifecycle"],
            retires_at=entry.get("retires_at"),
        )
        for entry in shipped_entries()
    )


@functools.cache
def shipped_entries() -> list[JsonObject]:
    """Return `models.yaml` as it stands."""
    entries: list[JsonObject] = yaml.safe_load(
        resources.files(__package__).joinpath("models.yaml").read_text(encoding="utf-8")
    )
    return entries


def _completed(model: ModelInfo) -> ModelInfo:
    """Fill in limits that the supplier left out, where the shipped list knows them."""
    known = next((each for each in shipped_models() if each.id == model.id), None)
    if known is None:
        return model
    return replace(
        model,
        max_input_tokens=model.max_input_tokens or known.max_input_tokens,
        max_output_tokens=model.max_output_tokens or known.max_output_tokens,
        capabilities=model.capabilities or known.capabilities,
    )


def _capabilities(entry: JsonObject) -> JsonObject:
    """Write the entry's capabilities out in the models API's form (`ModelCapabilities`)."""
    efforts, thinking = entry["effort"], entry["thinking"]
    return {
        "structured_outputs": {"supported": True},
        "image_input": {"supported": True},
        "pdf_input": {"supported": True},
        "effort": {"supported": bool(efforts)} | {level: {"supported": level in efforts} for level in _ALL_EFFORTS},
        "thinking": {
            "supported": bool(thinking),
            "types": {kind: {"supported": kind in thinking} for kind in _ALL_THINKING},
        },
    }
