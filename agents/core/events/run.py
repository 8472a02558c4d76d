"""What happens to a run as a whole."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agents.core.events.event import Event, Json

#: The code of calls denied, and of runs failed, because who they act for is no active member any more.
PRINCIPAL_GONE = "principal_gone"

#: Why a run is set aside (docs/adr/0011), and the code of those that are given up then.
WORKER_DIED = "worker_died"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSubmitted(Event):
    """A client asked for a run. principal: whom it acts for; requested_by: who asked; parent: the run it is part of.

    start_by: ISO time until which a worker must have begun it. levels: of a run that a tool call of its parent started:
    how many levels of children there may be below it; what it may spend is set aside by its parent then. untrusted,
    private: what its parent had read already. context: the conversation that its parent hands over. guard: what its
    agent's guards found in the input, `{finder, then, count}` each; detectors: which versions of them looked. trace:
    W3C trace id of the request, or of the run that started this one if it has one; None for the run's own id.
    idempotency_key: the client's, which may hold anything.
    """

    action = "run.submitted"
    erasable = frozenset({"input", "context", "idempotency_key"})
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
    trace: str | None = None
    idempotency_key: str | None = None


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
    """The run ended with an output. untrusted, private: what a child read, which its parent reads with the output.

    undoable: how many calls a child made that can be undone, those of agents that did such a thing among them.
    """

    action = "run.completed"
    erasable = frozenset({"output"})
    output: Json
    untrusted: bool | None = None
    private: bool | None = None
    undoable: int | None = None


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
    """The run undoes what another one did. of: that one's id; turn: its last. effects: what it did (enclosed).

    below: whether runs below it did some of that. A release that cannot undo such does not know this field.
    """

    action = "run.reversing"
    erasable = frozenset({"effects"})
    of: str
    turn: int
    effects: Json
    below: bool = False


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
