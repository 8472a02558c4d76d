"""The story of one decision, for those who answer for it: who, what, when, why, by which versions, and the proof of it.

Of a run: what it was allowed, each thing that happened with its place in the log, who decided, and what came of it.
Read in the tenant's scope.
"""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from agents.actions.versions import spec_of_run
from agents.models import Run
from agents.presenters import event_json
from audit import journal
from audit.stored import StoredLog
from escalations.models import Escalation, Vote
from escalations.presenters import escalations_json, with_votes
from tenants.models import User

Json = Any

#: Events of a page.
PAGE: Final = 200


def story_of(run: Run, *, after: int = 0, limit: int = PAGE, payloads: bool) -> dict[str, Json]:
    """Return the run's story, with its events behind number `after`, at most `limit`; `next` is where it goes on.

    run: with its agent and version. payloads: whether what concerns people is shown.
    """
    events = journal.read(run.id, after=after, limit=limit + 1)
    more, events = len(events) > limit, events[:limit]
    log = StoredLog.of(run.tenant_id)
    places = log.indexes_of([each.id for each in events]) if log else {}
    signed = log.signed() if log else None
    head = {"origin": log.origin, "size": signed.head.size, "root": signed.head.root.hex()} if log and signed else None
    children = Run.objects.filter(parent_id=run.id).order_by("id").values_list("id", flat=True)
    actors = _people([each.actor for each in events])
    told = [
        {
            **event_json(each, payloads=payloads),
            "record": str(each.id),
            "outcome": each.outcome,
            "person": actors.get(each.actor),
            "index": places.get(each.id),
        }
        for each in events
    ]
    return {
        "run": str(run.id),
        "status": run.status,
        "submitted_at": run.created_at.isoformat(),
        "ended_at": run.ended_at.isoformat() if run.ended_at else None,
        "acts_for": _email(run.principal_id),
        "asked_by": _email(run.requested_by_id),
        "allowed": _allowed(run),
        "decisions": _decisions(run, payloads=payloads),
        "parent": str(run.parent_id) if run.parent_id else None,
        "children": [str(each) for each in children],
        "log": head,
        "events": told,
        "next": events[-1].seq if more else None,
    }


def _allowed(run: Run) -> dict[str, Json]:
    """Return what the run's version pins: the model, the prompt by the version's digest, and each tool."""
    spec = spec_of_run(run)
    return {
        "agent": run.agent.slug,
        "version": run.version.number,
        "digest": run.version.digest,
        "model": spec.model,
        "tools": [
            {"name": each.name, "version": each.version, "effect": each.effect, "digest": each.digest}
            for each in spec.tools.values()
        ],
    }


def _decisions(run: Run, *, payloads: bool) -> list[dict[str, Json]]:
    """Return what people were asked in the run, and each one's answer."""
    asked = list(with_votes(Escalation.objects.filter(run_id=run.id)).order_by("requested_at", "id"))
    votes = list(Vote.objects.filter(escalation_id__in=[each.id for each in asked]).order_by("id"))
    named = _people([f"user:{vote.user_id}" for vote in votes])
    told = escalations_json(asked, payloads=payloads)
    for each, question in zip(told, asked, strict=True):
        each["answers"] = [
            {"by": named.get(f"user:{vote.user_id}"), "decision": vote.decision, "at": vote.at.isoformat()}
            for vote in votes
            if vote.escalation_id == question.id
        ]
    return told


def _people(actors: Sequence[str]) -> dict[str, str]:
    ids = {UUID(actor.removeprefix("user:")) for actor in actors if actor.startswith("user:")}
    return {f"user:{user_id}": email for user_id, email in User.objects.filter(id__in=ids).values_list("id", "email")}


def _email(user_id: UUID) -> str | None:
    return User.objects.filter(id=user_id).values_list("email", flat=True).first()
