"""What people are asked, and what they say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agents.core.events.event import Event, Json


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
