"""What becomes of an answer: it takes effect at once, or when it can be taken back no more; or it is taken back.

answered → resumed → executed are records of their own: `decision.answered` (where there is a time to take it back),
`decision.made` and what the run does then. An answer whose time has come takes effect if those who gave it may still
give it; otherwise it lapses, and the question is open again.
"""

from collections.abc import Callable
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db.models.functions import Now

from access.acting import acting
from agents.actions import runs
from agents.actions.runs import transaction_time
from agents.core import aside
from agents.core.events import DecisionAnswered, DecisionMade, DecisionUndone, event_of
from agents.core.lifecycle import TERMINAL
from agents.engine.seam import engine_of
from agents.models import Run
from audit import journal
from escalations.errors import InEffect, NotYours
from escalations.models import Escalation, Queue
from escalations.permissions import may_decide, seen, standing
from tenants.models import Tenant
from tenants.principal import Principal

Json = Any

#: Who acts when the time of an answer has come.
ACTOR: Final = "system:escalations"

#: What the apps above do, in the same transaction, about a question whose answer was taken back or lapsed, by its id.
REOPENED: Final[list[Callable[[UUID], None]]] = []

_OPEN_AGAIN: Final = {
    "status": "open",
    "decision": None,
    "decided_at": None,
    "effective_at": None,
    "answer_seq": None,
}


def carry(run: Run, escalation: Escalation, made: DecisionMade) -> None:
    """Hand the answer to the run: now, or later if its queue lets answers be taken back. Part of the caller's work.

    Raises `RunEnded`.
    """
    now = transaction_time()
    undo_s = _undo_s(escalation)
    if escalation.expires_at is not None and now + timedelta(seconds=undo_s) >= escalation.expires_at:
        undo_s = 0  # nobody could say afterwards whether it was in time
    if not undo_s:
        runs.record_decision(run.id, made, was_set_aside=escalation.reason == aside.REASON)
        Escalation.objects.filter(id=escalation.id).update(effective_at=Now(), look_at=None)
        return
    runs.check_open(run)
    until = now + timedelta(seconds=undo_s)
    said = {field.name: getattr(made, field.name) for field in fields(made)}
    runs.append(run, [DecisionAnswered(**said, effective_at=until.isoformat())], made.by)
    Escalation.objects.filter(id=escalation.id).update(effective_at=until, answer_seq=run.seq, look_at=until)


def undo(escalation_id: UUID, *, acting_as: Principal) -> Escalation:
    """Take one's own answer back while it has not taken effect; the question is open again, and one's vote gone.

    Raises `UnknownEscalation`, `MayNotDecide`, `InEffect`, `NotYours`.
    """
    with acting(acting_as, "escalations:decide"):
        run, escalation = _locked(seen(escalation_id, acting_as).id)
        answered = _answered(escalation)
        if answered is not None and answered.by != acting_as.actor:
            raise NotYours("Only who gave the answer can take it back.")
        if answered is None or escalation.effective_at is None or transaction_time() >= escalation.effective_at:
            raise InEffect
        _reopen(run, escalation, answered, by=acting_as.actor, code="undone")
        return escalation


def take_effect(escalation_id: UUID) -> None:
    """Hand a pending answer to its run if its time has come; in the tenant's scope. Done again, it does nothing.

    An answer of somebody who may not give it any more lapses.
    """
    run, escalation = _locked(escalation_id)
    answered = _answered(escalation)
    if answered is None or escalation.effective_at is None or transaction_time() < escalation.effective_at:
        return
    if run.status in TERMINAL:
        Escalation.objects.filter(id=escalation.id).update(status="withdrawn", answer_seq=None, look_at=None)
        return
    if not _counts(run, escalation, answered):
        _reopen(run, escalation, answered, by=ACTOR, code="lapsed")
        return
    said = {field.name: getattr(answered, field.name) for field in fields(DecisionMade)}
    runs.record_decision(run.id, DecisionMade(**said), was_set_aside=escalation.reason == aside.REASON)
    Escalation.objects.filter(id=escalation.id).update(answer_seq=None, look_at=None)


def _counts(run: Run, escalation: Escalation, answered: DecisionAnswered) -> bool:
    if answered.decision == "approve":
        return len(standing(escalation, run)) >= escalation.required
    return may_decide(UUID(answered.by.removeprefix("user:")), escalation, run)


def _reopen(run: Run, escalation: Escalation, answered: DecisionAnswered, *, by: str, code: str) -> None:
    undone = DecisionUndone(escalation=str(escalation.id), kind=escalation.kind, by=by, code=code)
    runs.append(run, [undone], by)
    escalation.votes.filter(user_id=UUID(answered.by.removeprefix("user:"))).delete()
    Escalation.objects.filter(id=escalation.id).update(**_OPEN_AGAIN, look_at=_look_at(escalation))
    if escalation.expires_at is not None:
        engine_of(run).wake(run.id)  # it waits for no expiry while there is an answer
    for undo_too in REOPENED:
        undo_too(escalation.id)
    escalation.refresh_from_db()


def _look_at(escalation: Escalation) -> datetime | None:
    return escalation.due_at if escalation.overdue_at is None else None


def _locked(escalation_id: UUID) -> tuple[Run, Escalation]:
    run = runs.locked(Escalation.objects.values_list("run_id", flat=True).get(id=escalation_id))
    return run, Escalation.objects.select_for_update().get(id=escalation_id)


def _answered(escalation: Escalation) -> DecisionAnswered | None:
    """Return the pending answer, if there is one."""
    if not escalation.is_pending or escalation.answer_seq is None:
        return None
    (stored,) = journal.read(escalation.run_id, after=escalation.answer_seq - 1, limit=1)
    event = event_of(stored.action, stored.v, stored.facts, stored.payload)
    return event if isinstance(event, DecisionAnswered) else None


def _undo_s(escalation: Escalation) -> int:
    """Return for how many seconds its answer can be taken back: what its queue says, else what the tenant says."""
    if escalation.reason == aside.REASON:
        return 0
    queue = Queue.objects.filter(slug=escalation.queue).first() if escalation.queue is not None else None
    said = queue.said_undo_s if queue is not None else None
    return said if said is not None else Tenant.objects.only("undo_s").get(id=escalation.tenant_id).undo_s
