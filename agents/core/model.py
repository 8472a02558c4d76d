"""What goes to a model and what comes back, free of any supplier's classes.

Only `agents.providers` turns these values into calls. Source of the shapes: the Messages API as the `anthropic`
SDK 2.x speaks it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

Json = Any
JsonObject = dict[str, Any]

StopReason = Literal[
    "end_turn",
    "stop_sequence",
    "tool_use",
    "pause_turn",
    "max_tokens",
    "model_context_window_exceeded",
    "refusal",
]


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one model call. Total input = input + cache_creation + cache_read.

    cache_creation_1h_input_tokens: those of `cache_creation_input_tokens` that were written for an hour (dearer than
        the usual five minutes).
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_creation_input_tokens: int = 0
    cache_creation_1h_input_tokens: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cache_read_input_tokens + other.cache_read_input_tokens,
            self.cache_creation_input_tokens + other.cache_creation_input_tokens,
            self.cache_creation_1h_input_tokens + other.cache_creation_1h_input_tokens,
        )

    @property
    def total(self) -> int:
        """All tokens, in and out, cached or not."""
        return self.input_tokens + self.output_tokens + self.cache_read_input_tokens + self.cache_creation_input_tokens


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One call of a model.

    messages: the whole conversation in the Messages API's form; assistant content exactly as it came.
    tools: `{name, description, input_schema}` each.
    output_schema: JSON Schema of the final answer, or None for free text.
    effort: "low" … "max", or None for the model's default.
    """

    model: str
    max_tokens: int
    system: str
    messages: Sequence[Mapping[str, Json]]
    tools: Sequence[Mapping[str, Json]] = ()
    output_schema: Mapping[str, Json] | None = None
    effort: str | None = None


@dataclass(frozen=True, slots=True)
class ModelAnswer:
    """A complete answer. A stream that broke off is never one.

    content: the blocks exactly as the supplier sent them (thinking signatures included), to be sent back unchanged.
    stop_details: the supplier's explanation of a refusal, when given.
    """

    model: str
    stop_reason: StopReason
    content: Sequence[JsonObject]
    usage: Usage
    stop_details: Json = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class ModelFault:
    """Why a call gave no answer.

    code: stable, ours: `rate_limited`, `overloaded`, `provider_error`, `timeout`, `connection`, `broken_stream`,
        `spend_limit`, `invalid_request`, `authentication`, `permission`, `model_not_found`, `request_too_large`.
    retry_after_s: what the supplier asked for, in seconds, when it did.
    retryable: whether the same request may be sent again later without a person.
    billed: whether the call may have been charged (it reached the supplier and may have run).
    """

    code: str
    message: str
    retryable: bool
    status: int | None = None
    retry_after_s: float | None = None
    request_id: str | None = None
    billed: bool = False


class ModelError(Exception):
    """The model gave no answer; `fault` says why."""

    def __init__(self, fault: ModelFault) -> None:
        super().__init__(f"{fault.code}: {fault.message}")
        self.fault = fault


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What the catalogue knows of a model: limits in tokens (0: not said); lifecycle as the supplier words it.

    retires_at: RFC 3339 date and time of the scheduled retirement, when there is one.
    """

    id: str
    display_name: str
    max_input_tokens: int
    max_output_tokens: int
    capabilities: Mapping[str, Json] = field(default_factory=dict)
    lifecycle: str = "active"
    retires_at: str | None = None


class ModelProvider(Protocol):
    """A supplier of models. To add one: a module in `agents.providers` with a class of this shape."""

    def answer(self, request: ModelRequest, *, timeout_s: float) -> ModelAnswer:
        """Call the model once, without any retry. Raises `ModelError`."""

    def count_tokens(self, request: ModelRequest) -> int:
        """Return the input tokens the request would take. Raises `ModelError`."""

    def models(self) -> list[ModelInfo]:
        """Return the models on offer. Raises `ModelError`."""
