"""The fold: a run's state from its journal, one function an event."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from agents.core import continuing, conversation, events, guidance
from agents.core.conversation import Messages
from agents.core.events import Event
from agents.core.exact import disclose, interoperable
from agents.core.lifecycle import after
from agents.core.model import Usage
from agents.core.state import (
    Below,
    Call,
    Child,
    Effect,
    Held,
    Question,
    RunState,
    did,
    did_below,
    evolve,
    settled,
    with_call,
    without,
)
from agents.core.verdicts import apply_verdict

Json = Any

#: How many past calls loop detection looks back on.
LOOP_WINDOW: Final = 30


def fold(state: RunState, event: Event) -> RunState:
    """Return the state after `event`. Raises `ImpossibleTransition` for a journal that cannot be."""
    state = evolve(state, seq=state.seq + 1, status=after(state.status, event.action))
    step = _STEPS.get(event.action)
    state = step(state, event) if step else state
    return guidance.settled(state) if state.guidance else state


def fold_all(history: Iterable[Event], state: RunState) -> RunState:
    """Fold a history onto `state`: `RunState(run_id)` for a whole one."""
    for event in history:
        state = fold(state, event)
    return state


def call_key(tool: str, arguments: Json) -> str:
    """Return a short key that is equal for equal calls."""
    known = interoperable(arguments)
    return _short_hash(f"{tool}\n{'arguments no tool can take' if known is None else known}")


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:16]


# --- one function an event ----------------------------------------------------------------------------------------


def _submitted(state: RunState, e: events.RunSubmitted) -> RunState:
    run_input = disclose(e.input)
    return evolve(
        state,
        input=run_input,
        messages=conversation.opening(run_input, e.context),
        requested_usd_nano=e.usd_nano,
        requested_tokens=e.tokens,
        deadline=e.deadline,
        start_by=e.start_by,
        parent=None if e.levels is None or e.parent is None else UUID(e.parent),
        levels=e.levels,
        is_tainted=bool(e.untrusted),
        has_read_private=bool(e.private),
        suspected=tuple(found["finder"] for found in e.guard if found["then"] == "escalate"),
        trace=e.trace,
    )


def _started(state: RunState, e: events.RunStarted) -> RunState:
    return evolve(state, started_at=e.at)


def _waiting(state: RunState, e: events.RunWaiting) -> RunState:
    retry_at = e.until if e.waiting_for == "provider" else None
    return evolve(state, waiting_for=e.waiting_for, waiting_since=e.at, retry_at=retry_at)


def _resumed(state: RunState, e: events.RunResumed) -> RunState:
    waited = state.waited_s
    if state.waiting_since and state.waiting_for in {"decision", "child"}:  # a child has a limit of its own
        waited += (datetime.fromisoformat(e.at) - datetime.fromisoformat(state.waiting_since)).total_seconds()
    # Woken early, by whatever: the failure stands until its time has come.
    early = state.retry_at is not None and datetime.fromisoformat(e.at) < datetime.fromisoformat(state.retry_at)
    failure = None if state.waiting_for == "provider" and not early else state.failure
    calls = tuple(replace(call, repeated=True) if call.phase == "requested" else call for call in state.calls)
    if state.ending is not None:  # whoever gave up what was in the air has been heard: it is recorded with this
        state = evolve(state, verdict=None, verdict_on=None)
    return evolve(state, calls=calls, waiting_for=None, waiting_since=None, waited_s=waited, failure=failure)


def _cancel_requested(state: RunState, e: events.RunCancelRequested) -> RunState:
    return evolve(state, cancel_requested=True)


def _compensating(state: RunState, e: events.RunCompensating) -> RunState:
    doubtful = [
        Effect(state.turn, call.index, call.call_id, call.tool, call.arguments, None, known=False)
        for call in state.calls
        if call.phase == "unknown" and call.tool in state.undoable
    ]
    latest = reversed((*state.effects, *doubtful))  # several runs of one call did something, too
    latest_first = sorted(latest, key=lambda each: (each.turn, each.index), reverse=True)
    undoing = tuple(
        Call(
            *(place, effect.call_id, effect.tool, effect.arguments),
            phase="proposed" if effect.known else "unknown",
            undoes=effect,
        )
        for place, effect in enumerate(latest_first)
    )
    return evolve(
        state,
        turn=e.turn,
        ending=e,
        calls=undoing,
        effects=(),
        questions=(),
        answered=None,
        failure=None,
        verdict=None,
        verdict_on=None,
    )


def _model_requested(state: RunState, e: events.ModelRequested) -> RunState:
    state = evolve(state, turn=e.turn, model=e.model, calling_model=True, cut_to=e.max_tokens)
    return evolve(state, failure=None, answered=None, calls=())


def _model_answered(state: RunState, e: events.ModelAnswered) -> RunState:
    usage = Usage(e.input_tokens, e.output_tokens, e.cache_read_input_tokens, e.cache_creation_input_tokens)
    state = evolve(
        state,
        calling_model=False,
        provider_attempts=0,
        answered=e,
        answers=state.answers + 1,
        model_calls=state.model_calls + 1,
        usage=state.usage + usage,
        spent_tokens=state.spent_tokens + usage.total,
        cost_nano=state.cost_nano + e.cost_nano,
    )
    content = disclose(e.content)
    if e.stop_reason == "pause_turn" and content:
        return evolve(state, messages=conversation.with_assistant(state.messages, content))
    uses = conversation.tool_uses(content)
    if e.stop_reason != "tool_use" or not conversation.answerable(uses):
        return state
    calls = tuple(Call(index, use["id"], use["name"], use["input"]) for index, use in enumerate(uses))
    return evolve(state, calls=calls, messages=conversation.with_assistant(state.messages, content))


def _model_failed(state: RunState, e: events.ModelFailed) -> RunState:
    of_ours = e.code in {"lost", "withdrawn"}  # it was not the supplier that failed
    return evolve(
        state,
        calling_model=False,
        failure=None if of_ours else e,
        provider_attempts=state.provider_attempts + (0 if of_ours else 1),
        retry_after_ms=e.retry_after_ms,
        model_calls=state.model_calls + 1,
        spent_tokens=state.spent_tokens + e.tokens,
        cost_nano=state.cost_nano + e.cost_nano,
    )


def _tool_requested(state: RunState, e: events.ToolRequested) -> RunState:
    state = evolve(state, tool_calls=state.tool_calls + 1)
    arguments = disclose(e.arguments) if state.ending else state.calls[e.call].arguments
    return with_call(
        state, e.call, phase="requested", agreed=None, repeated=False, tool=e.tool, digest=e.digest, arguments=arguments
    )


def _tool_denied(state: RunState, e: events.ToolDenied) -> RunState:
    if state.ending:
        return with_call(state, e.call, phase="stuck", answer=e.error)
    if e.code == events.PRINCIPAL_GONE:
        state = evolve(state, principal_gone=True)
    return settled(_remember(state, e.call, e.error), e.call, e.error, is_error=True)


def _tool_finished(state: RunState, e: events.ToolFinished) -> RunState:
    result = disclose(e.result)
    answer = conversation.result_text(result)
    state = _read(state, e)
    state = did(evolve(state, results={**state.results, e.tool: result}), e.call, result)
    if e.tool in state.failures:
        state = evolve(state, failures=without(state.failures, e.tool))
    return settled(_remember(state, e.call, answer), e.call, answer, is_error=False)


def _tool_failed(state: RunState, e: events.ToolFailed) -> RunState:
    state = _read(state, e)
    if not state.ending:
        state = evolve(state, failures={**state.failures, e.tool: state.failures.get(e.tool, 0) + 1})
    if e.fallback:
        tried = (*state.calls[e.call].tried, e.tool)
        return with_call(state, e.call, phase="proposed", tool=e.fallback, fallback=True, tried=tried, agreed=None)
    if state.ending:
        return with_call(state, e.call, phase="stuck", answer=e.error)
    return settled(_remember(state, e.call, e.error), e.call, e.error, is_error=True)


def _tool_unknown(state: RunState, e: events.ToolUnknown) -> RunState:
    return with_call(_read(state, e), e.call, phase="unknown", answer=e.error)


def _tool_compensated(state: RunState, e: events.ToolCompensated) -> RunState:
    return settled(state, e.call, conversation.result_text(disclose(e.result)), is_error=False)


def _child_started(state: RunState, e: events.ChildStarted) -> RunState:
    child = Child(UUID(e.run), e.agent, e.usd_nano, e.tokens, place=e.place, round=e.round)
    return with_call(state, e.call, phase="delegated", children=(*state.calls[e.call].children, child))


def _child_finished(state: RunState, e: events.ChildFinished) -> RunState:
    run, call = UUID(e.run), state.calls[e.call]
    children = tuple(replace(each, ended=True) if each.run == run else each for each in call.children)
    used = Usage(e.input_tokens, e.output_tokens, e.cache_read_input_tokens, e.cache_creation_input_tokens)
    below = Below(
        usage=state.below.usage + used,
        model_calls=state.below.model_calls + e.model_calls,
        tool_calls=state.below.tool_calls + e.tool_calls,
        beyond_nano=state.below.beyond_nano + e.cost_nano - e.usd_nano,
    )
    spent = {"cost_nano": state.cost_nano + e.usd_nano, "spent_tokens": state.spent_tokens + e.tokens}
    state = _read(evolve(state, below=below, **spent), e)
    state = did_below(state, e.call, e.run) if e.undoable and state.ending is None else state
    return with_call(state, e.call, children=children)


def _read(
    state: RunState, e: events.ToolFinished | events.ToolFailed | events.ToolUnknown | events.ChildFinished
) -> RunState:
    """Keep what kind of thing the run has read; it never forgets that."""
    tainted, private = state.is_tainted or bool(e.untrusted), state.has_read_private or bool(e.private)
    if (tainted, private) == (state.is_tainted, state.has_read_private):
        return state
    return evolve(state, is_tainted=tainted, has_read_private=private)


def _remember(state: RunState, index: int, answer: str) -> RunState:
    """Keep what came of a call, for loop detection."""
    call = state.calls[index]
    seen = (call_key(call.tool, call.arguments), _short_hash(answer))
    return evolve(state, recent=(*state.recent, seen)[-LOOP_WINDOW:])


def _output_accepted(state: RunState, e: events.OutputAccepted) -> RunState:
    return evolve(state, answered=None, messages=_with_answer(state))


def _output_rejected(state: RunState, e: events.OutputRejected) -> RunState:
    if e.handed_to is not None:
        # Behind an answer that paused the conversation is the model's own; the next one is asked by a user's words.
        paused = state.messages[-1]["role"] == "assistant"
        words = [conversation.text("[platform] Go on from here, and give the whole answer.")] if paused else []
        messages = conversation.with_user(state.messages, words)
        return evolve(state, answered=None, is_handed_over=True, messages=messages)
    lines = "\n".join(f"- {error['pointer'] or '/'}: {error['message']}" for error in e.errors)
    note = f"[platform] Your answer was not accepted:\n{lines}\nGive the answer again with this mended."
    messages = conversation.with_user(_with_answer(state), [conversation.text(note)])
    counted = 0 if e.code == guidance.GUIDED else 1
    return evolve(state, answered=None, rejections=state.rejections + counted, messages=messages)


def _with_answer(state: RunState) -> Messages:
    """Append the finished answer; one that was cut off or refused never enters the conversation."""
    if state.answered is None or state.answered.stop_reason not in conversation.COMPLETE:
        return state.messages
    content = disclose(state.answered.content)
    return conversation.with_assistant(state.messages, content) if content else state.messages


def _decision_requested(state: RunState, e: events.DecisionRequested) -> RunState:
    question = Question(
        *(e.escalation, e.kind, e.reason, e.call, e.digest, e.proposal, e.expires_at),
        required=e.required,
        rule=e.rule,
        excluded=tuple(e.excluded or ()),
    )
    state = evolve(state, questions=(*state.questions, question), asked=state.asked + 1)
    if e.kind == "output":  # what was answered about another one has been seen to
        state = evolve(state, verdict=None, verdict_on=None)
    if e.call is not None and state.calls[e.call].phase not in {"unknown", "stuck"}:
        state = with_call(state, e.call, phase="asked", digest=e.digest)
    return state


def _decision_made(state: RunState, e: events.DecisionMade) -> RunState:
    question = next(q for q in state.questions if q.escalation == e.escalation)
    left = tuple(q for q in state.questions if q is not question)
    state = evolve(state, questions=left)
    if e.decision == "respond":
        state = evolve(state, advisers=state.advisers | {e.by})
    return apply_verdict(state, question, e)


def _decision_answered(state: RunState, e: events.DecisionAnswered) -> RunState:
    return _with_answered(state, e.escalation, answered=True)


def _decision_undone(state: RunState, e: events.DecisionUndone) -> RunState:
    return _with_answered(state, e.escalation, answered=False)


def _with_answered(state: RunState, escalation: str, *, answered: bool) -> RunState:
    questions = (replace(q, answered=answered) if q.escalation == escalation else q for q in state.questions)
    return evolve(state, questions=tuple(questions))


def _decision_expired(state: RunState, e: events.DecisionExpired) -> RunState:
    question = next(q for q in state.questions if q.escalation == e.escalation)
    state = evolve(state, questions=tuple(q for q in state.questions if q is not question))
    if question.call is None:
        return state
    return settled(state, question.call, "Nobody approved this call in time; it was not made.", is_error=True)


def _budget_reserved(state: RunState, e: events.BudgetReserved) -> RunState:
    if e.within is not None:
        return evolve(state, within=Held(e.usd_nano, e.tokens, e.window, tuple(e.windows)))
    held = state.held or Held(0, 0, e.window, tuple(e.windows))
    return evolve(state, held=replace(held, usd_nano=held.usd_nano + e.usd_nano, tokens=held.tokens + e.tokens))


def _budget_extended(state: RunState, e: events.BudgetExtended) -> RunState:
    return evolve(state, extension=None)


def _budget_settled(state: RunState, e: events.BudgetSettled) -> RunState:
    return evolve(state, held=None, within=None)


def _ended(state: RunState, e: Event) -> RunState:
    return evolve(state, waiting_for=None, questions=(), calling_model=False)


_STEPS: dict[str, Callable[[RunState, Any], RunState]] = {
    "run.submitted": _submitted,
    "run.started": _started,
    "run.waiting": _waiting,
    "run.resumed": _resumed,
    "run.cancel_requested": _cancel_requested,
    "run.guided": guidance.guided,
    "run.retried": continuing.retried,
    "run.reversing": continuing.reversing,
    "run.compensating": _compensating,
    "run.completed": _ended,
    "run.failed": _ended,
    "run.cancelled": _ended,
    "model.requested": _model_requested,
    "model.answered": _model_answered,
    "model.failed": _model_failed,
    "tool.requested": _tool_requested,
    "tool.denied": _tool_denied,
    "tool.finished": _tool_finished,
    "tool.failed": _tool_failed,
    "tool.unknown": _tool_unknown,
    "tool.compensated": _tool_compensated,
    "child.started": _child_started,
    "child.finished": _child_finished,
    "output.accepted": _output_accepted,
    "output.rejected": _output_rejected,
    "decision.requested": _decision_requested,
    "decision.answered": _decision_answered,
    "decision.undone": _decision_undone,
    "decision.made": _decision_made,
    "decision.expired": _decision_expired,
    "budget.reserved": _budget_reserved,
    "budget.extended": _budget_extended,
    "budget.settled": _budget_settled,
}
