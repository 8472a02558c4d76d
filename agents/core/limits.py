"""The caps of a run: what they amount to now, and the question that reaching one asks. Pure."""

from datetime import date, datetime
from typing import Final

from agents.core.asking import ask
from agents.core.events import DecisionRequested
from agents.core.money import to_usd
from agents.core.pricing import input_at_most, output_price, upper_bound
from agents.core.requests import input_tokens
from agents.core.spec import AgentSpec
from agents.core.state import BUDGET_EXHAUSTED, RunState
from agents.core.triage import model_of

#: The most that a run may spend, in nano-USD and in tokens, whatever people add: records hold no larger numbers.
MOST: Final = 9 * 10**15

#: Fewer tokens than these, or than a quarter of what the agent allows, are no useful answer.
LEAST_ANSWER: Final = 1024


def allowance(state: RunState, spec: AgentSpec) -> tuple[int, int]:
    """Return what the run may spend in all, in nano-USD and tokens: the agent's limit or less, and what was added."""
    usd = min(
        spec.limits.usd_nano, spec.limits.usd_nano if state.requested_usd_nano is None else state.requested_usd_nano
    )
    tokens = min(spec.limits.tokens, spec.limits.tokens if state.requested_tokens is None else state.requested_tokens)
    return min(usd + state.extra.usd_nano, MOST), min(tokens + state.extra.tokens, MOST)


def left(state: RunState, spec: AgentSpec) -> tuple[int, int]:
    """Return what the run may still spend, in nano-USD and tokens, less what is set aside for children under way."""
    usd, tokens = allowance(state, spec)
    usd -= state.cost_nano + sum(child.usd_nano for child in state.open_children)
    tokens -= state.spent_tokens + sum(child.tokens for child in state.open_children)
    return max(0, usd), max(0, tokens)


def missing(state: RunState, spec: AgentSpec) -> tuple[int, int] | None:
    """Return what must still be reserved of the tenant's budget before the run goes on, or None.

    A child takes first what its parent has set aside for it, which the parent holds for both.
    """
    usd, tokens = allowance(state, spec)
    if state.questions:
        return None
    holds = [held for held in (state.held, state.within) if held is not None]
    if not holds:
        return usd, tokens
    lacking = max(0, usd - sum(held.usd_nano for held in holds)), max(0, tokens - sum(held.tokens for held in holds))
    return lacking if any(lacking) else None


def budget_exhausted(
    state: RunState, spec: AgentSpec, *, budget: str, rule: str, window: str, usd_nano: int, tokens: int
) -> DecisionRequested:
    """Return the question that is asked when a budget has no room for what the run must reserve.

    budget: its name, which may be a person's and so stays out of the record; rule: what it is of, and for how long;
    window: the id of its window. usd_nano, tokens: what an approval adds to that window. It is as
    much as the run reserves, so that it goes on then whatever others have spent or reserved meanwhile.
    """
    named = {"usd": to_usd(usd_nano)} if usd_nano else {}
    amounts: dict[str, int | str] = named | ({"tokens": tokens} if tokens else {})
    detail = (
        f"The budget {budget} has no room for this run. Approve to add what the run may spend to this budget, until"
        " its day or month ends; or raise the budget first, or wait until other runs have ended, and approve then."
    )
    return ask(state, spec, "budget", BUDGET_EXHAUSTED, detail, {"arguments": amounts, "window": window}, rule=rule)


def output_room(state: RunState, spec: AgentSpec, on: date) -> int:
    """Return how many tokens the next answer may take at most, so that the run stays within its limit.

    At most what the agent allows; negative when not even the request fits.
    """
    return output_within(*allowance(state, spec), state, spec, on)


def output_within(usd: int, tokens: int, state: RunState, spec: AgentSpec, on: date) -> int:
    """The same, so that the run stays within so many nano-USD and tokens in all."""
    asked = input_tokens(state, spec)
    model = model_of(state, spec)
    left, price = usd - state.cost_nano - input_at_most(asked, model, on), output_price(model, on, asked)
    bought = left // price if price else spec.max_tokens if left >= 0 else -1
    return min(spec.max_tokens, tokens - state.spent_tokens - asked, bought)


def call_at_most(asked: int, spec: AgentSpec, model: str, on: date) -> int:
    """Return the most that a call of so many tokens costs with the longest answer that is allowed, in nano-USD."""
    return upper_bound(asked, spec.max_tokens, model, on)


def least_answer(spec: AgentSpec) -> int:
    """Return how many tokens an answer must be able to take for the model to be asked at all."""
    return min(LEAST_ANSWER, max(1, spec.max_tokens // 4))


def too_little_left(state: RunState, spec: AgentSpec, on: date) -> DecisionRequested:
    """Return the question that is asked when what is left of the run's limit pays for no useful answer any more.

    It proposes as much as the limit again, or more where that were not enough for one whole answer.
    """
    usd, tokens = allowance(state, spec)
    asked = input_tokens(state, spec)
    lacks_usd = state.cost_nano + call_at_most(asked, spec, model_of(state, spec), on) - usd
    lacks_tokens = state.spent_tokens + asked + spec.max_tokens - tokens
    more: dict[str, int | str] = {}
    if lacks_usd > 0:
        more["usd"] = to_usd(max(lacks_usd, usd - state.extra.usd_nano))
    if lacks_tokens > 0:
        more["tokens"] = max(lacks_tokens, tokens - state.extra.tokens)
    so_far = f"The run has cost {to_usd(state.cost_nano)} USD and used {state.spent_tokens} tokens"
    detail = f"{so_far}; what is left pays for no whole answer of the model. Approve to add the amount proposed."
    return ask(state, spec, "budget", "limit_usd" if "usd" in more else "limit_tokens", detail, {"arguments": more})


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
