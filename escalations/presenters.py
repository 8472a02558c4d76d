"""Questions as the API and the pages show them (contract.md)."""

from collections.abc import Iterable
from typing import Any

from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce

from agents.presenters import payload_json, proposal_json
from audit import journal
from audit.journal import Stored
from escalations.models import Escalation, Vote

Json = Any

#: What a run has read and done, as evidence beside a question.
_EVIDENCE = {"tool.finished", "tool.failed", "tool.denied", "tool.unknown", "tool.compensated", "output.rejected"}


def with_votes(escalations: QuerySet[Escalation]) -> QuerySet[Escalation]:
    """Count the approvals along with the questions, of those alone that are shown."""
    approvals = Vote.objects.filter(escalation_id=OuterRef("id"), decision="approve").order_by()
    return escalations.annotate(
        given=Coalesce(Subquery(approvals.values("escalation_id").annotate(n=Count("id")).values("n")), 0)
    )


def escalations_json(escalations: Iterable[Escalation], *, payloads: bool) -> list[dict[str, Json]]:
    """Return questions in the contract's shape, reading all their proposals at once; made by `with_votes`."""
    listed = list(escalations)
    asked = journal.payloads_at((each.run_id, each.seq) for each in listed) if payloads else {}
    return [_one(each, asked.get((each.run_id, each.seq)) or {}) for each in listed]


def evidence_json(escalation: Escalation, *, payloads: bool) -> list[dict[str, Json]]:
    """Return what the run had read and done when it asked: tool results, failures, rejected outputs, in order."""
    if not payloads:
        return []
    before = [each for each in journal.read(escalation.run_id) if each.seq and each.seq < escalation.seq]
    return [_evidence(each) for each in before if each.action in _EVIDENCE]


def _evidence(stored: Stored) -> dict[str, Json]:
    told = payload_json(stored.payload or {})
    told |= {mark: True for mark in ("untrusted", "private") if stored.facts.get(mark)}
    return {"seq": stored.seq, "type": stored.action, "tool": stored.facts.get("tool"), **told}


def _one(escalation: Escalation, asked: dict[str, Json]) -> dict[str, Json]:
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
        "due_at": escalation.due_at.isoformat() if escalation.due_at else None,
        "expires_at": escalation.expires_at.isoformat() if escalation.expires_at else None,
        "approvals": {"required": escalation.required, "given": getattr(escalation, "given", 0)},
        "allowed": list(escalation.allowed),
        "decision": escalation.decision,
        "decided_at": escalation.decided_at.isoformat() if escalation.decided_at else None,
    }
