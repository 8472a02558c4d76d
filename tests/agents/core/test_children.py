"""What runs set aside for those that they start: whatever these spend, never more together than the one at the top."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.core import calls, children, limits
from agents.core.children import Callee, Callees, Ended
from agents.core.decide import StopChildren, await_stopped, decide
from agents.core.events import (
    BudgetReserved,
    BudgetSettled,
    ChildStarted,
    RunCancelRequested,
    RunCompleted,
    RunSubmitted,
)
from agents.core.fold import fold_all
from agents.core.holdings import Holdings
from agents.core.spec import AgentSpec, Limits, ToolSpec
from agents.core.state import Call, Question, RunState, evolve
from tests.agents.core.simulation import START, agent, tool

CLERK = UUID(int=7)


ASK = tool("ask", type="agent", agent={"name": "clerk"})


def may_spend(usd_nano: int, tokens: int, *tools: ToolSpec) -> AgentSpec:
    """An agent that may spend so much."""
    return agent(*tools, limits=replace(Limits(), usd_nano=usd_nano, tokens=tokens))


amounts = st.integers(min_value=1, max_value=10**11)


def begun(spec: AgentSpec) -> RunState:
    """A run that holds all that it may spend."""
    submitted = RunSubmitted(agent=str(CLERK), version=1, principal="user:x", requested_by="user:x", input={})
    usd_nano, tokens = spec.limits.usd_nano, spec.limits.tokens
    reserved = BudgetReserved(usd_nano=usd_nano, tokens=tokens, window="2026-11-01")
    return fold_all([submitted, reserved], RunState(uuid4()))


def planned(state: RunState, spec: AgentSpec, callee: AgentSpec, count: int) -> tuple[RunState, list[ChildStarted]]:
    """Let the model make so many calls of the agent in one turn."""
    state = evolve(state, calls=tuple(Call(index, f"call{index}", "ask", {"case": index}) for index in range(count)))
    known = Callees({"clerk": Callee(CLERK, uuid4(), callee, True)}, {index: [uuid4()] for index in range(count)})
    held = replace(Holdings.assumed([ASK.id]), callees=known)
    happened = calls.plan(state, spec, held, now=START)
    return fold_all(happened, state), [event for event in happened if isinstance(event, ChildStarted)]


@given(amounts, amounts, amounts, amounts, st.lists(st.floats(0, 1.5), min_size=1, max_size=8))
def test_a_run_and_its_children_never_pass_its_limit(
    usd: int, tokens: int, child_usd: int, child_tokens: int, spends: list[float]
) -> None:
    """Some spend more than was set aside, as a person let them: that does not count on the parent."""
    spec = may_spend(usd, tokens, ASK)
    state, started = planned(begun(spec), spec, may_spend(child_usd, child_tokens), len(spends))
    assert sum(each.usd_nano for each in started) <= usd
    assert sum(each.tokens for each in started) <= tokens
    assert all(each.usd_nano <= child_usd and each.tokens <= child_tokens for each in started)
    if started:
        assert min(limits.left(state, spec)) > 0, "nothing is left for the run itself"
    for each, share in zip(started, spends, strict=False):
        spent = BudgetSettled(usd_nano=int(each.usd_nano * share), tokens=int(each.tokens * share), window="2026-11-01")
        ended = Ended(UUID(each.run), RunCompleted(output="x"), spent, spent.usd_nano, {})
        state = fold_all([children.finished(state, ended)], state)
    assert state.cost_nano <= usd
    assert state.spent_tokens <= tokens
    paid = sum(int(each.usd_nano * share) for each, share in zip(started, spends, strict=False))
    assert state.cost_nano + state.below.beyond_nano == paid
    assert limits.missing(state, spec) is None
    assert limits.left(state, spec) == (usd - state.cost_nano, tokens - state.spent_tokens)


def test_calls_of_agents_share_evenly_and_leave_as_much_for_the_run() -> None:
    spec = may_spend(10**9, 10**6, ASK)
    _, started = planned(begun(spec), spec, may_spend(10**10, 10**7), 3)
    assert [each.usd_nano for each in started] == [250_000_000] * 3


@pytest.mark.parametrize(
    ("usd_nano", "tokens"), [(10**8, 10**6), (10**10, 4000)], ids=["too little money", "too few tokens"]
)
def test_no_run_is_started_whose_share_pays_for_no_useful_answer(usd_nano: int, tokens: int) -> None:
    """It could only ask a person for more, and so could each of forty; the model is told, and the others share."""
    spec = may_spend(usd_nano, tokens, ASK)
    state, started = planned(begun(spec), spec, may_spend(10**11, 10**7), 40)
    assert 0 < len(started) < 40
    assert min(each.tokens for each in started) >= 250
    assert min(each.usd_nano for each in started) >= 10**7
    refused = {call.answer for call in state.calls if not call.children}
    assert refused == {"What is left of what this run may spend pays for no run of the agent clerk."}


def test_an_agent_whose_own_limit_is_that_low_asks_for_itself() -> None:
    spec = may_spend(10**10, 10**6, ASK)
    _, started = planned(begun(spec), spec, may_spend(1000, 10**7), 1)
    assert [each.usd_nano for each in started] == [1000]


def test_a_child_may_go_less_deep_than_its_parent() -> None:
    spec = may_spend(1000, 1000, ASK)
    state = begun(spec)
    assert children.levels(state, spec) == 3
    assert children.levels(evolve(state, levels=1), spec) == 1


@pytest.mark.parametrize("asked", [False, True], ids=["nothing asked", "a question open"])
@pytest.mark.parametrize("cancelled", [False, True], ids=["past its deadline", "cancelled"])
def test_a_run_that_is_over_waits_for_those_it_started_however_long(asked: bool, cancelled: bool) -> None:
    """Its deadline, or a question's expiry, has passed: to wait until then were to be taken up at once, for ever."""
    spec = may_spend(10**10, 10**6, ASK)
    state, _ = planned(begun(spec), spec, may_spend(10**10, 10**6), 1)
    past = (START - timedelta(hours=1)).isoformat()
    state = fold_all([RunCancelRequested(by="user:x")] if cancelled else [], state)
    state = evolve(state, deadline=None if cancelled else past)
    if asked:
        question = Question("q", "question", "model_asked", None, "", {}, expires_at=past)
        state = evolve(state, questions=(question,))
    assert isinstance(decide(state, spec, now=START, jitter=0), StopChildren)
    wanted = await_stopped(state)
    assert wanted.runs == {child.run for child in state.open_children}
    assert wanted.park.until is None
