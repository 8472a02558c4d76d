"""Runs that are set aside: their workers died or failed one after the other without getting them any further. Pure.

Folding such a run may be what kills, so it is set aside by what its records say without their payloads: its outline.
What an answer does, and why nothing is folded for it: docs/adr/0011.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID, uuid5

from agents.core import children
from agents.core.asking import proposal_digest
from agents.core.events import (
    WORKER_DIED,
    BudgetSettled,
    DecisionMade,
    DecisionRequested,
    Event,
    ModelFailed,
    RunCompensating,
    RunFailed,
    RunResumed,
    RunStarted,
    RunWaiting,
)
from agents.core.lifecycle import ImpossibleTransition, after
from agents.core.model import Usage
from agents.core.state import Below, Call, Child, Held, Question, RunState, evolve

Json = Any
Facts = Mapping[str, Json]

REASON: Final = WORKER_DIED

_TOKENS: Final = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")

#: The answers that the question takes: try again, try again and say why, give the run up.
ALLOWED: Final = ("approve", "respond", "reject")


def is_open(state: RunState) -> bool:
    """Say whether the run is set aside and nobody has said yet what becomes of it."""
    return any(question.reason == REASON for question in state.questions)


def is_given_up(state: RunState) -> bool:
    """Say whether somebody ends the run while it is set aside, so that nothing it was at may be tried again."""
    rejected = state.verdict_on is not None and state.verdict_on.reason == REASON
    return rejected or (state.cancel_requested and state.ending is None and is_open(state))


def ends_at(state: RunState) -> datetime | None:
    """Return when a run that waits here ends by itself: at its deadline.

    With a call in the air not even then, for it is not known what that did; nor while it is undone.
    """
    in_the_air = state.ending is not None or any(call.phase == "requested" for call in state.calls)
    return datetime.fromisoformat(state.deadline) if state.deadline and not in_the_air else None


def is_over(state: RunState, now: datetime) -> bool:
    """Say whether the run was set aside until its deadline, and that has passed."""
    end = ends_at(state)
    return is_open(state) and end is not None and now >= end


# --- without folding -----------------------------------------------------------------------------------------------


def outline(run_id: UUID, records: Iterable[tuple[str, Facts]]) -> RunState:
    """Return what can be known of a run by the facts of its records alone, whatever else they hold.

    records: (action, facts) in their order. What follows from it: its status, its questions' reasons, what it spent,
    what was in the air. Facts that are not there, or not what they are to be, say nothing; that their record was
    written still counts.
    """
    state = RunState(run_id)
    for action, facts in records:
        state = _moved(state, action)
        try:
            state = _STEPS.get(action, _nothing)(state, facts)
        except (AttributeError, TypeError, ValueError, ArithmeticError):  # that is no object, no number, no time
            state = _STEPS.get(action, _nothing)(state, {})
    return state


def set_aside(state: RunState, *, epoch: int, tries: int, review: Mapping[str, Json], at: str) -> list[Event]:
    """Return the facts that park the run for a person; one who was asked already is not asked again.

    state: its outline. tries: how often it was taken up in vain. review: the agent's. at: ISO time.
    """
    asked = [] if is_open(state) else [_question(state, epoch, tries, review)]
    return [*taken_up(state, epoch, at), *asked, RunWaiting(waiting_for="decision", reason=REASON, at=at)]


def given_up(state: RunState, *, epoch: int, at: str) -> list[Event]:
    """Return the facts that end a run which cannot even be folded to end it.

    state: its outline. It fails, also when it was cancelled: a cancellation has no words to say what was left behind.
    """
    happened = taken_up(state, epoch, at)
    holds = [held for held in (state.within, state.held) if held is not None]
    if holds:
        below = state.open_children  # nobody waits for their ends, so what they may have cost is charged
        usd_nano = state.cost_nano + sum(child.usd_nano for child in below)
        tokens = state.spent_tokens + sum(child.tokens for child in below)
        if state.calling_model:
            lost = _lost(state, holds)
            happened.append(lost)
            usd_nano, tokens = usd_nano + lost.cost_nano, tokens + lost.tokens
        happened.append(BudgetSettled(usd_nano=usd_nano, tokens=tokens, window=holds[0].window))
    detail = "No worker could go on with it, and a person gave it up. What its tools had done was not undone."
    end = RunFailed(code=REASON, detail=detail, suggestion="See what its tools did, then start anew.")
    return [*happened, children.marked(state, end)]


def taken_up(state: RunState, epoch: int, at: str) -> list[Event]:
    """Return what is recorded when a worker takes up a run of this status."""
    if state.status == "queued":
        return [RunStarted(epoch=epoch, at=at)]
    return [RunResumed(epoch=epoch, reason="woken" if state.status == "waiting" else "lease_expired", at=at)]


def _lost(state: RunState, holds: Sequence[Held]) -> ModelFailed:
    """Return the call of the model that was under way, charged at all that is left of what the run reserved.

    What it may have cost at most, only its request and the run's version tell, and either may be what kills.
    """
    return ModelFailed(
        turn=state.turn,
        model="unknown",
        code="lost",
        retryable=True,
        error="The worker stopped before the answer was recorded.",
        cost_nano=max(0, sum(held.usd_nano for held in holds) - state.cost_nano),
        tokens=max(0, sum(held.tokens for held in holds) - state.spent_tokens),
        estimated=True,
    )


def _question(state: RunState, epoch: int, tries: int, review: Mapping[str, Json]) -> DecisionRequested:
    detail = (
        f"{tries} workers in a row died or failed on this run without getting it any further. "
        "Approve to try again, reject to give it up."
    )
    return DecisionRequested(
        escalation=str(uuid5(state.run_id, f"aside {epoch}")),
        kind="question",
        reason=REASON,
        allowed=ALLOWED,
        turn=state.turn,
        detail=detail,
        digest=proposal_digest({}),
        proposal={},
        queue=review.get("queue"),
        due_s=review.get("due_s"),
    )


def _moved(state: RunState, action: str) -> RunState:
    try:
        status = after(state.status, action)
    except ImpossibleTransition:
        status = state.status
    return evolve(state, seq=state.seq + 1, status=status)


def _nothing(state: RunState, facts: Facts) -> RunState:
    return state


def _submitted(state: RunState, facts: Facts) -> RunState:
    deadline = facts.get("deadline")
    if deadline is not None and datetime.fromisoformat(deadline).tzinfo is None:
        raise ValueError("a time of no zone")
    state = _read(evolve(state, deadline=deadline), facts)
    if facts.get("levels") is None or facts.get("parent") is None:
        return state
    return evolve(state, parent=UUID(facts["parent"]), levels=_number(facts, "levels"))


def _cancel_requested(state: RunState, facts: Facts) -> RunState:
    return evolve(state, cancel_requested=True)


def _model_requested(state: RunState, facts: Facts) -> RunState:
    return evolve(state, turn=_number(facts, "turn", state.turn + 1), calling_model=True, calls=())


def _model_answered(state: RunState, facts: Facts) -> RunState:
    return _spent(state, facts, Usage(*(_number(facts, name) for name in _TOKENS)))


def _model_failed(state: RunState, facts: Facts) -> RunState:
    return evolve(_spent(state, facts, Usage()), spent_tokens=state.spent_tokens + _number(facts, "tokens"))


def _spent(state: RunState, facts: Facts, usage: Usage) -> RunState:
    return evolve(
        state,
        calling_model=False,
        model_calls=state.model_calls + 1,
        usage=state.usage + usage,
        spent_tokens=state.spent_tokens + usage.total,
        cost_nano=state.cost_nano + _number(facts, "cost_nano"),
    )


def _tool_requested(state: RunState, facts: Facts) -> RunState:
    # One without its number stays in the air: no outcome is known to be its.
    made = Call(_number(facts, "call", -1), "", _word(facts, "tool"), None, phase="requested")
    state = _landed(state, facts)
    return evolve(state, calls=(*state.calls, made), tool_calls=state.tool_calls + 1)


def _landed(state: RunState, facts: Facts) -> RunState:
    return evolve(state, calls=tuple(call for call in state.calls if call.index != facts.get("call")))


def _came(state: RunState, facts: Facts) -> RunState:
    return _landed(_read(state, facts), facts)


def _read(state: RunState, facts: Facts) -> RunState:
    tainted, private = bool(facts.get("untrusted")), bool(facts.get("private"))
    return evolve(state, is_tainted=state.is_tainted or tainted, has_read_private=state.has_read_private or private)


def _child_started(state: RunState, facts: Facts) -> RunState:
    if facts.get("run") is None:
        return state
    child = Child(UUID(facts["run"]), _word(facts, "agent"), _number(facts, "usd_nano"), _number(facts, "tokens"))
    calls = tuple(
        replace(call, phase="delegated", children=(*call.children, child)) if call.index == facts.get("call") else call
        for call in state.calls
    )
    return evolve(state, calls=calls)


def _child_finished(state: RunState, facts: Facts) -> RunState:
    if facts.get("run") is None:
        return state
    run = UUID(facts["run"])
    calls = tuple(
        replace(call, children=tuple(replace(each, ended=each.ended or each.run == run) for each in call.children))
        for call in state.calls
    )
    usd_nano, cost_nano = _number(facts, "usd_nano"), _number(facts, "cost_nano")
    used = Usage(*(_number(facts, name) for name in _TOKENS))
    below = Below(
        usage=state.below.usage + used,
        model_calls=state.below.model_calls + _number(facts, "model_calls"),
        tool_calls=state.below.tool_calls + _number(facts, "tool_calls"),
        beyond_nano=state.below.beyond_nano + cost_nano - usd_nano,
    )
    spent = {"cost_nano": state.cost_nano + usd_nano, "spent_tokens": state.spent_tokens + _number(facts, "tokens")}
    return _read(evolve(state, calls=calls, below=below, **spent), facts)


def _asked(state: RunState, facts: Facts) -> RunState:
    question = Question(_word(facts, "escalation"), _word(facts, "kind"), _word(facts, "reason"), None, "", {})
    return evolve(state, questions=(*state.questions, question), asked=state.asked + 1)


def _answered(state: RunState, facts: Facts) -> RunState:
    question = next((each for each in state.questions if each.escalation == facts.get("escalation")), None)
    state = evolve(state, questions=tuple(each for each in state.questions if each is not question))
    if question is None or question.reason != REASON or facts.get("decision") != "reject":
        return state
    made = DecisionMade(
        escalation=question.escalation, kind=question.kind, decision="reject", by=_word(facts, "by"), digest=""
    )
    return evolve(state, verdict=made, verdict_on=question)


def _reserved(state: RunState, facts: Facts) -> RunState:
    if state.held is None and "window" not in facts:
        return state
    if facts.get("within") is not None:
        windows = tuple(str(UUID(each)) for each in facts.get("windows", ()))
        amounts = _number(facts, "usd_nano"), _number(facts, "tokens")
        return evolve(state, within=Held(*amounts, date.fromisoformat(facts["window"]).isoformat(), windows))
    windows = tuple(str(UUID(each)) for each in facts.get("windows", ()))
    held = state.held or Held(0, 0, date.fromisoformat(facts["window"]).isoformat(), windows)
    usd_nano, tokens = _number(facts, "usd_nano"), _number(facts, "tokens")
    return evolve(state, held=replace(held, usd_nano=held.usd_nano + usd_nano, tokens=held.tokens + tokens))


def _settled(state: RunState, facts: Facts) -> RunState:
    return evolve(state, held=None, within=None)


def _compensating(state: RunState, facts: Facts) -> RunState:
    ending = RunCompensating(
        turn=_number(facts, "turn", state.turn),
        calls=_number(facts, "calls"),
        status=_word(facts, "status", "failed"),
        code=facts.get("code"),
    )
    return evolve(state, ending=ending, calls=(), questions=(), cancel_requested=False, verdict=None, verdict_on=None)


def _resumed(state: RunState, facts: Facts) -> RunState:
    return state if state.ending is None else evolve(state, verdict=None, verdict_on=None)


def _number(facts: Facts, name: str, otherwise: int = 0) -> int:
    return int(facts.get(name, otherwise))


def _word(facts: Facts, name: str, otherwise: str = "") -> str:
    return str(facts.get(name, otherwise))


_STEPS: Final = {
    "run.submitted": _submitted,
    "run.cancel_requested": _cancel_requested,
    "run.compensating": _compensating,
    "run.resumed": _resumed,
    "model.requested": _model_requested,
    "model.answered": _model_answered,
    "model.failed": _model_failed,
    "tool.requested": _tool_requested,
    "tool.denied": _landed,
    "tool.finished": _came,
    "tool.failed": _came,
    "tool.unknown": _came,
    "tool.compensated": _landed,
    "child.started": _child_started,
    "child.finished": _child_finished,
    "decision.requested": _asked,
    "decision.made": _answered,
    "decision.expired": _answered,
    "budget.reserved": _reserved,
    "budget.settled": _settled,
}
