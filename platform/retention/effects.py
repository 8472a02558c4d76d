"""What a confirmed order does, in the transaction that confirms it."""

from collections.abc import Callable
from typing import Final

from retention import families
from retention.errors import NotInForce, OnHold, RunsLive
from retention.families import Found
from retention.models import Item, Order, Term


def of(order: Order, actor: str) -> None:
    """Let it take effect; the caller saves the order. Raises what makes it impossible now."""
    _EFFECTS[order.kind](order, actor)


def check_erasable(found: Found) -> None:
    """Raise `RunsLive` or `OnHold` when one of these runs cannot be erased now."""
    if found.live:
        raise RunsLive(found.live)
    if found.holds:
        raise OnHold(found.holds)


def _hold(order: Order, actor: str) -> None:
    """A hold stands by being confirmed."""


def _release(order: Order, actor: str) -> None:
    hold = Order.objects.select_for_update().filter(id=str(order.of_id), kind="hold", status="confirmed").first()
    if hold is None:
        raise NotInForce
    order.status, order.ended_at = "released", order.decided_at
    order.save()  # first: the database releases a hold by it only
    hold.status, hold.ended_at, hold.sealed_subject, hold.digests = "released", order.decided_at, "", None
    hold.save()


def _erasure(order: Order, actor: str) -> None:
    if order.decided_at is None:
        raise AssertionError("An erasure takes effect when it is confirmed.")
    found = families.about(order.digests or [], until=order.decided_at)
    check_erasable(found)
    Item.objects.bulk_create([Item(order_id=order.id, run_id=run) for run in found.runs], ignore_conflicts=True)
    order.look_at = order.decided_at


def _terms(order: Order, actor: str) -> None:
    if order.decided_at is None:
        raise AssertionError("Terms count from the moment they are confirmed.")
    for kind, days in (order.terms or {}).items():
        Term.objects.filter(kind=kind).delete()
        if days is not None:
            Term.objects.bulk_create([Term(kind=kind, days=days, look_at=order.decided_at)])
    order.status, order.ended_at = "done", order.decided_at


_EFFECTS: Final[dict[str, Callable[[Order, str], None]]] = {
    "hold": _hold,
    "release": _release,
    "erasure": _erasure,
    "terms": _terms,
}
