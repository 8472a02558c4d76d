"""Webhooks: who is told what happens, and what came of each delivery."""

from typing import Any

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from agents.core.shapes import SLUG
from api.bodies import NOTHING, Body
from api.queries import Page, Query
from api.schema import PAGING, call, component, nullable, page_of, query
from api.views import View, found, identifier
from webhooks.actions import endpoints
from webhooks.events import EVENTS, FORMS
from webhooks.models import Delivery, Endpoint

Json = Any

DELIVERED = ("pending", "delivered", "failed")

_ID = {"type": "string", "format": "uuid"}
_TIME = {"type": "string", "format": "date-time"}
_URL = {"type": "string", "maxLength": 2000, "description": "Where to; private places as EGRESS_ALLOW says."}
_EVENTS = {
    "type": "array",
    "uniqueItems": True,
    "items": {"type": "string", "enum": list(EVENTS)},
    "description": "What is sent; none for everything.",
}
_FORM = {
    "type": "string",
    "enum": list(FORMS),
    "description": "`standard`: the event as JSON. `chat`: `{text}`, a line and a link, which chat tools show.",
}
_ADD = Body(
    {
        "type": "object",
        "properties": {
            "name": {"type": "string", "pattern": SLUG, "maxLength": 63},
            "url": _URL,
            "events": _EVENTS,
            "form": {**_FORM, "default": "standard"},
        },
        "required": ["name", "url"],
        "additionalProperties": False,
    },
    example={"name": "crm", "url": "https://crm.example/hooks", "events": ["run.completed", "run.failed"]},
)
_CHANGE = Body(
    {
        "type": "object",
        "properties": {"url": _URL, "events": _EVENTS, "form": _FORM, "active": {"type": "boolean"}},
        "additionalProperties": False,
    },
    example={"active": False},
)
_ROTATE = Body(
    {
        "type": "object",
        "properties": {
            "overlap_s": {
                "type": "integer",
                "minimum": 0,
                "maximum": endpoints.MAX_OVERLAP_S,
                "default": 24 * 3600,
                "description": "Seconds for which the former secret signs too.",
            }
        },
        "additionalProperties": False,
    },
    example={"overlap_s": 86400},
)
_WEBHOOK = {
    "id": _ID,
    "name": {"type": "string"},
    "url": {"type": "string"},
    "events": {"type": "array", "items": {"type": "string"}},
    "form": _FORM,
    "active": {"type": "boolean"},
    "secret_name": {
        "type": ["string", "null"],
        "description": "The tenant's secret that signs, if it is so.",
    },
    "former_secret_until": nullable(_TIME),
    "created_at": _TIME,
    "updated_at": _TIME,
}
_ONE = component("Webhook", _WEBHOOK)
_MADE = component("WebhookWithSecret", {**_WEBHOOK, "secret": {"type": "string", "description": "Told this once."}})
_PAGE = page_of("WebhookPage", _ONE)
_DELIVERY = component(
    "WebhookDelivery",
    {
        "id": _ID,
        "webhook_id": {"type": "string", "description": "The header `webhook-id` of each attempt."},
        "type": {"type": "string", "enum": list(EVENTS)},
        "run": nullable(_ID),
        "escalation": nullable(_ID),
        "status": {"type": "string", "enum": list(DELIVERED)},
        "attempts": {"type": "integer"},
        "created_at": _TIME,
        "next_at": nullable({**_TIME, "description": "Of the next attempt."}),
        "delivered_at": nullable(_TIME),
        "answered": {"type": ["integer", "null"], "description": "HTTP status of the last attempt."},
        "error": {"type": ["string", "null"]},
    },
)
_DELIVERIES = page_of("WebhookDeliveryPage", _DELIVERY)
_PATH = {"webhook_id": "The webhook's id."}


class Webhooks(View):
    """The tenant's webhooks."""

    @call("listWebhooks", "List webhooks, newest first", answer=_PAGE, parameters=PAGING, refusals=(400, 422))
    def get(self, request: Request) -> Response:
        """List webhooks, newest first; never their secrets."""
        self.require("webhooks:write")
        page = Page(Query(self.plain_request, ("limit", "cursor")), name=f"webhooks.{self.principal.tenant_id}")
        with self.scope():
            return Response(page.of(Endpoint.objects.all(), lambda listed: [_json(each) for each in listed]))

    @call("addWebhook", "Add a webhook", status=201, answer=_MADE, body=_ADD, refusals=(409,))
    def post(self, request: Request) -> Response:
        """Add a webhook. The answer holds the secret that its deliveries are signed with, this once."""
        self.require("webhooks:write")
        body = self.body(_ADD)
        with self.scope():
            told = {"events": body.get("events", ()), "form": body.get("form", "standard")}
            made, secret = endpoints.add(body["name"], body["url"], **told, acting_as=self.principal)
            return Response({**_json(made), "secret": secret}, status=201)


class OneWebhook(View):
    """One webhook."""

    @call("getWebhook", "Read a webhook", answer=_ONE, path=_PATH, refusals=(404,))
    def get(self, request: Request, webhook_id: str) -> Response:
        """Return the webhook without its secret."""
        with self.scope():
            endpoint = found(Endpoint.objects.all(), id=identifier(webhook_id))
            self.require("webhooks:write")
            return Response(_json(endpoint))

    @call("changeWebhook", "Change a webhook", answer=_ONE, body=_CHANGE, path=_PATH, refusals=(404,))
    def put(self, request: Request, webhook_id: str) -> Response:
        """Change what is named in the body; the rest stays."""
        with self.scope():
            endpoint = found(Endpoint.objects.all(), id=identifier(webhook_id))
            self.require("webhooks:write")
            return Response(_json(endpoints.change(endpoint.id, self.body(_CHANGE), acting_as=self.principal)))

    @call("deleteWebhook", "Delete a webhook", status=204, path=_PATH, refusals=(404,))
    def delete(self, request: Request, webhook_id: str) -> HttpResponse:
        """Forget it with its log; nothing more is sent."""
        with self.scope():
            endpoint = found(Endpoint.objects.all(), id=identifier(webhook_id))
            self.require("webhooks:write")
            endpoints.remove(endpoint.id, acting_as=self.principal)
        return HttpResponse(status=204)


class Rotation(View):
    """Another secret."""

    @call("rotateWebhook", "Change a webhook's secret", answer=_MADE, body=_ROTATE, path=_PATH, refusals=(404, 409))
    def post(self, request: Request, webhook_id: str) -> Response:
        """Give it another secret, told this once; both sign until the overlap is over."""
        with self.scope():
            endpoint = found(Endpoint.objects.all(), id=identifier(webhook_id))
            self.require("webhooks:write")
            overlap_s = int(self.body(_ROTATE).get("overlap_s", 24 * 3600))
            changed, secret = endpoints.rotate(endpoint.id, overlap_s, acting_as=self.principal)
            return Response({**_json(changed), "secret": secret})


class Deliveries(View):
    """What was sent to a webhook, and what is to be."""

    @call(
        "listWebhookDeliveries",
        "List a webhook's deliveries, newest first",
        answer=_DELIVERIES,
        path=_PATH,
        parameters=(query("status", "In this status.", {"type": "string", "enum": list(DELIVERED)}), *PAGING),
        refusals=(400, 404, 422),
    )
    def get(self, request: Request, webhook_id: str) -> Response:
        """List deliveries with what came of the last attempt. What is over is kept for 30 days."""
        with self.scope():
            endpoint = found(Endpoint.objects.all(), id=identifier(webhook_id))
            self.require("webhooks:write")
            wanted = Query(self.plain_request, ("status", "limit", "cursor"))
            page = Page(wanted, name=f"deliveries.{endpoint.id}", by=("created_at", "id"))
            rows = Delivery.objects.filter(endpoint=endpoint)
            if status := wanted.choice("status", DELIVERED):
                rows = rows.filter(status=status)
            return Response(page.of(rows, lambda listed: [_delivery_json(each) for each in listed]))


class Replay(View):
    """A delivery once more."""

    @call(
        "replayWebhookDelivery",
        "Send a delivery again",
        status=202,
        answer=_DELIVERY,
        body=NOTHING,
        path={**_PATH, "delivery_id": "The delivery's id."},
        refusals=(404, 409),
    )
    def post(self, request: Request, webhook_id: str, delivery_id: str) -> Response:
        """Have it sent again, under the `webhook-id` it had; it is tried for another day."""
        with self.scope():
            endpoint = found(Endpoint.objects.all(), id=identifier(webhook_id))
            delivery = found(Delivery.objects.filter(endpoint=endpoint), id=identifier(delivery_id))
            self.require("webhooks:write")
            self.body(NOTHING)
            again = endpoints.replay(endpoint.id, delivery.id, acting_as=self.principal)
            return Response(_delivery_json(again), status=202)


def _json(endpoint: Endpoint) -> Json:
    former = endpoint.former_until if endpoint.sealed_former else None
    return {
        "id": str(endpoint.id),
        "name": endpoint.name,
        "url": endpoint.url,
        "events": endpoint.events,
        "form": endpoint.form,
        "active": endpoint.is_active,
        "secret_name": endpoint.secret_name,
        "former_secret_until": former.isoformat() if former else None,
        "created_at": endpoint.created_at.isoformat(),
        "updated_at": endpoint.updated_at.isoformat(),
    }


def _delivery_json(delivery: Delivery) -> Json:
    return {
        "id": str(delivery.id),
        "webhook_id": f"msg_{delivery.id}",
        "type": delivery.type,
        "run": str(delivery.run_id) if delivery.run_id else None,
        "escalation": str(delivery.escalation_id) if delivery.escalation_id else None,
        "status": delivery.status,
        "attempts": delivery.attempts,
        "created_at": delivery.created_at.isoformat(),
        "next_at": delivery.next_at.isoformat() if delivery.next_at else None,
        "delivered_at": delivery.delivered_at.isoformat() if delivery.delivered_at else None,
        "answered": delivery.answered,
        "error": delivery.error,
    }
