"""The call of the model that a run's state asks for, and how long it is at most. Pure."""

from agents.core.model import ModelRequest
from agents.core.pricing import BYTES_PER_TOKEN
from agents.core.spec import AgentSpec
from agents.core.state import RunState
from agents.core.triage import effort_of, model_of


def model_request(state: RunState, spec: AgentSpec) -> ModelRequest:
    """Return the call of the model that this state asks for."""
    return ModelRequest(
        model=model_of(state, spec),
        max_tokens=state.cut_to or spec.max_tokens,
        system=spec.system,
        messages=state.messages,
        tools=spec.offered,
        output_schema=spec.output_schema,
        effort=effort_of(state, spec),
    )


def input_tokens(state: RunState, spec: AgentSpec) -> int:
    """Return a generous guess of the call's input, as `pricing.tokens_at_most` does, whatever the run's length."""
    return (spec.told_bytes + state.said_bytes) // BYTES_PER_TOKEN
