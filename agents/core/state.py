"""Where a run stands, as one frozen value made by `agents.core.fold`.

It holds what decisions need and nothing that grows with the run but the conversation itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal
from uuid import UUID

from agents.core import conversation, events
from agents.core.conversation import Messages
from agents.core.exact import readable
from agents.core.lifecycle import TERMINAL, Status
from agents.core.model import Usage

Json = Any

#: Why a run waits that a budget of its tenant, its agent or whom it acts for has no room for.
BUDGET_EXHAUSTED: Final = "budget_exhausted"

#: Why a run waits one of whose tools has failed again and again.
REPEATED_FAILURE: Final = "repeated_failure"

#: Why a run waits whose input holds what its agent's guards ask about.
INPUT_SUSPICIOUS: Final = "input_suspicious"

Phase = Literal["proposed", "approved", "edited", "asked", "requested", "delegated", "unknown", "stuck", "settled"]


@dataclass(frozen=True, slots=True)
class Effect:
    """What a call did that the run may have to undo. known: False while nobody knows whether it did.

    run: a run that the call started and that did it, which another run undoes.
    """

    turn: int
    index: int
    call_id: str
    tool: str
    arguments: Json
    result: Json
    known: bool = True
    run: str | None = None


@dataclass(frozen=True, slots=True)
class Agreement:
    """What people have agreed to, until the call is made or becomes another one.

    digest: of the very call; None for one whose arguments a person has changed, who agrees to it for themselves alone.
    required: how many had to agree. rules: what they were asked because of.
    """

    digest: str | None
    required: int
    rules: frozenset[str]


@dataclass(frozen=True, slots=True)
class Child:
    """A run that a tool call started. agent: the id of its agent. usd_nano, tokens: what is set aside for it.

    ended: whether what came of it is recorded. place, round: see `events.ChildStarted`.
    """

    run: UUID
    agent: str
    usd_nano: int
    tokens: int
    ended: bool = False
    place: int = 0
    round: int = 1


@dataclass(frozen=True, slots=True)
class Below:
    """What a run's children used in all. beyond_nano: of their cost, what does not count on the run's own limit."""

    usage: Usage = field(default_factory=Usage)
    model_calls: int = 0
    tool_calls: int = 0
    beyond_nano: int = 0


@dataclass(frozen=True, slots=True)
class Call:
    """One tool call of the current turn.

    tool: the tool that is tried now; fallback: whether in place of one that failed; arguments as the model gave them.
    phase: proposed → (asked → approved or edited) → requested → settled; `unknown` when its outcome is; `delegated` in
    place of requested while runs that it started, its children, are at it.
    tried: the tools that failed before it, in order.
    repeated: whether it was begun before, by a worker that stopped within it.
    digest: what a question about it is bound to; agreed: what came of it. answer, is_error: what the model is told once
    settled.
    undoes: what a compensating call is to undo; such a call is `stuck` when it failed.
    edited_by: who changed its arguments, each in turn; what is told then says so.
    """

    index: int
    call_id: str
    tool: str
    arguments: Json
    phase: Phase = "proposed"
    fallback: bool = False
    tried: tuple[str, ...] = ()
    repeated: bool = False
    digest: str | None = None
    agreed: Agreement | None = None
    answer: str = ""
    is_error: bool = False
    undoes: Effect | None = None
    edited_by: tuple[str, ...] = ()
    children: tuple[Child, ...] = ()

    @property
    def told(self) -> str:
        """What the model is told came of it."""
        if not self.edited_by:
            return self.answer
        changed = f"[platform] A person changed this call's arguments before it was made: {readable(self.arguments)}"
        return f"{changed}\n{self.answer}"


@dataclass(frozen=True, slots=True)
class Question:
    """An open decision. proposal: what an approval would bring about; expires_at: ISO time, or None for never.

    required: how many must approve; rule: because of what. answered: whether somebody has answered, who may still take
    it back. excluded: who may not answer, beside whom the run acts for.
    """

    escalation: str
    kind: str
    reason: str
    call: int | None
    digest: str
    proposal: Json
    expires_at: str | None = None
    required: int = 1
    rule: str | None = None
    answered: bool = False
    excluded: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Extra:
    """What people have added to the limits of this run."""

    turns: int = 0
    tool_calls: int = 0
    usd_nano: int = 0
    tokens: int = 0
    seconds: int = 0
    validation_retries: int = 0


@dataclass(frozen=True, slots=True)
class Held:
    """What the run holds of its tenant's budget. windows: the ids of the windows, where more than the month counts."""

    usd_nano: int
    tokens: int
    window: str
    windows: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Extension:
    """What a person lets be spent more in a budget's window, until the engine has added it there."""

    escalation: str
    window: str
    usd_nano: int
    tokens: int


@dataclass(frozen=True)
class RunState:
    """See the module. Times are ISO strings of the database's clock, as the events carry them.

    cut_to: what the latest answer may take, in tokens, where that is less than the agent allows.
    results: the latest result of each tool, for rules over `tools`. recent: what came of the latest calls.
    failures: how often each tool has failed since it last answered, or since people were asked about that.
    undoable: the tools whose calls can be undone; effects: what those did. ending: how the run ends once it is undone.
    said_bytes: how long `messages` are as JSON, counted as they come: nobody writes out a long conversation to know.
    model: the one asked last; is_handed_over: whether a small model has handed over to the agent's own.
    suspected: what a person has to look at in the input before the model reads it: the finders' names.
    is_tainted: whether the model has read what an untrusted tool said; has_read_private: whether something private.
    parent, levels: of a run that a tool call started, see `events.RunSubmitted`. within: what of its parent's
    reservation is set aside for it, once it has taken it; `held` then is what people added, beside that. below: what
    its own children used, whose cost up to what is set aside for them is in `cost_nano` and `spent_tokens`, too.
    trace: see `events.RunSubmitted`. guidance: what people have said that stands in no message yet. guides: who has
    ever said so, as opaque ids; advisers: who has answered a question in words. reverses: the run whose effects this
    one undoes.
    """

    run_id: UUID
    undoable: frozenset[str] = frozenset()
    seq: int = 0
    status: Status = "queued"
    waiting_for: str | None = None
    input: Json = None
    suspected: tuple[str, ...] = ()
    messages: Messages = ()
    said_bytes: int = 0
    turn: int = 0
    model: str | None = None
    is_handed_over: bool = False
    answers: int = 0
    calling_model: bool = False
    cut_to: int | None = None
    provider_attempts: int = 0
    retry_after_ms: int | None = None
    retry_at: str | None = None
    failure: events.ModelFailed | None = None
    answered: events.ModelAnswered | None = None
    calls: tuple[Call, ...] = ()
    questions: tuple[Question, ...] = ()
    asked: int = 0
    verdict: events.DecisionMade | None = None
    verdict_on: Question | None = None
    rejections: int = 0
    model_calls: int = 0
    tool_calls: int = 0
    usage: Usage = field(default_factory=Usage)
    cost_nano: int = 0
    spent_tokens: int = 0
    requested_usd_nano: int | None = None
    requested_tokens: int | None = None
    extra: Extra = field(default_factory=Extra)
    held: Held | None = None
    extension: Extension | None = None
    start_by: str | None = None
    started_at: str | None = None
    waiting_since: str | None = None
    waited_s: float = 0.0
    deadline: str | None = None
    cancel_requested: bool = False
    principal_gone: bool = False
    recent: tuple[tuple[str, str], ...] = ()
    failures: Mapping[str, int] = field(default_factory=dict)
    results: Mapping[str, Json] = field(default_factory=dict)
    effects: tuple[Effect, ...] = ()
    ending: events.RunCompensating | None = None
    is_tainted: bool = False
    has_read_private: bool = False
    parent: UUID | None = None
    levels: int | None = None
    within: Held | None = None
    below: Below = field(default_factory=Below)
    guidance: tuple[str, ...] = ()
    guides: frozenset[str] = frozenset()
    advisers: frozenset[str] = frozenset()
    reverses: str | None = None
    trace: str | None = None

    @property
    def open_children(self) -> tuple[Child, ...]:
        """The runs that calls of this turn started and that have not ended, as far as is known here."""
        return tuple(child for call in self.calls for child in call.children if not child.ended)

    @property
    def ended(self) -> bool:
        """Whether the run is over."""
        return self.status in TERMINAL


def evolve(state: RunState, **changes: Any) -> RunState:
    """Return the state with some fields changed: what `dataclasses.replace` does, at a tenth of its cost.

    A fold makes a dozen states a step, and `replace` would run all forty fields through the constructor each time.
    """
    new = object.__new__(RunState)
    new.__dict__.update(state.__dict__, **changes)
    if "messages" in changes:
        new.__dict__["said_bytes"] = state.said_bytes + conversation.grown(state.messages, new.messages)
    return new


def with_call(state: RunState, index: int, **changes: Any) -> RunState:
    """Change one call of the turn; when the last is settled, the results go to the model in its own order."""
    calls = tuple(replace(call, **changes) if call.index == index else call for call in state.calls)
    state = evolve(state, calls=calls)
    if state.ending is not None or any(call.phase != "settled" for call in calls):
        return state
    blocks = [conversation.tool_result(call.call_id, call.told, is_error=call.is_error) for call in calls]
    return evolve(state, messages=conversation.with_user(state.messages, blocks), calls=(), answered=None)


def settled(state: RunState, index: int, answer: str, *, is_error: bool) -> RunState:
    """Give one call its answer."""
    return with_call(state, index, phase="settled", answer=answer, is_error=is_error)


def did(state: RunState, index: int, result: Json, *, known: bool = True) -> RunState:
    """Keep what a call did, or may have done, if it can be undone."""
    call = state.calls[index]
    if call.tool not in state.undoable:
        return state
    effect = Effect(state.turn, index, call.call_id, call.tool, call.arguments, result, known)
    # Of a call of an agent its own tool undoes all, so that nothing which the agent's run did is undone by itself.
    others = (each for each in state.effects if (each.turn, each.index) != (state.turn, index) or each.run is None)
    return evolve(state, effects=(*others, effect))


def did_below(state: RunState, index: int, run: str) -> RunState:
    """Keep that a run which a call started did what can be undone."""
    call = state.calls[index]
    effect = Effect(state.turn, index, call.call_id, call.tool, call.arguments, None, run=run)
    return evolve(state, effects=(*state.effects, effect))


def told(state: RunState, words: str) -> RunState:
    """Say something to the model on the user's side, before its next call."""
    return evolve(state, messages=conversation.with_user(state.messages, [conversation.text(words)]))


def without(counts: Mapping[str, int], name: str) -> dict[str, int]:
    """Return the counts but for one."""
    return {each: count for each, count in counts.items() if each != name}
