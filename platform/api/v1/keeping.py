"""What holds, erasures and terms of retention share: one person asks, another confirms."""

from abc import abstractmethod
from typing import Any, ClassVar
from uuid import UUID

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from api.bodies import NOTHING, Body
from api.queries import Page, Query
from api.schema import nullable
from api.views import View, found, identifier
from retention import subject_of
from retention.actions import holds, orders
from retention.models import Order
from retention.permissions import NEEDED
from tenants.models import User

Json = Any

TEXT = {"type": "string"}
ID = {"type": "string", "format": "uuid"}
TIME = {"type": "string", "format": "date-time"}
MAIL = {"type": "string", "description": "E-mail address."}
COUNT = {"type": "integer"}
REASON = {
    "type": "string",
    "minLength": 1,
    "maxLength": 1000,
    "description": "For the second person and for auditors. It stays: leave the subject out.",
}
SUBJECT = {
    "type": "string",
    "minLength": 1,
    "maxLength": 500,
    "description": "An id as it stands at the agents' `subject` pointers, such as a customer's number.",
}
ASKED: dict[str, Json] = {
    "id": ID,
    "status": {"type": "string", "enum": ["asked", "confirmed", "refused", "released", "done"]},
    "reason": TEXT,
    "asked_by": nullable(MAIL),
    "asked_at": TIME,
    "decided_by": nullable(MAIL),
    "decided_at": nullable(TIME),
    "ended_at": nullable(TIME),
}


class Keeping(View):
    """An address of orders. kind: which."""

    kind: ClassVar[str]

    @abstractmethod
    def json(self, order: Order) -> dict[str, Json]:
        """Return one of them as it is answered."""

    def rows(self) -> "QuerySet[Order]":
        """Return the tenant's orders of that kind."""
        return Order.objects.filter(kind=self.kind)

    def page(self, request: Request) -> Response:
        """Answer with a page of them."""
        self.require("audit:read")
        page = Page(Query(self.plain_request, ("limit", "cursor")), name=f"{self.kind}.{self.principal.tenant_id}")
        with self.scope():
            return Response(page.of(self.rows(), lambda listed: [self.json(each) for each in listed]))

    def one(self, order_id: str, permission: str) -> Order:
        """Return one of them; 404 before 403."""
        order = found(self.rows(), id=identifier(order_id))
        self.require(permission)
        return order

    def decide(self, order_id: str, *, confirms: bool, which: Body = NOTHING) -> Response:
        """Confirm or refuse it, or, of a hold, a release of it that the body names."""
        with self.scope():
            order = self.one(order_id, NEEDED[self.kind])
            named = self.body(which).get("order")
            asked = holds.to_be_decided(order.id, UUID(named)) if named else order.id
            (orders.confirm if confirms else orders.refuse)(asked, acting_as=self.principal)
            return Response(self.json(self.rows().get(id=order.id)))


def asked_json(order: Order) -> dict[str, Json]:
    """Return what every order says: who asked for it and why, and who decided."""
    mails = dict(User.objects.filter(id__in=[order.asked_by_id, order.decided_by_id]).values_list("id", "email"))
    return {
        "id": str(order.id),
        "status": order.status,
        "reason": order.reason,
        "asked_by": mails.get(order.asked_by_id),
        "asked_at": order.asked_at.isoformat(),
        "decided_by": mails.get(order.decided_by_id) if order.decided_by_id else None,
        "decided_at": order.decided_at.isoformat() if order.decided_at else None,
        "ended_at": order.ended_at.isoformat() if order.ended_at else None,
    }


def subject_json(order: Order) -> str | None:
    """Return the subject, for whoever is to confirm; None when there is none, or none any more."""
    return subject_of.readable(order)
