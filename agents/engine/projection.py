"""A run's state as the columns of its row: what lists and filters read without opening the journal."""

from collections.abc import Sequence
from typing import Any

from agents.core.events import Event, RunFailed
from agents.core.state import RunState


def project(state: RunState, events: Sequence[Event]) -> dict[str, Any]:
    """Return the column values of `state`, by the parameter names of the step statement."""
    held, below = state.held, state.below
    used = state.usage + below.usage
    last = events[-1] if events else None
    return {
        "status": state.status,
        "waiting_for": state.waiting_for,
        "doing": _doing(state),
        "ended": state.ended,
        "error_code": last.code if isinstance(last, RunFailed) else None,
        "model_calls": state.model_calls + below.model_calls,
        "tool_calls": state.tool_calls + below.tool_calls,
        "input_tokens": used.input_tokens,
        "output_tokens": used.output_tokens,
        "cache_read": used.cache_read_input_tokens,
        "cache_creation": used.cache_creation_input_tokens,
        "cost_nano": state.cost_nano + below.beyond_nano,
        "reserved_usd": held.usd_nano if held else 0,
        "reserved_tokens": held.tokens if held else 0,
        "reserved_window": held.window if held else None,
    }


def _doing(state: RunState) -> str | None:
    if state.ended:
        return None
    running = [call.tool for call in state.calls if call.phase in {"requested", "delegated"}]
    if state.status != "waiting":  # one that was set aside does no more of what it was at
        if state.calling_model:
            return f"model, turn {state.turn}"
        if running:
            return f"{'undoing: ' if state.ending else ''}tool {', '.join(running)}"[:80]
    if state.questions:
        return state.questions[0].reason[:80]
    return f"tool {', '.join(running)}"[:80] if state.open_children else None
