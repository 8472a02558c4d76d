"""How runs end: the reservation is settled first, the end is the last fact. Pure."""

from typing import Any

from agents.core.events import BudgetSettled, Event, RunCompleted, RunFailed
from agents.core.exact import enclose
from agents.core.state import RunState

Json = Any


def ended(state: RunState, end: Event) -> list[Event]:
    """Return the facts that end a run with `end`."""
    if state.held is None:
        return [end]
    return [BudgetSettled(usd_nano=state.cost_nano, tokens=state.spent_tokens, window=state.held.window), end]


def completed(state: RunState, output: Json) -> list[Event]:
    """Return the facts of a run that ends with an output."""
    return ended(state, RunCompleted(output=enclose(output)))


def failed(state: RunState, code: str, detail: str, suggestion: str) -> list[Event]:
    """Return the facts of a run that ends without one."""
    return ended(state, RunFailed(code=code, detail=detail, suggestion=suggestion))
