"""A small model goes first, and hands what is beyond it to the agent's own. Pure.

Both get the same prompt and tools, and what the tools said stays said: only the small one's last answer is left out, so
that the large one is led by nobody. A run hands over once, and stays with the large model.
"""

from collections.abc import Mapping
from typing import Any, Final

from agents.core import rules
from agents.core.spec import AgentSpec
from agents.core.state import RunState

Json = Any

#: The code of an answer that is in order, and that the agent's `triage.escalate_when` hands over all the same.
HANDED: Final = "triage"


def is_on(state: RunState, spec: AgentSpec) -> bool:
    """Say whether the small model is at work. A run that began with the large one stays with it."""
    return spec.triage is not None and not state.is_handed_over and state.model in (None, spec.triage.model)


def model_of(state: RunState, spec: AgentSpec) -> str:
    """Return the id of the model that is asked next."""
    return spec.triage.model if spec.triage is not None and is_on(state, spec) else spec.model


def effort_of(state: RunState, spec: AgentSpec) -> str | None:
    """Return the effort that it is asked for: the agent's own is of its own model."""
    return None if is_on(state, spec) else spec.effort


def wants_more(state: RunState, spec: AgentSpec, output: Json) -> bool:
    """Say whether the small model's answer goes to the large one. What cannot be told does."""
    if spec.triage is None or not is_on(state, spec):
        return False
    values: Mapping[str, Json] = {"input": state.input, "output": output, "tools": dict(state.results)}
    return rules.asks(spec.triage.escalate_when, rules.OUTPUT_RULE, values)
