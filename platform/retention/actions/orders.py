"""Ask, confirm, refuse: what every hold, release, erasure and change of terms goes through, whatever it is about."""

import re
from typing import Any, Final
from uuid import UUID

from django.db import connection

from access.acting import acting
from agents.actions.runs import transaction_time
from agents.core.subjects import plain
from audit import journal
from db.scope import current_tenant_id
from retention import effects, subject_of
from retention.errors import AlreadyDecided, ReasonNamesSubject, UnknownOrder
from retention.models import TRANSITIONS, Order
from retention.permissions import check_ask, check_confirm
from tenants.principal import Principal

Json = Any

_ONE_AT_A_TIME: Final = "SELECT pg_advisory_xact_lock(hashtext('countersign.retention'), hashtext(%s))"


def one_at_a_time() -> None:
    """Wait for every other change of what may be erased in this tenant, and for every batch that erases, to be over.

    Until the transaction ends: so a hold is there before a batch and stops it, or comes after it, and never between.
    """
    with connection.cursor() as cursor:
        cursor.execute(_ONE_AT_A_TIME, [str(current_tenant_id())])


def ask(order: Order, *, subject: str | None = None, by: Principal) -> Order:
    """Put down what somebody asks for, with its record; for another person to confirm.

    In the caller's transaction, who has checked that `by` may ask.

    subject: kept encrypted with it. Raises `ReasonNamesSubject`.
    """
    if subject is not None:
        check_reason(order.reason, subject)
        subject_of.seal(order, subject)
    order.asked_by_id, order.asked_at = by.user_id, transaction_time()
    order.save(force_insert=True)
    record(order, "requested", by.actor, payload={"reason": order.reason})
    return order


def check_reason(reason: str, subject: str) -> None:
    """Raise `ReasonNamesSubject` when a reason, which stays, names whom it is about."""
    if re.search(rf"(?<!\w){re.escape(plain(subject))}(?!\w)", reason, re.IGNORECASE):
        raise ReasonNamesSubject


def confirm(order_id: UUID, *, acting_as: Principal) -> Order:
    """Confirm what another person asked for; it takes effect with that.

    Raises `UnknownOrder`, `AccessDenied`, `NotAPerson`, `SamePerson`, `AskerLeft`, `AlreadyDecided`, and what the
    effect raises (`effects`).
    """
    with acting(acting_as) as actor:
        one_at_a_time()
        order = _locked(order_id)
        check_confirm(acting_as, order)
        _move(order, "confirmed")
        order.decided_by_id, order.decided_at = acting_as.user_id, transaction_time()
        record(order, "confirmed", actor)
        effects.of(order, actor)
        order.save()
        return order


def refuse(order_id: UUID, *, acting_as: Principal) -> Order:
    """Say no to what somebody asked for, or take back one's own; it never has an effect.

    Raises `UnknownOrder`, `AccessDenied`, `NotAPerson`, `AlreadyDecided`.
    """
    with acting(acting_as) as actor:
        order = _locked(order_id)
        check_ask(acting_as, order.kind)
        _move(order, "refused")
        order.decided_by_id, order.decided_at, order.sealed_subject = acting_as.user_id, transaction_time(), ""
        record(order, "refused", actor)
        order.digests = None
        order.save()
        return order


def record(order: Order, happened: str, actor: str, *, payload: Json = None, **facts: Json) -> None:
    """Record what became of an order: ids, codes and numbers."""
    named: dict[str, Json] = {
        "run": str(order.run_id) if order.run_id else None,
        "agent": str(order.agent_id) if order.agent_id else None,
        "from": order.since.isoformat() if order.since else None,
        "until": order.until.isoformat() if order.until else None,
        "hold": str(order.of_id) if order.of_id else None,
        "of_subject": True if order.digests else None,
        "terms": order.terms,
    }
    told = {name: value for name, value in named.items() if value is not None}
    action = f"{'retention' if order.kind == 'terms' else order.kind}.{happened}"
    journal.record(action, stream=order.id, actor=actor, facts=told | facts, payload=payload)


def _locked(order_id: UUID) -> Order:
    order = Order.objects.select_for_update().filter(id=order_id).first()
    if order is None:
        raise UnknownOrder
    return order


def _move(order: Order, happening: str) -> None:
    status = TRANSITIONS.get((order.status, happening))
    if status is None:
        raise AlreadyDecided
    order.status = status
