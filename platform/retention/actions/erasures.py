"""Erase all that runs hold about somebody; what was recorded stays, with every proof."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db.models import QuerySet

from access.acting import acting
from agents.actions.runs import transaction_time
from agents.core.subjects import plain
from agents.engine import about
from retention import effects, families, places
from retention.actions import orders
from retention.errors import NothingAbout
from retention.families import Found
from retention.models import Item, Order
from retention.permissions import check_ask
from tenants.principal import Principal


@dataclass(frozen=True, slots=True)
class Preview:
    """What an erasure would take now. payloads: of the journal; rows: elsewhere, by table.

    live, holds: the runs and the holds that stand in its way.
    """

    runs: Sequence[UUID]
    payloads: int
    rows: dict[str, int]
    live: Sequence[UUID]
    holds: Sequence[UUID]


def ask(subject: str, reason: str, *, acting_as: Principal) -> Order:
    """Ask for the erasure of all runs about a subject; it begins when another person has confirmed it.

    subject: an id as it stands at the agents' `subject` pointers. Raises `AccessDenied`, `NotAPerson`, `NothingAbout`,
    `RunsLive`, `OnHold`, `ReasonNamesSubject`.
    """
    with acting(acting_as):
        check_ask(acting_as, "erasure")
        digests = about.digests(plain(subject)) if plain(subject) else []
        found = families.about(digests, until=transaction_time())
        if not found.runs:
            raise NothingAbout
        effects.check_erasable(found)
        order = Order(kind="erasure", reason=reason, digests=digests)
        return orders.ask(order, subject=subject, by=acting_as)


def listed() -> "QuerySet[Order]":
    """Return the erasures of the tenant in scope."""
    return Order.objects.filter(kind="erasure")


def preview(order: Order) -> Preview | None:
    """Return what an erasure that waits for a second person would take; None when it waits no more."""
    if order.status != "asked":
        return None
    found = families.about(order.digests or [], until=transaction_time())
    return _preview(found)


def left(order: Order) -> int:
    """Return how many runs are still to be erased."""
    return Item.objects.filter(order_id=order.id, erased_at=None).count()


def _preview(found: Found) -> Preview:
    runs = found.runs
    return Preview(runs, families.payloads(runs), places.count(runs), found.live, found.holds)
