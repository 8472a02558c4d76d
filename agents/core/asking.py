"""Ask a person: the one place where a `decision.requested` is made. Pure."""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import uuid5

from agents.core.events import DecisionRequested
from agents.core.exact import enclose
from agents.core.spec import AgentSpec
from agents.core.state import RunState
from audit.canonical import canonical

Json = Any

#: Which answers each kind of question takes.
ALLOWED: Final[dict[str, tuple[str, ...]]] = {
    "tool_call": ("approve", "reject", "edit", "respond"),
    "output": ("approve", "reject", "edit", "respond"),
    "question": ("respond", "reject"),
    "budget": ("approve", "edit", "reject"),
    "reconcile": ("approve", "reject", "respond"),
}

#: Kinds of questions about what the model proposes.
_OF_THE_MODEL: Final = frozenset({"tool_call", "output"})


def ask(
    state: RunState,
    spec: AgentSpec,
    kind: str,
    reason: str,
    detail: str,
    proposal: dict[str, Json],
    *,
    call: int | None = None,
    digest: str | None = None,
    rule: str | None = None,
    required: int = 1,
    queue: str | None = None,
    due_s: int | None = None,
    expires_at: str | None = None,
    excluded: Sequence[str] | None = None,
    now: datetime | None = None,
) -> DecisionRequested:
    """Return the question. Its id follows from the run's id and its number, so asking again is the same one.

    digest: what the answer is bound to; the proposal's own when None. excluded: who may not answer, beside those who
    had a say in what is proposed (`_authors`). now: of an output that is to be confirmed, from when its agent's
    `review.expires_s` counts.
    """
    review = spec.review
    required = max(required, review.get("required", 1)) if kind == "output" else required
    if kind == "output" and now is not None and review.get("expires_s") is not None:
        expires_at = (now + timedelta(seconds=int(review["expires_s"]))).isoformat()
    return DecisionRequested(
        escalation=str(uuid5(state.run_id, f"decision {state.asked}")),
        kind=kind,
        reason=reason,
        allowed=_allowed(state, kind),
        turn=state.turn,
        detail=detail,
        digest=digest or proposal_digest(proposal),
        proposal=proposal,
        call=call,
        rule=rule,
        required=required,
        queue=queue or review.get("queue"),
        due_s=due_s or review.get("due_s"),
        expires_at=expires_at,
        excluded=sorted({*(excluded or ()), *_authors(state, kind, required)}) or None,
    )


def _authors(state: RunState, kind: str, required: int) -> frozenset[str]:
    """Return who has told the run something that may be what is proposed now: nobody agrees to their own words.

    Whoever answered a question of the run does what the reviewer of it is there for; where several must agree, somebody
    else does.
    """
    if kind not in _OF_THE_MODEL or state.ending is not None:
        return frozenset()
    return state.guides | state.advisers if required > 1 else state.guides


def _allowed(state: RunState, kind: str) -> tuple[str, ...]:
    """Return the answers a question takes. What undoes something follows from what was done: nobody edits that."""
    allowed = ALLOWED[kind]
    return allowed if state.ending is None else tuple(each for each in allowed if each != "edit")


def proposal_digest(proposal: dict[str, Json]) -> str:
    """Return SHA-256 (hex) over the canonical proposal."""
    return hashlib.sha256(canonical(enclose(proposal)).encode()).hexdigest()
