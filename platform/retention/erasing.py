"""Confirmed erasures, done by workers a batch at a time: whoever is killed in one leaves the next where it was.

A batch is one transaction: up to `PAYLOADS` payloads of up to `RUNS` runs, what else is kept of those that have none
left, the order's counts and a record. One process at a time works on a tenant's (`orders.one_at_a_time`). A run that
came under a hold meanwhile, or is a retry that still runs, makes the erasure wait; it goes on when that is over.
"""

import logging
from datetime import timedelta
from typing import Final
from uuid import UUID

from django.db import connection

from agents.actions.runs import transaction_time
from db.roles import dispatch
from db.scope import tenant_scope
from exports.actions import exports
from retention import families, places
from retention.actions import orders
from retention.models import Item, Order

log = logging.getLogger(__name__)

ACTOR: Final = "system:retention"

#: Of one batch, and orders that one look goes on with.
RUNS: Final = 50
PAYLOADS: Final = 2000
ORDERS: Final = 20

#: How long one rests that has to wait, or that could not be seen to.
RESTS: Final = timedelta(minutes=1)

_DUE: Final = "SELECT tenant_id, id FROM retention_order WHERE look_at <= now() ORDER BY look_at LIMIT %s"
_ERASE: Final = "SELECT retention_erase(%s, %s, %s)"


def see_to_all() -> None:
    """Do a batch of every erasure that has something left, of whatever tenant."""
    with dispatch(), connection.cursor() as cursor:
        cursor.execute(_DUE, [ORDERS])
        found: list[tuple[UUID, UUID]] = cursor.fetchall()
    for tenant_id, order_id in found:
        try:
            with tenant_scope(tenant_id):
                advance(order_id)
        except Exception:
            log.exception("an erasure cannot be seen to", extra={"erasure": str(order_id)})
            with tenant_scope(tenant_id):
                Order.objects.filter(id=order_id).update(look_at=transaction_time() + RESTS)


def advance(order_id: UUID) -> None:
    """Do one batch of an erasure, in its tenant's scope. Done again when nothing is left, it does nothing."""
    orders.one_at_a_time()
    order = Order.objects.select_for_update().filter(id=order_id, kind="erasure", status="confirmed").first()
    if order is None:
        return
    items = Item.objects.filter(order_id=order.id, erased_at=None)
    waiting = list(items.order_by("run_id").values_list("run_id", flat=True)[:RUNS])
    if not waiting:
        _finish_or_go_on(order)
        return
    families.lock(waiting)
    free = [run for run in waiting if not families.holds([run]) and not families.live([run])]
    if not free and len(waiting) == RUNS:
        free = _first_free(order, waiting[-1])
    done, payloads = _erased(order, free)
    places.erase(done)
    if done:  # what was exported before is not to give it out again
        exports.withdraw_payloads(acting_as=ACTOR)
    items.filter(run_id__in=done).update(erased_at=transaction_time())
    order.runs, order.payloads = order.runs + len(done), order.payloads + payloads
    order.look_at = transaction_time() if payloads or done else transaction_time() + RESTS
    if payloads or done:
        orders.record(order, "advanced", ACTOR, runs=[str(run) for run in done], payloads=payloads)
    order.save()


def _first_free(order: Order, after: UUID) -> list[UUID]:
    """Return the next run behind one that can be erased now: those before it wait."""
    rows = Item.objects.filter(order_id=order.id, erased_at=None, run_id__gt=after).order_by("run_id")
    for run in rows.values_list("run_id", flat=True).iterator():
        families.lock([run])
        if not families.holds([run]) and not families.live([run]):
            return [run]
    return []


def _erased(order: Order, runs: list[UUID]) -> tuple[list[UUID], int]:
    """Erase payloads of these runs, one after another; returns those that have none left, and how many it were."""
    done: list[UUID] = []
    payloads = 0
    for run in runs:
        with connection.cursor() as cursor:
            cursor.execute(_ERASE, [order.id, run, PAYLOADS - payloads])
            payloads += cursor.fetchone()[0]
        if payloads >= PAYLOADS:
            break  # this one may have more
        done.append(run)
    return done, payloads


def _finish_or_go_on(order: Order) -> None:
    """Close the order, unless somebody meanwhile began a run that repeats one of those that were to be erased."""
    if order.decided_at is None:
        raise AssertionError("A confirmed order says when it was.")
    erased = list(Item.objects.filter(order_id=order.id).values_list("run_id", flat=True))
    found = families.repeating(erased, order.digests or [], until=order.decided_at)
    if new := sorted(found - set(erased)):
        Item.objects.bulk_create([Item(order_id=order.id, run_id=run) for run in new], ignore_conflicts=True)
        order.look_at = transaction_time()
    else:
        order.status, order.ended_at, order.look_at = "done", transaction_time(), None
        order.sealed_subject, order.digests = "", None
        orders.record(order, "completed", ACTOR, runs=order.runs, payloads=order.payloads)
    order.save()
