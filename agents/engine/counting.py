"""What a step's events add to the counters of `metrics`."""

from collections import defaultdict
from collections.abc import MutableMapping, Sequence

from agents.core import pricing
from agents.core.events import DecisionRequested, Event, ModelAnswered, ModelFailed, RunWaiting, ToolFinished
from metrics.counters import Series, count_all

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
    counted: MutableMapping[Series, int] = defaultdict(int)
    counted["steps",] = 1
    for event in events:
        if isinstance(event, ModelAnswered):
            _count_answer(counted, event)
        elif isinstance(event, ModelFailed):
            counted["model_calls", pricing.listed(event.model), event.code] += 1
        elif isinstance(event, RunWaiting):
            provider = event.waiting_for == "provider"
            counted["runs_waited", event.waiting_for, event.reason if provider else ""] += 1
        elif isinstance(event, DecisionRequested):
            counted["questions", event.kind] += 1
        elif event.action in _TOOLS:
            counted["tool_calls", _TOOLS[event.action]] += 1
            if isinstance(event, ToolFinished) and event.from_cache:
                counted["tool_results_from_cache",] += 1
        elif event.action in _ENDS:
            counted["runs_ended", _ENDS[event.action]] += 1
    count_all(counted)


def _count_answer(counted: MutableMapping[Series, int], event: ModelAnswered) -> None:
    model = pricing.listed(event.model)
    counted["model_calls", model, "answered"] += 1
    counted["model_cost_nano_usd", model] += event.cost_nano
    used = {
        "input": event.input_tokens,
        "output": event.output_tokens,
        "cache_read": event.cache_read_input_tokens,
        "cache_creation": event.cache_creation_input_tokens,
    }
    for kind, tokens in used.items():
        if tokens:
            counted["tokens", model, kind] += tokens
