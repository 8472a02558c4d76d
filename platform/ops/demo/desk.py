"""What the demo's systems answer, apart from HTTP: customers, fraud checks, orders, refunds, notes."""

import hashlib
from dataclasses import dataclass
from typing import Any

from ops.demo.ledger import Entry, Ledger
from ops.demo.records import CUSTOMERS, ORDERS, Customer, Order, Payment

Json = Any


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. delay_s: seconds to wait before it is sent; replayed: whether the effect had been made before."""

    status: int
    body: Json
    delay_s: float = 0.0
    replayed: bool = False


class Refused(Exception):
    """The request cannot be answered; `reply` says why."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.reply = Reply(status, {"error": detail})


def customer_record(tenant: str, customer_id: str) -> Reply:
    """Return a customer as the customer system knows them."""
    customer = _customer(tenant, customer_id)
    record = {
        "customer_id": customer_id,
        "name": customer.name,
        "risk_score": customer.risk_score,
        "income_minor": customer.income_minor,
        "currency": "EUR",
        "customer_since": customer.since,
    }
    return Reply(200, record, customer.slow_s)


def fraud_check(tenant: str, customer_id: str) -> Reply:
    """Return what the first fraud check says; for some customers it is down."""
    customer = _customer(tenant, customer_id)
    if customer.fraud_check_down:
        raise Refused(503, "The fraud check is down for maintenance.")
    return Reply(200, {"customer_id": customer_id, "flagged": customer.flagged, "source": "primary"})


def fraud_check_backup(tenant: str, customer_id: str) -> Reply:
    """Return what the second fraud check says: the same, from another house."""
    customer = _customer(tenant, customer_id)
    return Reply(200, {"customer_id": customer_id, "flagged": customer.flagged, "source": "backup"})


def order(tenant: str, order_id: str) -> Reply:
    """Return an order with its payments."""
    known = _order(tenant, order_id)
    record = {
        "order_id": order_id,
        "customer_id": known.customer_id,
        "item": known.item,
        "delivery": known.delivery,
        "refundable": known.refundable,
        "currency": known.currency,
        "payments": [{"payment_id": each.id, "amount_minor": each.amount_minor} for each in known.payments],
    }
    return Reply(200, record)


def refund(ledger: Ledger, tenant: str, key: str, body: dict[str, Json]) -> Reply:
    """Pay money back: `{order_id, payment_id, amount_minor, reason}`. There is no way to undo it."""
    known = _order(tenant, str(body.get("order_id")))
    payment = next((each for each in known.payments if each.id == body.get("payment_id")), None)
    if payment is None:
        raise Refused(404, f"The order {body.get('order_id')} has no payment {body.get('payment_id')}.")
    answer, new = ledger.once(
        tenant, key, "refund", body, lambda entries: _pay_back(entries, tenant, key, known, payment, body)
    )
    return Reply(201, answer, known.slow_s if new else 0.0, replayed=not new)


def note(ledger: Ledger, tenant: str, key: str, ticket_id: str, body: dict[str, Json]) -> Reply:
    """Add a note to a ticket: `{text}`."""
    words = body.get("text")
    if not isinstance(words, str) or not words.strip():
        raise Refused(422, "A note needs a text.")
    answer = {"note_id": f"note_{_short(tenant, key)}", "ticket_id": ticket_id}
    answer, new = ledger.once(tenant, key, "note", {"ticket_id": ticket_id, **body}, lambda entries: answer)
    return Reply(201, answer, replayed=not new)


def _pay_back(
    entries: tuple[Entry, ...], tenant: str, key: str, known: Order, payment: Payment, body: dict[str, Json]
) -> Json:
    amount = body.get("amount_minor")
    if not known.refundable:
        raise Refused(409, "This order is a final sale and cannot be refunded.")
    if not isinstance(amount, int) or isinstance(amount, bool) or amount < 1:
        raise Refused(422, "amount_minor must be a whole number of minor units, at least 1.")
    done = sum(
        entry.answer["amount_minor"]
        for entry in entries
        if entry.tenant == tenant and entry.effect == "refund" and entry.answer["payment_id"] == payment.id
    )
    if done + amount > payment.amount_minor:
        raise Refused(409, f"Of {payment.amount_minor} paid, {done} have been refunded already.")
    return {
        "refund_id": f"re_{_short(tenant, key)}",
        "payment_id": payment.id,
        "amount_minor": amount,
        "currency": known.currency,
        "status": "refunded",
    }


def _customer(tenant: str, customer_id: str) -> Customer:
    customer = CUSTOMERS[tenant].get(customer_id)
    if customer is None:
        raise Refused(404, f"There is no customer {customer_id}.")
    return customer


def _order(tenant: str, order_id: str) -> Order:
    known = ORDERS[tenant].get(order_id)
    if known is None:
        raise Refused(404, f"There is no order {order_id}.")
    return known


def _short(tenant: str, key: str) -> str:
    return hashlib.sha256(f"{tenant}/{key}".encode()).hexdigest()[:12]
