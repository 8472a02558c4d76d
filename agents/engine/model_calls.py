"""A model call as the core asks for it, and what came of it as facts."""

import json
import re
from datetime import date, datetime
from typing import Final

from agents.core.decide import lost_model_call
from agents.core.events import ModelAnswered, ModelFailed
from agents.core.exact import verbatim
from agents.core.model import ModelAnswer, ModelError, ModelRequest, Usage
from agents.core.pricing import cost, is_estimated, tokens_at_most, upper_bound
from agents.core.requests import model_request
from agents.core.spec import AgentSpec
from agents.core.state import RunState
from agents.core.triage import model_of

_CODE: Final = re.compile(r"[A-Za-z0-9_.:/@-]{1,128}\Z")


def code(given: str | None) -> str | None:
    """Return a supplier's id as records may keep it, or None when it is not of an id's form."""
    return given if given is not None and _CODE.match(given) else None


def answered(turn: int, answer: ModelAnswer, now: datetime) -> ModelAnswered:
    """Return the fact of an answer, priced by the table of the day."""
    usage: Usage = answer.usage
    on = now.date()
    return ModelAnswered(
        turn=turn,
        model=code(answer.model) or "unknown",
        stop_reason=answer.stop_reason,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_input_tokens=usage.cache_read_input_tokens,
        cache_creation_input_tokens=usage.cache_creation_input_tokens,
        cost_nano=cost(usage, answer.model, on),
        content=verbatim(list(answer.content)),
        estimated=True if is_estimated(answer.model, on) else None,
        request_id=code(answer.request_id),
        stop_details=None if answer.stop_details is None else json.loads(json.dumps(answer.stop_details)),
    )


def failed(turn: int, request: ModelRequest, error: ModelError, on: date) -> ModelFailed:
    """Return the fact of a call that failed, charged at its upper bound where the supplier may bill it."""
    fault = error.fault
    tokens = tokens_at_most(request) + request.max_tokens if fault.billed else 0
    bound = upper_bound(tokens - request.max_tokens, request.max_tokens, request.model, on) if fault.billed else 0
    return ModelFailed(
        turn=turn,
        model=request.model,
        code=fault.code,
        retryable=fault.retryable,
        error=fault.message,
        retry_after_ms=None if fault.retry_after_s is None else int(fault.retry_after_s * 1000),
        cost_nano=bound,
        tokens=tokens,
        estimated=True if fault.billed else None,
    )


def lost(state: RunState, spec: AgentSpec, on: date) -> ModelFailed:
    """Return the fact of a call in which the former worker stopped, charged at its upper bound."""
    request = model_request(state, spec)
    tokens = tokens_at_most(request)
    bound = upper_bound(tokens, request.max_tokens, request.model, on)
    return lost_model_call(state, spec, cost_nano=bound, tokens=tokens + request.max_tokens)


def most_tokens(request: ModelRequest) -> int:
    """Return how many tokens a call can use at most."""
    return tokens_at_most(request) + request.max_tokens


def unwanted(turn: int, state: RunState, spec: AgentSpec) -> ModelFailed:
    """Return the fact of a call that was intended and not made, since the run was over before: `state` says why."""
    why, ends = ("cancelled", "was cancelled") if state.cancel_requested else ("withdrawn", "was over")
    error = f"The run {ends} before the call was made."
    return ModelFailed(turn=turn, model=model_of(state, spec), code=why, retryable=True, error=error)


def withdrawn(turn: int, state: RunState, spec: AgentSpec) -> ModelFailed:
    """Return the fact of a call that was intended and not made, since the worker is stopping; another one makes it."""
    error = "The worker stopped before the call was begun."
    return ModelFailed(turn=turn, model=model_of(state, spec), code="withdrawn", retryable=True, error=error)
