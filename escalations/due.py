"""What the sweep does about questions in time: reminders, the second queue, answers that take effect.

A question that is due reminds those who work it when three quarters of its time are over. When all of it is over it
goes to the queue that its own names in `escalate_to`, once to each, with that queue's time; where there is none it is
overdue. When nobody answers until it expires, the run takes that for a no by itself (`agents.core.decide`).
"""

import logging
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.db import DatabaseError, connection

from agents.actions.runs import transaction_time
from audit import journal
from db.roles import dispatch
from db.scope import tenant_scope
from escalations.models import Escalation, Queue

log = logging.getLogger(__name__)

#: Which part of the time until it is due is over when people are reminded.
REMIND_AFTER: Final = 0.75

ACTOR: Final = "system:escalations"

#: Questions that one look sees to, and how long one rests that could not be seen to, in seconds.
BATCH: Final = 200
RESTS_S: Final = 60

_DUE: Final = """
SELECT tenant_id, id FROM escalations_escalation WHERE look_at <= now() ORDER BY look_at LIMIT %s
"""


def see_to_all() -> None:
    """See to every question that has something due, of whatever tenant; each in a transaction of its own."""
    with dispatch(), connection.cursor() as cursor:
        cursor.execute(_DUE, [BATCH])
        found: list[tuple[UUID, UUID]] = cursor.fetchall()
    for tenant_id, escalation_id in found:
        try:
            with tenant_scope(tenant_id):
                see_to(escalation_id)
        except Exception:
            log.exception("a question cannot be seen to", extra={"escalation": str(escalation_id)})
            _put_off(tenant_id, escalation_id)


def _put_off(tenant_id: UUID, escalation_id: UUID) -> None:
    """Look at it later, so that it holds up no other; where even that fails, the next round comes to it again."""
    try:
        with tenant_scope(tenant_id):
            later = transaction_time() + timedelta(seconds=RESTS_S)
            Escalation.objects.filter(id=escalation_id).update(look_at=later)
    except DatabaseError as error:
        log.warning("nor can it be put off: %s", type(error).__name__, extra={"escalation": str(escalation_id)})


def see_to(escalation_id: UUID) -> None:
    """Do what is due about one question, in its tenant's scope. Done again, it does nothing."""
    from escalations.actions import answers

    seen = Escalation.objects.get(id=escalation_id)
    if seen.is_pending:
        answers.take_effect(escalation_id)
        return
    escalation = Escalation.objects.select_for_update().get(id=escalation_id)
    now = transaction_time()
    if escalation.look_at is None or escalation.look_at > now or escalation.is_pending:
        return
    if escalation.status != "open" or escalation.due_at is None or escalation.overdue_at is not None:
        escalation.look_at = None
    elif now < escalation.due_at:
        _record("decision.reminded", escalation, {})
        escalation.reminded_at, escalation.look_at = now, escalation.due_at
    else:
        _overdue(escalation)
    escalation.save()


def _overdue(escalation: Escalation) -> None:
    now = transaction_time()
    been_in = [*(escalation.been_in or ()), *([escalation.queue] if escalation.queue else ())]
    queue = Queue.objects.filter(slug=escalation.queue).first() if escalation.queue else None
    to = queue.escalate_to if queue is not None else None
    second = Queue.objects.filter(slug=to).first() if to and to not in been_in else None
    if second is None:
        escalation.overdue_at, escalation.look_at = now, None
        _record("decision.overdue", escalation, {})
        return
    _record("decision.escalated", escalation, {"queue": str(second.id)})
    escalation.queue, escalation.been_in = second.slug, been_in
    escalation.assignee_id = escalation.claimed_by_id = escalation.claimed_at = escalation.snoozed_until = None
    escalation.due_at = escalation.look_at = None
    if second.due_s is not None:
        escalation.due_at = now + timedelta(seconds=second.due_s)
        escalation.look_at = now + timedelta(seconds=second.due_s * REMIND_AFTER)


def _record(action: str, escalation: Escalation, more: dict[str, Any]) -> None:
    facts = {"escalation": str(escalation.id), "run": str(escalation.run_id), **more}
    journal.record(action, stream=escalation.id, actor=ACTOR, facts=facts)
