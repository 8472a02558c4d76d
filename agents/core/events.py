"""What can happen to a run, as frozen values, and their form in the journal.

Each class is one event type of the contract. Its `erasable` fields (arguments, outputs, messages, digests) go to the
record's payload, all others to its facts: opaque ids, codes and numbers only. A class's `v` is the version of its
shape; a changed shape gets a new version and an entry in `UPCASTERS`, so that every journal folds for ever.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar

Json = Any

#: The code of calls denied, and of runs failed, because who they act for is no active member any more.
PRINCIPAL_GONE = "principal_gone"

#: Why a run is set aside (docs/adr/0011), and the code of those that are given up then.
WORKER_DIED = "worker_died"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A fact of a run's history."""

    action: ClassVar[str]
    v: ClassVar[int] = 1
    erasable: ClassVar[frozenset[str]] = frozenset()
    outcome: ClassVar[str] = "ok"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSubmitted(Event):
    """A client asked for a run. principal: whom it acts for; requested_by: who asked; parent: the run it is part of.

    start_by: ISO time until which a worker must have begun it. levels: of a run that a tool call of its parent started:
    how many levels of children there may be below it; what it may spend is set aside by its parent then. untrusted,
    private: what its parent had read already. context: the conversation that its parent hands over. guard: what its
    agent's guards found in the input, `{finder, then, count}` each; detectors: which versions of them looked.
    """

    action = "run.submitted"
    erasable = frozenset({"input", "context"})
    agent: str
    version: int
    principal: str
    requested_by: str
    input: Json
    usd_nano: int | None = None
    tokens: int | None = None
    deadline: str | None = None
    parent: str | None = None
    start_by: str | None = None
    levels: int | None = None
    untrusted: bool | None = None
    private: bool | None = None
    context: str | None = None
    guard: Sequence[Mapping[str, Json]] = ()
    detectors: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted(Event):
    """A worker took the run up for the first time. epoch: number of its lease."""

    action = "run.started"
    epoch: int
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunWaiting(Event):
    """The run was parked. until: ISO time of a timer; reason: stable code."""

    action = "run.waiting"
    waiting_for: str
    reason: str
    until: str | None = None
    at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResumed(Event):
    """A worker took the run up again: after waiting, or after another worker died (`reason` lease_expired)."""

    action = "run.resumed"
    epoch: int
    reason: str
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCancelRequested(Event):
    """Somebody asked to end the run; the worker stops after the step it is in."""

    action = "run.cancel_requested"
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCompleted(Event):
    """The run ended with an output. untrusted, private: what a child read, which its parent reads with the output."""

    action = "run.completed"
    erasable = frozenset({"output"})
    output: Json
    untrusted: bool | None = None
    private: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFailed(Event):
    """The run ended without an output. suggestion: what the client can do now. untrusted, private: as of an output."""

    action = "run.failed"
    outcome = "failed"
    erasable = frozenset({"detail", "suggestion"})
    code: str
    detail: str
    suggestion: str
    untrusted: bool | None = None
    private: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCancelled(Event):
    """The run was ended on request. untrusted, private: as of an output."""

    action = "run.cancelled"
    untrusted: bool | None = None
    private: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCompensating(Event):
    """The run is over but for what its tools did, which is undone first. status, code, detail, suggestion: of its end.

    turn: the compensating calls' own, behind the model's last; calls: how many there are.
    """

    action = "run.compensating"
    erasable = frozenset({"detail", "suggestion"})
    turn: int
    calls: int
    status: str
    code: str | None = None
    detail: str | None = None
    suggestion: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequested(Event):
    """The intent to call the model, durable before the call.

    max_tokens: what the answer may take, where what is left of the run's limit pays for less than its agent allows.
    """

    action = "model.requested"
    turn: int
    model: str
    max_tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelAnswered(Event):
    """The model's complete answer. content: its blocks, exactly as they came (see `agents.core.exact`)."""

    action = "model.answered"
    erasable = frozenset({"content", "stop_details"})
    turn: int
    model: str
    stop_reason: str
    input_tokens: int
    output_tokens: int
    cost_nano: int
    content: Json
    cache_read_input_tokens: int = 0
    cache_creation_input_tokens: int = 0
    estimated: bool | None = None
    request_id: str | None = None
    stop_details: Json = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFailed(Event):
    """A model call without an answer. Its cost, if it may have been billed, is an upper bound (`estimated`)."""

    action = "model.failed"
    outcome = "failed"
    erasable = frozenset({"error"})
    turn: int
    model: str
    code: str
    retryable: bool
    error: str
    retry_after_ms: int | None = None
    cost_nano: int = 0
    tokens: int = 0
    estimated: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolRequested(Event):
    """The intent to call a tool, durable before the effect: checked, granted and, if need be, approved."""

    action = "tool.requested"
    erasable = frozenset({"arguments", "digest"})
    turn: int
    call: int
    call_id: str
    tool: str
    version: int
    idempotency_key: str
    arguments: Json
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolDenied(Event):
    """The call was not made. code: `unknown_tool`, `invalid_arguments`, `not_granted`, `policy`, …"""

    action = "tool.denied"
    outcome = "denied"
    erasable = frozenset({"error"})
    turn: int
    call: int
    call_id: str
    tool: str
    code: str
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolFinished(Event):
    """The tool answered. untrusted: whether this taints the run; private: whether it is marked so (both also below).

    whole: all of a result that was cut, for people; it is left out when a run is loaded. from_cache: an equal call
    answered before, whose result was kept.
    """

    action = "tool.finished"
    erasable = frozenset({"result", "whole"})
    turn: int
    call: int
    call_id: str
    tool: str
    version: int
    result: Json
    whole: Json = None
    untrusted: bool | None = None
    private: bool | None = None
    from_cache: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolFailed(Event):
    """The tool failed. fallback: the tool that is tried in its place, if any."""

    action = "tool.failed"
    outcome = "failed"
    erasable = frozenset({"error"})
    turn: int
    call: int
    call_id: str
    tool: str
    version: int
    code: str
    error: str
    fallback: str | None = None
    untrusted: bool | None = None
    private: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolUnknown(Event):
    """Nobody knows whether the call had its effect; a person must say."""

    action = "tool.unknown"
    outcome = "failed"
    erasable = frozenset({"error"})
    turn: int
    call: int
    call_id: str
    tool: str
    version: int
    error: str
    untrusted: bool | None = None
    private: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCompensated(Event):
    """What a call did was undone. call_id: of that call; tool, version: of the tool that undid it. whole: see there."""

    action = "tool.compensated"
    erasable = frozenset({"result", "whole"})
    turn: int
    call: int
    call_id: str
    tool: str
    version: int
    result: Json
    whole: Json = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildStarted(Event):
    """A tool call started a run of another agent, in the transaction that records the call's intent.

    run, agent, version: of the child. usd_nano, tokens: what is set aside for it of what this run may spend. place,
    round: in a debate, which of its agents it is of, from 0, and the round, from 1.
    """

    action = "child.started"
    run: str
    agent: str
    version: int
    turn: int
    call: int
    usd_nano: int
    tokens: int
    place: int = 0
    round: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildFinished(Event):
    """A child has ended. status: how. cost_nano: all that it cost, its own children included.

    usd_nano, tokens: what of it counts on this run: no more than was set aside; the rest a person added to the child,
    and it is settled there. What follows is what it used in all. untrusted, private: what it had read.
    """

    action = "child.finished"
    run: str
    agent: str
    turn: int
    call: int
    status: str
    cost_nano: int
    usd_nano: int
    tokens: int
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_creation_input_tokens: int = 0
    model_calls: int = 0
    tool_calls: int = 0
    untrusted: bool | None = None
    private: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputAccepted(Event):
    """The output passed its schema and rules. output: with the guards' masks. guard, detectors: see `RunSubmitted`."""

    action = "output.accepted"
    erasable = frozenset({"output"})
    turn: int
    output: Json
    guard: Sequence[Mapping[str, Json]] = ()
    detectors: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputRejected(Event):
    """The answer cannot be used; the model is told why. code: `schema`, `rule`, `guarded`, `not_json`, …

    handed_to: the model that is asked in its place, where it was a smaller one's; nobody is told then.
    """

    action = "output.rejected"
    outcome = "failed"
    erasable = frozenset({"output", "errors"})
    turn: int
    code: str
    errors: Sequence[Mapping[str, str]]
    output: Json = None
    guard: Sequence[Mapping[str, Json]] = ()
    detectors: str | None = None
    handed_to: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRequested(Event):
    """A person is asked. call: index of the tool call it is about; allowed: the answers that can be given.

    due_s: seconds until an answer is due; expires_at: ISO time after which none counts and the call is denied.
    excluded: opaque ids of members who may not answer, beside whom the run acts for.
    """

    action = "decision.requested"
    erasable = frozenset({"digest", "proposal", "detail"})
    escalation: str
    kind: str
    reason: str
    allowed: Sequence[str]
    turn: int
    detail: str
    digest: str
    proposal: Mapping[str, Json]
    call: int | None = None
    rule: str | None = None
    required: int = 1
    queue: str | None = None
    due_s: int | None = None
    expires_at: str | None = None
    excluded: Sequence[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionExpired(Event):
    """Nobody answered in time, which is a no."""

    action = "decision.expired"
    outcome = "denied"
    escalation: str
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionMade(Event):
    """A person answered. decision: `approve`, `reject`, `edit` or `respond`; by: opaque id of who did.

    arguments: of the call, for `edit`.
    """

    action = "decision.made"
    erasable = frozenset({"digest", "reason", "message", "output", "arguments"})
    escalation: str
    kind: str
    decision: str
    by: str
    digest: str
    reason: str | None = None
    message: str | None = None
    output: Json = None
    arguments: Json = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionAnswered(Event):
    """A person answered, and can take it back until `effective_at` (ISO time); `decision.made` follows then.

    The fields are those of `DecisionMade`.
    """

    action = "decision.answered"
    erasable = DecisionMade.erasable
    escalation: str
    kind: str
    decision: str
    by: str
    effective_at: str
    digest: str
    reason: str | None = None
    message: str | None = None
    output: Json = None
    arguments: Json = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionUndone(Event):
    """An answer does not take effect, and the question is open again. by: opaque id of who took it back.

    code: `undone`, or `lapsed` when whoever gave it may not any more.
    """

    action = "decision.undone"
    escalation: str
    kind: str
    by: str
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRetried(Event):
    """The run is another one tried again. of: that one's id; start: `start`, or `step` to carry on from its last step.

    messages, results: what was said and what tools answered there, to carry on from (enclosed). untrusted, private:
    whether something so marked is among it.
    """

    action = "run.retried"
    erasable = frozenset({"messages", "results"})
    of: str
    start: str
    untrusted: bool | None = None
    private: bool | None = None
    messages: Json = None
    results: Json = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReversing(Event):
    """The run undoes what another one did. of: that one's id; turn: its last. effects: what it did (enclosed)."""

    action = "run.reversing"
    erasable = frozenset({"effects"})
    of: str
    turn: int
    effects: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class RunGuided(Event):
    """A person told the run something, which reaches the model before its next call. by: opaque id.

    guard, detectors: see `RunSubmitted`.
    """

    action = "run.guided"
    erasable = frozenset({"message"})
    by: str
    message: str
    guard: Sequence[Mapping[str, Json]] = ()
    detectors: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetReserved(Event):
    """The run holds this much of its tenant's month. window: the month's first day.

    windows: the ids of all the budgets' windows that hold it, where more than the tenant's month counts. within: the
    run that set it aside of its own, and holds it everywhere but in `windows`: those of the child's own agent.
    """

    action = "budget.reserved"
    usd_nano: int
    tokens: int
    window: str
    windows: Sequence[str] = ()
    within: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetExtended(Event):
    """A person let this much more be spent in one window of a budget. window: its id; escalation: who said so there."""

    action = "budget.extended"
    usd_nano: int
    tokens: int
    window: str
    escalation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetSettled(Event):
    """What the run really spent; its reservation is given back."""

    action = "budget.settled"
    usd_nano: int
    tokens: int
    window: str


#: Every event type by its name in the journal.
BY_ACTION: dict[str, type[Event]] = {cls.action: cls for cls in Event.__subclasses__()}

#: (action, version) → function from that version's data to the next one's.
UPCASTERS: dict[tuple[str, int], Callable[[dict[str, Json]], dict[str, Json]]] = {}


class UnknownEvent(Exception):
    """The journal holds an event of a type, version or field this release does not know."""


def _split(cls: type[Event]) -> tuple[tuple[tuple[str, Json], ...], tuple[tuple[str, Json], ...]]:
    """Return (name, default) of the class's facts and of its erasable fields."""
    named = [(field.name, field.default) for field in fields(cls)]
    return (
        tuple(pair for pair in named if pair[0] not in cls.erasable),
        tuple(pair for pair in named if pair[0] in cls.erasable),
    )


_SPLIT = {cls: _split(cls) for cls in BY_ACTION.values()}


def facts_and_payload(event: Event) -> tuple[dict[str, Json], dict[str, Json] | None]:
    """Return the event's two parts; fields at their default are left out. payload is None when nothing is erasable."""
    facts, erasable = _SPLIT[type(event)]
    payload = {name: value for name, default in erasable if (value := getattr(event, name)) is not default}
    return (
        {name: value for name, default in facts if (value := getattr(event, name)) is not default},
        payload if erasable else None,
    )


def event_of(action: str, v: int, facts: Mapping[str, Json], payload: Mapping[str, Json] | None) -> Event:
    """Return the event that a stored record tells, brought up to this release's version.

    Raises `UnknownEvent`; `TypeError` when a needed payload was erased.
    """
    cls = BY_ACTION.get(action)
    if cls is None or v > cls.v:
        raise UnknownEvent(f"{action} version {v}")
    data = {**facts, **(payload or {})}
    for version in range(v, cls.v):
        data = UPCASTERS[action, version](data)
    try:
        return cls(**data)
    except TypeError as error:
        if unknown := data.keys() - {field.name for field in fields(cls)}:
            raise UnknownEvent(f"{action} with {', '.join(sorted(unknown))}") from error
        raise
