"""Calls of the model."""

from dataclasses import dataclass

from agents.core.events.event import Event, Json


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequested(Event):
    """The intent to call the model, durable before the call.

    max_tokens: what the answer may take, where what is left of the run's limit pays for less than its agent allows.
    """

    action = "model.requested"
    turn: int
    model: str
    max_tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelAnswered(Event):
    """The model's complete answer. content: its blocks, exactly as they came (see `agents.core.exact`)."""

    action = "model.answered"
    erasable = frozenset({"content", "stop_details"})
    turn: int
    model: str
    stop_reason: str
    input_tokens: int
    output_tokens: int
    cost_nano: int
    content: Json
    cache_read_input_tokens: int = 0
    cache_creation_input_tokens: int = 0
    estimated: bool | None = None
    request_id: str | None = None
    stop_details: Json = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFailed(Event):
    """A model call without an answer. Its cost, if it may have been billed, is an upper bound (`estimated`)."""

    action = "model.failed"
    outcome = "failed"
    erasable = frozenset({"error"})
    turn: int
    model: str
    code: str
    retryable: bool
    error: str
    retry_after_ms: int | None = None
    cost_nano: int = 0
    tokens: int = 0
    estimated: bool | None = None
