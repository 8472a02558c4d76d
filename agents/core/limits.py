"""The caps of a run: what they amount to now, and the question that reaching one asks. Pure."""

from datetime import datetime

from agents.core.asking import ask
from agents.core.events import DecisionRequested
from agents.core.money import to_usd
from agents.core.spec import AgentSpec
from agents.core.state import RunState


def allowance(state: RunState, spec: AgentSpec) -> tuple[int, int]:
    """Return what the run may spend in all, in nano-USD and tokens: the agent's limit or less, and what was added."""
    usd = min(
        spec.limits.usd_nano, spec.limits.usd_nano if state.requested_usd_nano is None else state.requested_usd_nano
    )
    tokens = min(spec.limits.tokens, spec.limits.tokens if state.requested_tokens is None else state.requested_tokens)
    return usd + state.extra.usd_nano, tokens + state.extra.tokens


def missing(state: RunState, spec: AgentSpec) -> tuple[int, int] | None:
    """Return what must still be reserved of the tenant's budget before the run goes on, or None."""
    usd, tokens = allowance(state, spec)
    if state.questions:
        return None
    if state.held is None:
        return usd, tokens
    lacking = max(0, usd - state.held.usd_nano), max(0, tokens - state.held.tokens)
    return lacking if any(lacking) else None


def tenant_budget_exhausted(state: RunState, spec: AgentSpec) -> DecisionRequested:
    """Return the question that is asked when the tenant's budget does not allow the run's reservation."""
    detail = "The tenant's budget of this month does not allow this run. Raise it, then approve to try again."
    return ask(state, spec, "budget", "tenant_budget", detail, {"arguments": {}})


def reached(state: RunState, spec: AgentSpec, now: datetime) -> DecisionRequested | None:
    """Return the question for the first cap that is reached, or None."""
    limits, extra = spec.limits, state.extra
    usd, tokens = allowance(state, spec)
    if state.answers >= limits.turns + extra.turns:
        return _question(state, spec, "turns", f"The run has taken {state.answers} turns", {"turns": limits.turns})
    if state.cost_nano >= usd:
        return _question(
            state, spec, "usd", f"The run has cost {to_usd(state.cost_nano)} USD", {"usd": to_usd(usd - extra.usd_nano)}
        )
    if state.spent_tokens >= tokens:
        return _question(
            state, spec, "tokens", f"The run has used {state.spent_tokens} tokens", {"tokens": tokens - extra.tokens}
        )
    if state.started_at is not None:
        elapsed = (now - datetime.fromisoformat(state.started_at)).total_seconds() - state.waited_s
        if elapsed >= limits.seconds + extra.seconds:
            return _question(
                state, spec, "seconds", f"The run has taken {elapsed:.0f} seconds", {"seconds": limits.seconds}
            )
    return None


def _question(state: RunState, spec: AgentSpec, cap: str, so_far: str, more: dict[str, int | str]) -> DecisionRequested:
    detail = f"{so_far}, its limit. Approve to let it go on by as much again."
    return ask(state, spec, "budget", f"limit_{cap}", detail, {"arguments": more})
