"""Legal holds, erasures and terms of retention: one person asks, another confirms."""

from typing import Any, ClassVar
from uuid import UUID

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from api.bodies import Body, instant
from api.queries import Page, Query
from api.schema import PAGING, call, component, nullable, page_of, query
from api.views import View, found, identifier
from retention import expiring, subject_of
from retention.actions import erasures, holds, orders, terms
from retention.actions.holds import Over
from retention.classes import CLASSES, LEAST_DAYS, MOST_DAYS
from retention.models import Order
from retention.permissions import NEEDED
from tenants.models import User
from vault.errors import VaultError

Json = Any

_TEXT = {"type": "string"}
_ID = {"type": "string", "format": "uuid"}
_TIME = {"type": "string", "format": "date-time"}
_MAIL = {"type": "string", "description": "E-mail address."}
_COUNT = {"type": "integer"}
_REASON = {
    "type": "string",
    "minLength": 1,
    "maxLength": 1000,
    "description": "For the second person and for auditors. It stays: leave the subject out.",
}
_SUBJECT = {
    "type": "string",
    "minLength": 1,
    "maxLength": 500,
    "description": "An id as it stands at the agents' `subject` pointers, such as a customer's number.",
}
_DAYS = {"type": ["integer", "null"], "minimum": LEAST_DAYS, "maximum": MOST_DAYS}

_ASKED: dict[str, Json] = {
    "id": _ID,
    "status": {"type": "string", "enum": ["asked", "confirmed", "refused", "released", "done"]},
    "reason": _TEXT,
    "asked_by": nullable(_MAIL),
    "asked_at": _TIME,
    "decided_by": nullable(_MAIL),
    "decided_at": nullable(_TIME),
    "ended_at": nullable(_TIME),
}
_RELEASE = component("HoldRelease", _ASKED)
_HOLD = component(
    "Hold",
    _ASKED
    | {
        "subject": nullable({**_TEXT, "description": "Null when it is over something else, or is over."}),
        "run": nullable(_ID),
        "agent": nullable({**_ID, "description": "The agent's id."}),
        "from": nullable(_TIME),
        "to": nullable(_TIME),
        "release": {"oneOf": [_RELEASE, {"type": "null"}], "description": "One that waits for a second person."},
    },
)
_PREVIEW = component(
    "ErasurePreview",
    {
        "runs": {"type": "array", "items": _ID},
        "payloads": {**_COUNT, "description": "Of the journal; their records stay."},
        "rows": {"type": "object", "additionalProperties": _COUNT, "description": "Elsewhere, by table."},
        "live": {"type": "array", "items": _ID, "description": "Runs that stand in the way: cancel them first."},
        "holds": {"type": "array", "items": _ID, "description": "Holds that stand in the way."},
    },
)
_ERASURE_FIELDS: dict[str, Json] = _ASKED | {
    "subject": nullable({**_TEXT, "description": "Shown until it is erased as well, or refused."}),
    "runs": {**_COUNT, "description": "Erased up to now."},
    "payloads": {**_COUNT, "description": "Erased up to now."},
    "left": {**_COUNT, "description": "Runs still to be erased."},
}
_ERASURE = component("Erasure", _ERASURE_FIELDS)
_WHOLE_ERASURE = component(
    "WholeErasure",
    _ERASURE_FIELDS
    | {"preview": {"oneOf": [_PREVIEW, {"type": "null"}], "description": "While it waits for a second person."}},
)
_CHANGE = component(
    "RetentionChange",
    _ASKED | {"terms": {"type": "object", "additionalProperties": {"type": ["integer", "null"]}}},
)
_CLASS = component(
    "RetentionClass",
    {
        "class": {"type": "string", "enum": list(CLASSES)},
        "holds": _TEXT,
        "days": {"type": ["integer", "null"], "description": "Null: for ever."},
        "due": nullable(
            {**_COUNT, "description": f"With `count`: what would go now, up to {expiring.MOST_COUNTED}; else null."}
        ),
    },
)
_HOLDS, _ERASURES = page_of("HoldPage", _HOLD), page_of("ErasurePage", _ERASURE)
_CHANGES, _CLASSES = page_of("RetentionChangePage", _CHANGE), page_of("RetentionClassPage", _CLASS)

_NEW_HOLD = Body(
    {
        "type": "object",
        "properties": {
            "subject": _SUBJECT,
            "run": _ID,
            "agent": {"type": "string", "maxLength": 63, "description": "The agent's slug."},
            "from": {**_TIME, "description": "What happened then or later."},
            "to": {**_TIME, "description": "What happened before."},
            "reason": _REASON,
        },
        "required": ["reason"],
        "additionalProperties": False,
    },
    example={"subject": "CUST-4711", "reason": "Case 12/2030"},
)
_NEW_ERASURE = Body(
    {
        "type": "object",
        "properties": {"subject": _SUBJECT, "reason": _REASON},
        "required": ["subject", "reason"],
        "additionalProperties": False,
    },
    example={"subject": "CUST-4711", "reason": "Request 88 by letter"},
)
_NEW_RELEASE = Body(
    {
        "type": "object",
        "properties": {"reason": _REASON},
        "required": ["reason"],
        "additionalProperties": False,
    },
    example={"reason": "Case 12/2030 is closed"},
)
_NEW_TERMS = Body(
    {
        "type": "object",
        "properties": {
            "terms": {
                "type": "object",
                "minProperties": 1,
                "properties": {kind: {**_DAYS, "description": words} for kind, words in CLASSES.items()},
                "additionalProperties": False,
            },
            "reason": _REASON,
        },
        "required": ["terms", "reason"],
        "additionalProperties": False,
    },
    example={"terms": {"runs": 400, "decisions": 3650}, "reason": "Policy R-7"},
)
_HOLD_PATH, _ERASURE_PATH = {"hold_id": "The hold's id."}, {"erasure_id": "The erasure's id."}
_CHANGE_PATH = {"change_id": "The change's id."}


class _Keeping(View):
    """kind: of the orders that the address is about."""

    kind: ClassVar[str]

    def rows(self) -> "QuerySet[Order]":
        """Return the tenant's orders of that kind."""
        return Order.objects.filter(kind=self.kind)

    def page(self, request: Request) -> Response:
        """Answer with a page of them."""
        self.require("audit:read")
        page = Page(Query(self.plain_request, ("limit", "cursor")), name=f"{self.kind}.{self.principal.tenant_id}")
        with self.scope():
            return Response(page.of(self.rows(), lambda listed: [_JSON[self.kind](each) for each in listed]))

    def one(self, order_id: str, permission: str) -> Order:
        """Return one of them; 404 before 403."""
        order = found(self.rows(), id=identifier(order_id))
        self.require(permission)
        return order

    def decide(self, order_id: str, *, confirms: bool) -> Response:
        """Confirm or refuse it, as it stands or, of a hold, its release."""
        with self.scope():
            order = self.one(order_id, NEEDED[self.kind])
            asked = holds.to_be_decided(order.id) if self.kind == "hold" else order.id
            (orders.confirm if confirms else orders.refuse)(asked, acting_as=self.principal)
            return Response(_JSON[self.kind](self.rows().get(id=order.id)))


class Holds(_Keeping):
    """Legal holds."""

    kind = "hold"

    @call("listHolds", "List legal holds, newest first", answer=_HOLDS, parameters=PAGING, refusals=(400, 422))
    def get(self, request: Request) -> Response:
        """List holds: those that stand (`confirmed`), wait for a second person, were refused or released."""
        return self.page(request)

    @call("askForHold", "Ask for a legal hold", status=201, answer=_HOLD, body=_NEW_HOLD, refusals=(404,))
    def post(self, request: Request) -> Response:
        """Ask for a hold over a subject, a run, an agent, or a period. It stands when another person confirmed it."""
        self.require(NEEDED[self.kind])
        body = self.body(_NEW_HOLD)
        over = Over(
            subject=body.get("subject"),
            run=UUID(body["run"]) if "run" in body else None,
            agent=body.get("agent"),
            since=instant(body["from"], "/from") if "from" in body else None,
            until=instant(body["to"], "/to") if "to" in body else None,
        )
        with self.scope():
            return Response(_hold(holds.ask(over, body["reason"], acting_as=self.principal)), status=201)


class OneHold(_Keeping):
    """One hold."""

    kind = "hold"

    @call("getHold", "Read a legal hold", answer=_HOLD, path=_HOLD_PATH, refusals=(404,))
    def get(self, request: Request, hold_id: str) -> Response:
        """Return the hold, and the release that waits for a second person."""
        with self.scope():
            return Response(_hold(self.one(hold_id, "audit:read")))


class HoldRelease(_Keeping):
    """The end of a hold."""

    kind = "hold"

    @call(
        "askForRelease",
        "Ask for a hold's end",
        status=201,
        answer=_HOLD,
        path=_HOLD_PATH,
        body=_NEW_RELEASE,
        refusals=(404, 409),
    )
    def post(self, request: Request, hold_id: str) -> Response:
        """Ask for its end. It stands until another person confirmed that at `…/confirm`."""
        with self.scope():
            hold = self.one(hold_id, NEEDED[self.kind])
            body = self.body(_NEW_RELEASE)
            holds.release(hold.id, body["reason"], acting_as=self.principal)
            return Response(_hold(hold), status=201)


class HoldConfirm(_Keeping):
    """The second person's yes."""

    kind = "hold"

    @call("confirmHold", "Confirm a hold, or its release", answer=_HOLD, path=_HOLD_PATH, refusals=(404, 409))
    def post(self, request: Request, hold_id: str) -> Response:
        """Confirm what somebody else asked for: the hold's end if that waits, else the hold."""
        return self.decide(hold_id, confirms=True)


class HoldRefuse(_Keeping):
    """The second person's no."""

    kind = "hold"

    @call("refuseHold", "Refuse a hold, or its release", answer=_HOLD, path=_HOLD_PATH, refusals=(404, 409))
    def post(self, request: Request, hold_id: str) -> Response:
        """Refuse what waits for a second person, or take back what you asked for."""
        return self.decide(hold_id, confirms=False)


class Erasures(_Keeping):
    """Erasures."""

    kind = "erasure"

    @call("listErasures", "List erasures, newest first", answer=_ERASURES, parameters=PAGING, refusals=(400, 422))
    def get(self, request: Request) -> Response:
        """List erasures and how far they are."""
        return self.page(request)

    @call(
        "askForErasure",
        "Ask for the erasure of a subject",
        status=201,
        answer=_WHOLE_ERASURE,
        body=_NEW_ERASURE,
        refusals=(409,),
    )
    def post(self, request: Request) -> Response:
        """Ask for the erasure of all that runs hold about somebody. It begins when another person confirmed it.

        409 `runs_live` names runs that have not ended, 409 `on_hold` holds.
        """
        self.require(NEEDED[self.kind])
        body = self.body(_NEW_ERASURE)
        with self.scope():
            return Response(_whole(erasures.ask(body["subject"], body["reason"], acting_as=self.principal)), status=201)


class OneErasure(_Keeping):
    """One erasure."""

    kind = "erasure"

    @call("getErasure", "Read an erasure", answer=_WHOLE_ERASURE, path=_ERASURE_PATH, refusals=(404,))
    def get(self, request: Request, erasure_id: str) -> Response:
        """Return the erasure; while it waits for a second person, with what it would take now."""
        with self.scope():
            return Response(_whole(self.one(erasure_id, "audit:read")))


class ErasureConfirm(_Keeping):
    """The second person's yes."""

    kind = "erasure"

    @call("confirmErasure", "Confirm an erasure", answer=_ERASURE, path=_ERASURE_PATH, refusals=(404, 409))
    def post(self, request: Request, erasure_id: str) -> Response:
        """Confirm what somebody else asked for. Workers erase from then on; nothing brings it back."""
        return self.decide(erasure_id, confirms=True)


class ErasureRefuse(_Keeping):
    """The second person's no."""

    kind = "erasure"

    @call("refuseErasure", "Refuse an erasure", answer=_ERASURE, path=_ERASURE_PATH, refusals=(404, 409))
    def post(self, request: Request, erasure_id: str) -> Response:
        """Refuse it, or take back what you asked for."""
        return self.decide(erasure_id, confirms=False)


class Retention(View):
    """The terms of retention."""

    @call(
        "listRetention",
        "List the classes and their terms",
        answer=_CLASSES,
        parameters=(query("count", "Say `true` to count what would go now.", {"type": "string", "enum": ["true"]}),),
        refusals=(400, 422),
    )
    def get(self, request: Request) -> Response:
        """List for how long what concerns people is kept, by class. Records are kept for ever."""
        self.require("audit:read")
        counts = Query(self.plain_request, ("count",)).choice("count", ("true",)) is not None
        with self.scope():
            listed = [
                {
                    "class": kind,
                    "holds": CLASSES[kind],
                    "days": days,
                    "due": expiring.due(kind, days) if counts and days is not None else None,
                }
                for kind, days in terms.in_force().items()
            ]
        return Response({"results": listed, "next": None})


class RetentionChanges(_Keeping):
    """Changes of the terms."""

    kind = "terms"

    @call("listRetentionChanges", "List changes of the terms", answer=_CHANGES, parameters=PAGING, refusals=(400, 422))
    def get(self, request: Request) -> Response:
        """List changes, newest first, with who asked for them and who confirmed them."""
        return self.page(request)

    @call("askForRetention", "Ask for other terms", status=201, answer=_CHANGE, body=_NEW_TERMS, refusals=(409,))
    def post(self, request: Request) -> Response:
        """Ask for other terms: class → days, or null for ever. They count when another person confirmed them."""
        self.require(NEEDED[self.kind])
        body = self.body(_NEW_TERMS)
        with self.scope():
            return Response(_change(terms.ask(body["terms"], body["reason"], acting_as=self.principal)), status=201)


class RetentionConfirm(_Keeping):
    """The second person's yes."""

    kind = "terms"

    @call("confirmRetention", "Confirm other terms", answer=_CHANGE, path=_CHANGE_PATH, refusals=(404, 409))
    def post(self, request: Request, change_id: str) -> Response:
        """Confirm what somebody else asked for. Workers keep to it from then on."""
        return self.decide(change_id, confirms=True)


class RetentionRefuse(_Keeping):
    """The second person's no."""

    kind = "terms"

    @call("refuseRetention", "Refuse other terms", answer=_CHANGE, path=_CHANGE_PATH, refusals=(404, 409))
    def post(self, request: Request, change_id: str) -> Response:
        """Refuse them, or take back what you asked for."""
        return self.decide(change_id, confirms=False)


def _asked(order: Order) -> dict[str, Json]:
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


def _subject(order: Order) -> str | None:
    try:
        return subject_of.of(order)
    except VaultError:
        return None  # its key is lost, which `secret keys` and the readiness check tell of


def _hold(order: Order) -> dict[str, Json]:
    release = holds.release_of(order)
    return _asked(order) | {
        "subject": _subject(order),
        "run": str(order.run_id) if order.run_id else None,
        "agent": str(order.agent_id) if order.agent_id else None,
        "from": order.since.isoformat() if order.since else None,
        "to": order.until.isoformat() if order.until else None,
        "release": _asked(release) if release is not None else None,
    }


def _erasure(order: Order) -> dict[str, Json]:
    counts = {"runs": order.runs, "payloads": order.payloads, "left": erasures.left(order)}
    return _asked(order) | {"subject": _subject(order)} | counts


def _whole(order: Order) -> dict[str, Json]:
    preview = erasures.preview(order)
    shown = preview and {
        "runs": [str(run) for run in preview.runs],
        "payloads": preview.payloads,
        "rows": preview.rows,
        "live": [str(run) for run in preview.live],
        "holds": [str(hold) for hold in preview.holds],
    }
    return _erasure(order) | {"preview": shown}


def _change(order: Order) -> dict[str, Json]:
    return _asked(order) | {"terms": order.terms}


_JSON = {"hold": _hold, "erasure": _erasure, "terms": _change}
