"""What a person's answer does to a run: one function a kind of question."""

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

from agents.core import conversation
from agents.core.approvals import RULES
from agents.core.events import WORKER_DIED, DecisionMade
from agents.core.exact import disclose
from agents.core.money import from_usd
from agents.core.state import (
    BUDGET_EXHAUSTED,
    INPUT_SUSPICIOUS,
    REPEATED_FAILURE,
    Agreement,
    Extension,
    Extra,
    Question,
    RunState,
    did,
    evolve,
    settled,
    told,
    with_call,
    without,
)

Json = Any


def apply_verdict(state: RunState, question: Question, made: DecisionMade) -> RunState:
    """Return the state after `made` answered `question`, which is no longer open."""
    if state.ending is not None and question.call is not None:
        return _compensation(state, question, made)
    return _KINDS[question.kind](state, question, made)


def _final(state: RunState, question: Question, made: DecisionMade) -> RunState:
    """Keep the answer for `decide`, which ends the run by it."""
    return evolve(state, verdict=made, verdict_on=question)


def _tool_call(state: RunState, question: Question, made: DecisionMade) -> RunState:
    index = _call(question)
    if made.decision == "approve":
        return with_call(state, index, phase="approved", agreed=_agreement(question, question.digest))
    if made.decision == "edit":
        editors = (*state.calls[index].edited_by, made.by)
        changed = {"arguments": disclose(made.arguments), "edited_by": editors}
        return with_call(state, index, phase="edited", agreed=_agreement(question, None), **changed)
    if made.decision == "respond":
        return settled(state, index, f"Not executed. A person answered instead: {made.message}", is_error=True)
    return settled(state, index, f"A person rejected this call: {made.reason or 'no reason given'}", is_error=True)


def _question(state: RunState, question: Question, made: DecisionMade) -> RunState:
    if question.call is not None and question.reason == "model_asked":
        if made.decision == "respond":
            return settled(state, question.call, made.message or "", is_error=False)
        return settled(state, question.call, f"A person declined to answer: {made.reason or ''}", is_error=True)
    if made.decision == "reject":
        return _final(state, question, made)
    if question.reason == WORKER_DIED:
        return state
    if question.reason == INPUT_SUSPICIOUS:
        state = evolve(state, suspected=())
    if question.reason == REPEATED_FAILURE:
        state = evolve(state, failures=without(state.failures, state.calls[_call(question)].tool))
    if question.call is not None:
        return settled(state, question.call, f"Not executed. A person says: {made.message}", is_error=True)
    state = _extended(state, question.proposal.get("arguments", {}))
    state = evolve(state, failure=None, answered=None, provider_attempts=0)
    return told(state, f"[a person says] {made.message}") if made.message else state


def _output(state: RunState, question: Question, made: DecisionMade) -> RunState:
    if made.decision == "respond":
        return told(state, f"[a person says] {made.message}")
    return _final(state, question, made)


def _budget(state: RunState, question: Question, made: DecisionMade) -> RunState:
    if made.decision == "reject":
        return _final(state, question, made)
    amounts = disclose(made.arguments) if made.decision == "edit" else question.proposal.get("arguments", {})
    if question.reason == BUDGET_EXHAUSTED:
        return evolve(state, extension=_extension(question, amounts))
    state = evolve(_extended(state, amounts), failure=None, provider_attempts=0)
    if question.call is None:  # an answer that was cut off for want of budget is asked for anew
        return evolve(state, answered=None)
    agreed = state.calls[question.call].agreed
    phase = "proposed" if agreed is None else "edited" if agreed.digest is None else "approved"
    return with_call(state, question.call, phase=phase)  # it stays agreed to, whatever the cap on calls was


def _agreement(question: Question, digest: str | None) -> Agreement:
    return Agreement(digest, question.required, frozenset((question.rule or "").split(RULES)))


def _compensation(state: RunState, question: Question, made: DecisionMade) -> RunState:
    index = _call(question)
    undone = state.calls[index].undoes
    if question.kind == "tool_call" and made.decision == "approve":
        return with_call(state, index, phase="approved", agreed=_agreement(question, question.digest))
    if question.reason == "outcome_unknown" and undone is not None and made.decision == "approve":
        return with_call(state, index, phase="proposed", undoes=replace(undone, result=_result(made), known=True))
    if question.kind == "reconcile" and question.reason != "outcome_unknown" and made.decision == "reject":
        return with_call(state, index, phase="proposed", fallback=False)
    return settled(state, index, "", is_error=False)


def _result(made: DecisionMade) -> Json:
    return disclose(made.output) if made.output is not None else made.message


def _reconcile(state: RunState, question: Question, made: DecisionMade) -> RunState:
    index = _call(question)
    if made.decision == "approve":
        result = _result(made)
        state = did(state, index, result)
        if made.output is not None:
            state = evolve(state, results={**state.results, state.calls[index].tool: result})
        answer = conversation.result_text(result if result is not None else "The call had its effect.")
        return settled(state, index, answer, is_error=False)
    if made.decision == "reject":
        return with_call(state, index, phase="proposed", answer="")
    answer = f"It is not known whether the call had its effect: {made.message}\n[the call] {state.calls[index].answer}"
    return settled(did(state, index, None, known=False), index, answer, is_error=True)


def _extended(state: RunState, amounts: dict[str, Json]) -> RunState:
    """Add what a proposal's `arguments` name to the run's limits; money is a decimal string there."""
    named = {field.name for field in fields(Extra)}
    added = {name: getattr(state.extra, name) + amount for name, amount in amounts.items() if name in named}
    if "usd" in amounts:
        added["usd_nano"] = state.extra.usd_nano + from_usd(amounts["usd"])
    return evolve(state, extra=replace(state.extra, **added))


def _extension(question: Question, amounts: dict[str, Json]) -> Extension:
    """Return what the engine is to add to the budget's window that had no room."""
    usd_nano, tokens = from_usd(amounts.get("usd", 0)), int(amounts.get("tokens", 0))
    return Extension(question.escalation, question.proposal["window"], usd_nano, tokens)


def _call(question: Question) -> int:
    if question.call is None:
        raise ValueError(f"A question of kind {question.kind} must name its call.")
    return question.call


_KINDS: dict[str, Callable[[RunState, Question, DecisionMade], RunState]] = {
    "tool_call": _tool_call,
    "question": _question,
    "output": _output,
    "budget": _budget,
    "reconcile": _reconcile,
}
