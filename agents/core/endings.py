"""How runs end: what was done is undone unless the run has its output, the reservation is settled, the end comes last.

Pure.
"""

from typing import Any

from agents.core import children, compensation
from agents.core.events import BudgetSettled, Event, RunCancelled, RunCompleted, RunFailed
from agents.core.exact import enclose
from agents.core.state import RunState

Json = Any


def ended(state: RunState, end: RunCompleted | RunFailed | RunCancelled) -> list[Event]:
    """Return the facts that end a run with `end`, or the fact that it is compensated before."""
    if not isinstance(end, RunCompleted) and compensation.is_needed(state):
        return [compensation.begun(state, end)]
    end = children.marked(state, end)
    held = state.within or state.held
    if held is None:
        return [end]
    return [BudgetSettled(usd_nano=state.cost_nano, tokens=state.spent_tokens, window=held.window), end]


def completed(state: RunState, output: Json) -> list[Event]:
    """Return the facts of a run that ends with an output."""
    return ended(state, RunCompleted(output=enclose(output)))


def failed(state: RunState, code: str, detail: str, suggestion: str) -> list[Event]:
    """Return the facts of a run that ends without one."""
    return ended(state, RunFailed(code=code, detail=detail, suggestion=suggestion))
