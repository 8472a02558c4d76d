"""Questions as the API and the pages show them (contract.md)."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce

from agents.core.money import to_usd
from agents.models import Run
from agents.presenters import payload_json, proposal_json
from audit import journal
from audit.journal import Stored
from escalations.models import Escalation, Vote
from escalations.permissions import standing
from tenants.models import User

Json = Any

#: What a run has read and done, as evidence beside a question.
_EVIDENCE = {"tool.finished", "tool.failed", "tool.denied", "tool.unknown", "tool.compensated", "output.rejected"}

_DECIDED = {"decision.requested", "decision.made", "decision.expired", "output.accepted", "run.completed", "run.failed"}


def with_votes(escalations: QuerySet[Escalation]) -> QuerySet[Escalation]:
    """Count the approvals along with the questions, of those alone that are shown."""
    approvals = Vote.objects.filter(escalation_id=OuterRef("id"), decision="approve").order_by()
    return escalations.annotate(
        given=Coalesce(Subquery(approvals.values("escalation_id").annotate(n=Count("id")).values("n")), 0)
    )


def escalations_json(escalations: Iterable[Escalation], *, payloads: bool) -> list[dict[str, Json]]:
    """Return questions in the contract's shape, reading all their proposals at once; made by `with_votes`."""
    listed = list(escalations)
    asked = journal.payloads_at(each.place for each in listed) if payloads else {}
    named = emails_of([person for each in listed for person in (each.assignee_id, each.claimed_by_id)])
    return [_one(each, asked.get(each.place) or {}, named) for each in listed]


def emails_of(user_ids: Iterable[UUID | None]) -> dict[UUID | None, str]:
    """Return the addresses of these users, as far as there are such."""
    wanted = {each for each in user_ids if each is not None}
    return dict(User.objects.filter(id__in=wanted).values_list("id", "email")) if wanted else {}


#: What comes of an answer, for people.
_CONSEQUENCES: Final = {
    ("tool_call", "approve"): "The call is made, once, with exactly these arguments.",
    ("tool_call", "reject"): "The call is not made; the agent is told why and goes on.",
    ("tool_call", "edit"): "The call is checked again with your arguments and made; the agent is told what changed.",
    ("tool_call", "respond"): "The call is not made; the agent gets your answer in its place.",
    ("output", "approve"): "The run ends with this output.",
    ("output", "reject"): "The run fails with your reason, and what its tools did is undone as far as it can be.",
    ("output", "edit"): "The run ends with your output, if it passes the agent's schema and rules.",
    ("output", "respond"): "The agent is told what you say and answers again.",
    ("question", "approve"): "The run is tried again.",
    ("question", "respond"): "The agent is told what you say and goes on.",
    ("question", "reject"): "The run goes on without an answer where it can, and ends where it cannot.",
    ("budget", "approve"): "The amount proposed is added, and the run goes on.",
    ("budget", "edit"): "Your amount is added, and the run goes on.",
    ("budget", "reject"): "The run ends, and what its tools did is undone as far as it can be.",
    ("reconcile", "approve"): "It counts as having happened, with the result you give.",
    ("reconcile", "reject"): "It counts as not having happened, and may be done again.",
    ("reconcile", "respond"): "The agent is told that nobody knows, and what you say.",
    ("appeal", "approve"): "The appeal is upheld: what the run's tools did is undone as far as it can be.",
    ("appeal", "reject"): "The decision stands.",
}


def beside_json(escalation: Escalation) -> dict[str, Json]:
    """Return what helps to decide: what comes of each answer, and what the run has cost so far."""
    cost = Run.objects.filter(id=escalation.run_id).values_list("cost_nano", flat=True).first() or 0
    allowed = escalation.allowed
    return {
        "consequences": {each: _CONSEQUENCES.get((escalation.kind, each)) for each in allowed},
        "cost_usd": to_usd(cost),
    }


def evidence_json(escalation: Escalation, *, payloads: bool) -> list[dict[str, Json]]:
    """Return what the run had read and done when it asked: tool results, failures, rejected outputs, in order.

    Of an appeal the whole history: also what was asked and decided, and what came out.
    """
    if not payloads:
        return []
    history = journal.read(escalation.run_id)
    if escalation.kind == "appeal":
        return [_evidence(each) for each in history if each.action in _EVIDENCE | _DECIDED]
    before = [each for each in history if each.seq and each.seq < escalation.seq]
    return [_evidence(each) for each in before if each.action in _EVIDENCE]


def _evidence(stored: Stored) -> dict[str, Json]:
    told = payload_json(stored.payload or {})
    told |= {mark: True for mark in ("untrusted", "private") if stored.facts.get(mark)}
    return {"seq": stored.seq, "type": stored.action, "tool": stored.facts.get("tool"), **told}


def _given(escalation: Escalation) -> int:
    """Return how many approvals count: of what waits for more, those alone whose right is current."""
    counted: int = getattr(escalation, "given", 0)
    if escalation.status != "open" or not counted:
        return counted
    return len(standing(escalation, Run.objects.select_related("agent").get(id=escalation.run_id)))


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def _one(escalation: Escalation, asked: dict[str, Json], named: Mapping[UUID | None, str]) -> dict[str, Json]:
    proposal = proposal_json(asked.get("proposal") or {})
    return {
        "id": str(escalation.id),
        "kind": escalation.kind,
        "status": escalation.status,
        "run": str(escalation.run_id),
        "reason": escalation.reason,
        "detail": asked.get("detail"),
        "rule": escalation.rule,
        "queue": escalation.queue,
        "proposal": {**proposal, "digest": escalation.digest},
        "requested_at": escalation.requested_at.isoformat(),
        "due_at": _iso(escalation.due_at),
        "overdue_at": _iso(escalation.overdue_at),
        "expires_at": _iso(escalation.expires_at),
        "priority": escalation.risk,
        "assignee": named.get(escalation.assignee_id),
        "claimed_by": named.get(escalation.claimed_by_id),
        "snoozed_until": _iso(escalation.snoozed_until),
        "former_queues": escalation.been_in or [],
        "approvals": {"required": escalation.required, "given": _given(escalation)},
        "allowed": list(escalation.allowed),
        "decision": escalation.decision,
        "decided_at": _iso(escalation.decided_at),
        "effective_at": _iso(escalation.effective_at),
        "can_be_undone": escalation.is_pending,
    }
