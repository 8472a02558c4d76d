"""The call of the model that a run's state asks for. Pure."""

from agents.core.model import ModelRequest
from agents.core.spec import AgentSpec
from agents.core.state import RunState


def model_request(state: RunState, spec: AgentSpec) -> ModelRequest:
    """Return the call of the model that this state asks for."""
    return ModelRequest(
        model=spec.model,
        max_tokens=state.cut_to or spec.max_tokens,
        system=spec.system,
        messages=state.messages,
        tools=spec.offered,
        output_schema=spec.output_schema,
        effort=spec.effort,
    )
