"""What happens next: the one pure function between a run's state and the engine.

`decide` looks at a state and returns a command. `Record` commands are consequences that need nothing from outside; the
engine folds them and asks again, and writes them together with the next intent, so that a step is one commit.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from agents.core import aside, calls, compensation, continuing, finishing, guidance, limits, screening, triage
from agents.core.asking import ask
from agents.core.confirming import confirmed
from agents.core.conversation import COMPLETE, tool_uses
from agents.core.endings import ended, failed
from agents.core.events import (
    PRINCIPAL_GONE,
    DecisionExpired,
    Event,
    ModelFailed,
    RunCancelled,
    RunCompensating,
)
from agents.core.exact import disclose, enclose
from agents.core.holdings import Holdings
from agents.core.output import Judgement, judge
from agents.core.spec import AgentSpec, ToolSpec
from agents.core.state import Call, Question, RunState

Json = Any

#: Attempts of one model call before a person is asked; and the back-off's first pause and cap, in seconds.
PROVIDER_ATTEMPTS = 8
BACKOFF_FIRST_S = 1.0
BACKOFF_CAP_S = 120.0

#: The longest a provider may tell a run to wait, in seconds.
LONGEST_WAIT_S = 7 * 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Record:
    """Write these facts, then decide again."""

    events: Sequence[Event]


@dataclass(frozen=True, slots=True)
class Reserve:
    """Reserve this much more of the tenant's budget: nano-USD and tokens."""

    usd_nano: int
    tokens: int


@dataclass(frozen=True, slots=True)
class CallModel:
    """Call the model for this turn. max_tokens: of its answer, where the run's limit pays for less than it may take."""

    turn: int
    max_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class CheckGrants:
    """Ask what is held of these tools now, and what the policies say, then `plan`. Undoing needs no grant: no tools."""

    tools: frozenset[UUID]


@dataclass(frozen=True, slots=True)
class Perform:
    """Make these tool calls, all at once; their intents are recorded."""

    calls: Sequence[Call]


@dataclass(frozen=True, slots=True)
class StopChildren(Perform):
    """Ask the runs of these calls to end, since this one does; their ends are waited for."""


@dataclass(frozen=True, slots=True)
class AwaitChildren:
    """Record which of these runs have ended, then decide again; when none has, park."""

    runs: frozenset[UUID]
    park: "Park"


@dataclass(frozen=True, slots=True)
class Park:
    """Let go of the run. until: when to take it up again by itself, for a timer or provider."""

    waiting_for: str
    reason: str
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """Nothing more will happen."""


Command = Record | Reserve | CallModel | CheckGrants | Perform | AwaitChildren | Park | Finished


def decide(state: RunState, spec: AgentSpec, *, now: datetime, jitter: float) -> Command:
    """Return what to do in this state.

    now: the database's time, aware. jitter: a random number in [0, 1) that spreads back-offs.
    """
    if state.ended:
        return Finished()
    if state.reverses is not None and state.ending is None:
        return Record(continuing.undone_first(state))  # whoever cancels it: half undone, it would be undone twice
    over = _over(state, spec, now) if state.ending is None else []
    if over and state.open_children:
        return StopChildren(tuple(call for call in state.calls if call.phase == "delegated"))
    if over:
        return Record(over)
    if aside.is_open(state):
        return Park("decision", aside.REASON, aside.ends_at(state))
    if state.ending is not None:
        return _on_compensation(state, spec, state.ending)
    expired = [each for each in state.questions if each.expires_at and now >= datetime.fromisoformat(each.expires_at)]
    expired = [each for each in expired if not each.answered]
    if expired:
        return Record(_expired(state, expired))
    if state.suspected and not state.questions:
        return Record([screening.question(state, spec)])
    missing = limits.missing(state, spec)
    if missing:
        return Reserve(*missing)
    if state.calls:
        return _on_calls(state, spec)
    if state.questions:
        return _park(state)
    if state.failure is not None:
        return _on_failure(state, spec, state.failure, now, jitter)
    if state.answered is not None and state.answered.stop_reason != "pause_turn":
        return Record(_on_answer(state, spec, now))
    reached = limits.reached(state, spec, now)
    return Record([reached]) if reached else _call_model(state, spec, now)


def _expired(state: RunState, questions: Sequence[Question]) -> list[Event]:
    """Return that nobody answered in time: a call is not made, an output that nobody confirmed ends the run."""
    happened: list[Event] = [DecisionExpired(escalation=each.escalation, kind=each.kind) for each in questions]
    if all(each.kind != "output" for each in questions):
        return happened
    detail = "Nobody confirmed the output in time."
    return [*happened, *failed(state, "output_rejected", detail, "Start it anew, or give people longer to confirm.")]


def _call_model(state: RunState, spec: AgentSpec, now: datetime) -> Command:
    """Call the model for as long an answer as the run's limit surely pays for; ask when that is none of use."""
    room = limits.output_room(state, spec, now.date())
    if room < limits.least_answer(spec):
        return Record([limits.too_little_left(state, spec, now.date())])
    return CallModel(state.answers + 1, room if room < spec.max_tokens else None)


def plan(state: RunState, spec: AgentSpec, held: Holdings, *, now: datetime) -> list[Event]:
    """Return what becomes of the calls that `CheckGrants` was about. held: what was found."""
    if state.ending is None:
        return calls.plan(state, spec, held, now=now)
    call = compensation.current(state)
    return compensation.plan(state, spec, call, held) if call is not None else []


def planned(state: RunState) -> list[Call]:
    """Return the calls that nothing keeps from being made but the checks."""
    return [call for call in state.calls if call.phase in calls.TO_BE_MADE]


def planned_tools(state: RunState, spec: AgentSpec) -> list[ToolSpec]:
    """Return the tools of those calls, as far as there are such tools."""
    return [spec.tools[call.tool] for call in planned(state) if call.tool in spec.tools]


def is_over(state: RunState, spec: AgentSpec, now: datetime) -> bool:
    """Say whether something outside the model's work ends the run now, so that no call of the model is wanted."""
    return state.ending is None and bool(_over(state, spec, now))


def lost_model_call(state: RunState, spec: AgentSpec, *, cost_nano: int, tokens: int) -> ModelFailed:
    """Return what a new worker records of the model call in which the former one stopped; it is made again.

    cost_nano, tokens: what it may have cost at most, which it is charged at.
    """
    return ModelFailed(
        turn=state.turn,
        model=triage.model_of(state, spec),
        code="lost",
        retryable=True,
        error="The worker stopped before the answer was recorded.",
        cost_nano=cost_nano,
        tokens=tokens,
        estimated=True,
    )


def recover(state: RunState, spec: AgentSpec, held: Holdings) -> list[Event]:
    """Return what a new worker records of the tool calls in which the former one stopped.

    A call is made again, with the same key, if it can be repeated and still may be made; else its outcome is unknown.
    What undoes something needs no grant. held: of the tools of `repeated`.
    """
    happened: list[Event] = []
    for call in calls.requested(state):
        if aside.is_given_up(state) and spec.tools[call.tool].effect == "read":
            happened.append(calls.denied(state, call, "given_up", "The run was given up before this was read again."))
        elif aside.is_given_up(state) or not spec.tools[call.tool].repeatable:
            error = "The worker stopped after the call was begun and before its result was recorded."
            happened.append(calls.unknown(state, spec, call, error))
        elif state.ending is not None:
            continue
        elif (refused := calls.taken_back(state, spec, call, held)) is not None:
            happened.append(refused)
    return happened


def repeated(state: RunState, spec: AgentSpec) -> frozenset[UUID]:
    """Return the tools of the calls that a new worker would make again if they are still granted."""
    if state.ending is not None:
        return frozenset()
    pinned = [spec.tools[call.tool] for call in calls.requested(state)]
    return frozenset(tool.id for tool in pinned if tool.repeatable)


def _over(state: RunState, spec: AgentSpec, now: datetime) -> list[Event]:
    """Return the run's end when something outside the model's work ends it."""
    in_flight = any(call.phase == "requested" for call in state.calls)
    if in_flight:
        return []
    if state.cancel_requested:
        return ended(state, RunCancelled())
    if state.principal_gone:
        detail = "The member this run acts for is no longer active in this tenant."
        return failed(state, PRINCIPAL_GONE, detail, "Start it anew for an active member.")
    if state.verdict is not None and state.verdict_on is not None:
        question, made = state.verdict_on, state.verdict
        if question.kind == "output" and made.decision in {"approve", "edit"}:
            return confirmed(state, spec, question, made, now=now)
        code = "output_rejected" if question.kind == "output" else question.reason
        return failed(state, code, made.reason or "A person ended the run.", "Read the reason given, then start anew.")
    if state.start_by and state.started_at and state.model_calls == 0 and _is_after(state.started_at, state.start_by):
        detail = f"No worker began it within {spec.limits.queued_s} seconds, as its agent's limits demand."
        return failed(state, "not_started_in_time", detail, "Start it again when there is less to do.")
    if state.deadline and now >= datetime.fromisoformat(state.deadline):
        return failed(state, "deadline_exceeded", "The run's deadline has passed.", "Start it with a later deadline.")
    return []


def _is_after(at: str, bound: str) -> bool:
    return datetime.fromisoformat(at) > datetime.fromisoformat(bound)


def _on_compensation(state: RunState, spec: AgentSpec, ending: RunCompensating) -> Command:
    call = compensation.current(state)
    if call is None:
        return Record(ended(state, compensation.end(ending, state.reverses)))
    if call.phase == "requested":
        return Perform((call,))
    if call.phase == "delegated":
        return await_stopped(state)
    if compensation.is_asked_about(state, call):
        return _park(state)
    if call.phase in {"unknown", "stuck"}:
        return Record([compensation.reconcile(state, spec, call)])
    return CheckGrants(frozenset())


def _on_calls(state: RunState, spec: AgentSpec) -> Command:
    if planned(state):
        return CheckGrants(frozenset(tool.id for tool in planned_tools(state, spec)))
    requested = calls.requested(state)
    if requested:
        return Perform(tuple(requested))
    asked_about = {question.call for question in state.questions}
    unknown = [call for call in state.calls if call.phase == "unknown" and call.index not in asked_about]
    if unknown:
        return Record([_reconcile(state, spec, unknown[0])])
    return await_children(state) if any(call.phase == "delegated" for call in state.calls) else _park(state)


def await_children(state: RunState) -> AwaitChildren:
    """Wait for the runs that calls of this turn have started, and for people, if they are asked as well."""
    open_runs = frozenset(child.run for child in state.open_children)
    until = datetime.fromisoformat(state.deadline) if state.deadline else None
    return AwaitChildren(open_runs, _park(state) if state.questions else Park("child", "children", until))


def await_stopped(state: RunState) -> AwaitChildren:
    """Wait for runs of a run that is over, asked to end or undoing what was done, for however long: their ends wake it.

    No deadline or expiry takes it up before, for either may have passed already, and would take it up at once for ever.
    """
    wanted = await_children(state)
    return replace(wanted, park=replace(wanted.park, until=None))


def _park(state: RunState) -> Park:
    """Wait for people, at the longest until a question expires or the run's deadline passes."""
    ends = [question.expires_at for question in state.questions if not question.answered]
    ends += [state.deadline] if state.ending is None else []
    until = min((datetime.fromisoformat(end) for end in ends if end), default=None)
    return Park("decision", state.questions[0].reason, until)


def _reconcile(state: RunState, spec: AgentSpec, call: Call) -> Event:
    proposal = {"tool": call.tool, "arguments": enclose(call.arguments)}
    return ask(state, spec, "reconcile", "outcome_unknown", call.answer, proposal, call=call.index, digest=call.digest)


def _on_failure(state: RunState, spec: AgentSpec, failure: ModelFailed, now: datetime, jitter: float) -> Command:
    if failure.code == "spend_limit":
        detail = "The provider's spend limit is reached. Raise it there, then approve to try again."
        return Record([ask(state, spec, "budget", "provider_spend_limit", detail, {"arguments": {}})])
    if not failure.retryable:
        detail = f"The provider refused the call: {failure.error}"
        return Record([ask(state, spec, "question", f"provider_{failure.code}", detail, {})])
    if state.provider_attempts >= PROVIDER_ATTEMPTS:
        detail = f"The provider failed {state.provider_attempts} times in a row, last with: {failure.error}"
        return Record([ask(state, spec, "question", "provider_unavailable", detail, {})])
    again = now + timedelta(seconds=back_off(state, jitter))
    if state.retry_at is not None and datetime.fromisoformat(state.retry_at) > now:
        again = datetime.fromisoformat(state.retry_at)
    return Park("provider", failure.code, _before_deadline(state, again))


def held_back(state: RunState, until: datetime) -> Park:
    """Return what to do in place of a model call while the supplier takes no more of them."""
    return Park("provider", "provider_busy", _before_deadline(state, until))


def _before_deadline(state: RunState, at: datetime) -> datetime:
    return min(at, datetime.fromisoformat(state.deadline)) if state.deadline else at


def back_off(state: RunState, jitter: float) -> float:
    """Return the pause before the next attempt, in seconds: what the provider asked for, else doubling up to a cap."""
    if state.retry_after_ms is not None:
        return min(state.retry_after_ms / 1000, LONGEST_WAIT_S) + jitter
    doubled = min(BACKOFF_CAP_S, BACKOFF_FIRST_S * 2.0 ** max(0, state.provider_attempts - 1))
    return doubled * (0.5 + jitter / 2)


_UNUSABLE = {
    "model_context_window_exceeded": "The conversation does not fit the small model's context window.",
    "max_tokens": "The answer was cut off at max_tokens and discarded. Answer more briefly.",
    "tool_use": "The answer's tool calls had no id or the same id twice and were discarded.",
}


def _on_answer(state: RunState, spec: AgentSpec, now: datetime) -> Sequence[Event]:
    answer = state.answered
    if answer is None:
        raise ValueError("There is no answer to judge.")
    if (unheard := guidance.answered_without(state)) is not None:
        return [unheard]
    if answer.stop_reason in COMPLETE:
        return finishing.on_output(state, spec, judge(spec, state, disclose(answer.content)), now=now)
    if answer.stop_reason == "refusal":
        detail = f"The model refused to go on: {answer.stop_details or 'no reason given'}"
        return [ask(state, spec, "question", "model_refused", detail, {})]
    if answer.stop_reason == "model_context_window_exceeded" and not triage.is_on(state, spec):
        detail = "The conversation no longer fits the model's context window."
        return [ask(state, spec, "question", "context_window_exceeded", detail, {})]
    if answer.stop_reason == "max_tokens" and state.cut_to is not None:
        return [limits.too_little_left(state, spec, now.date())]
    code = "bad_tool_calls" if answer.stop_reason == "tool_use" else answer.stop_reason
    judgement = Judgement(None, code, ())
    if answer.stop_reason == "tool_use" and not tool_uses(disclose(answer.content)):
        words = "The answer stopped for tool use but held no tool call."
    else:
        words = _UNUSABLE[answer.stop_reason]
    return finishing.rejected(state, spec, judgement, [{"rule": code, "pointer": "", "message": words}])
