"""A kind of tools that a test plays, and its calls made by `perform`."""

from collections.abc import Callable
from typing import Any

from agents.tools.perform import Bounds, perform
from agents.tools.seam import (
    ConfigProblem,
    Finished,
    Outcome,
    ToolCall,
    ToolContext,
    ToolDefinition,
)
from tests.agents.tools.contexts import Context, call_of

SECRET = "hunter2/\u00e9+?secret"


class Kind:
    """A kind that does what the test says, in the caller's thread."""

    bounds_itself = True

    def __init__(self, *acts: Callable[[ToolCall, ToolContext], Outcome]) -> None:
        self.acts = list(acts)
        self.calls = 0

    def problems(self, definition: ToolDefinition) -> list[ConfigProblem]:
        """Nothing is wrong."""
        return []

    def call(self, call: ToolCall, context: ToolContext) -> Outcome:
        """Do the next act; the last one again and again."""
        self.calls += 1
        return self.acts[min(self.calls, len(self.acts)) - 1](call, context)


def gives(outcome: Outcome) -> Callable[[ToolCall, ToolContext], Outcome]:
    return lambda call, context: outcome


def run(kind: Kind, context: Context | None = None, **spec: Any) -> tuple[Outcome, list[float]]:
    pauses: list[float] = []
    bounds = spec.pop("bounds", Bounds())
    outcome = perform(
        call_of("x", {}, {}, **spec),
        context or Context(),
        registry={"x": kind},
        bounds=bounds,
        sleep=pauses.append,
        jitter=lambda: 1.0,
    )
    return outcome, pauses


def result_of(value: Any, **spec: Any) -> Outcome:
    return run(Kind(gives(Finished(value))), **spec)[0]
