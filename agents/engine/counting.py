"""What a step's events add to the counters of `metrics`."""

from collections.abc import Sequence

from agents.core import pricing
from agents.core.events import DecisionRequested, Event, ModelAnswered, ModelFailed, RunWaiting
from metrics.counters import count

_ENDS = {"run.completed": "completed", "run.failed": "failed", "run.cancelled": "cancelled"}
_TOOLS = {
    "tool.finished": "finished",
    "tool.failed": "failed",
    "tool.unknown": "unknown",
    "tool.denied": "denied",
    "tool.compensated": "compensated",
}


def count_step(events: Sequence[Event]) -> None:
    """Count a step that was written, and what it tells of."""
    count("steps")
    for event in events:
        if isinstance(event, ModelAnswered):
            _count_answer(event)
        elif isinstance(event, ModelFailed):
            count("model_calls", pricing.listed(event.model), event.code)
        elif isinstance(event, RunWaiting):
            provider = event.waiting_for == "provider"
            count("runs_waited", event.waiting_for, event.reason if provider else "")
        elif isinstance(event, DecisionRequested):
            count("questions", event.kind)
        elif event.action in _TOOLS:
            count("tool_calls", _TOOLS[event.action])
        elif event.action in _ENDS:
            count("runs_ended", _ENDS[event.action])


def _count_answer(event: ModelAnswered) -> None:
    model = pricing.listed(event.model)
    count("model_calls", model, "answered")
    count("model_cost_nano_usd", model, by=event.cost_nano)
    used = {
        "input": event.input_tokens,
        "output": event.output_tokens,
        "cache_read": event.cache_read_input_tokens,
        "cache_creation": event.cache_creation_input_tokens,
    }
    for kind, tokens in used.items():
        if tokens:
            count("tokens", model, kind, by=tokens)
