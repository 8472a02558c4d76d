"""Terms of retention: for how long what concerns people is kept, by class."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from api.bodies import Body
from api.queries import Query
from api.schema import PAGING, call, component, nullable, page_of, query
from api.v1.keeping import ASKED, COUNT, REASON, TEXT, Keeping, asked_json
from api.views import View
from retention import expiring
from retention.actions import terms
from retention.classes import CLASSES, LEAST_DAYS, MOST_DAYS
from retention.models import Order
from retention.permissions import NEEDED

Json = Any

_DAYS = {"type": ["integer", "null"], "minimum": LEAST_DAYS, "maximum": MOST_DAYS}
_CHANGE = component(
    "RetentionChange",
    ASKED | {"terms": {"type": "object", "additionalProperties": {"type": ["integer", "null"]}}},
)
_CLASS = component(
    "RetentionClass",
    {
        "class": {"type": "string", "enum": list(CLASSES)},
        "holds": TEXT,
        "days": {"type": ["integer", "null"], "description": "Null: for ever."},
        "due": nullable(
            {**COUNT, "description": f"With `count`: what would go now, up to {expiring.MOST_COUNTED}; else null."}
        ),
    },
)
_CHANGES, _CLASSES = page_of("RetentionChangePage", _CHANGE), page_of("RetentionClassPage", _CLASS)
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
            "reason": REASON,
        },
        "required": ["terms", "reason"],
        "additionalProperties": False,
    },
    example={"terms": {"runs": 400, "decisions": 3650}, "reason": "Policy R-7"},
)
_CHANGE_PATH = {"change_id": "The change's id."}


class _OfTerms(Keeping):
    kind = "terms"

    def json(self, order: Order) -> dict[str, Json]:
        """Return one of them as it is answered."""
        return _change(order)


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


class RetentionChanges(_OfTerms):
    """Changes of the terms."""

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


class RetentionConfirm(_OfTerms):
    """The second person's yes."""

    @call("confirmRetention", "Confirm other terms", answer=_CHANGE, path=_CHANGE_PATH, refusals=(404, 409))
    def post(self, request: Request, change_id: str) -> Response:
        """Confirm what somebody else asked for. Workers keep to it from then on."""
        return self.decide(change_id, confirms=True)


class RetentionRefuse(_OfTerms):
    """The second person's no."""

    @call("refuseRetention", "Refuse other terms", answer=_CHANGE, path=_CHANGE_PATH, refusals=(404, 409))
    def post(self, request: Request, change_id: str) -> Response:
        """Refuse them, or take back what you asked for."""
        return self.decide(change_id, confirms=False)


def _change(order: Order) -> dict[str, Json]:
    return asked_json(order) | {"terms": order.terms}
