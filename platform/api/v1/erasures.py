"""Erasures: all that runs hold about somebody goes; records and proofs stay."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from api.bodies import Body
from api.schema import PAGING, call, component, nullable, page_of
from api.v1.keeping import ASKED, COUNT, ID, REASON, SUBJECT, TEXT, Keeping, asked_json, subject_json
from retention.actions import erasures
from retention.models import Order
from retention.permissions import NEEDED

Json = Any

_PREVIEW = component(
    "ErasurePreview",
    {
        "runs": {"type": "array", "items": ID},
        "payloads": {**COUNT, "description": "Of the journal; their records stay."},
        "rows": {"type": "object", "additionalProperties": COUNT, "description": "Elsewhere, by table."},
        "live": {"type": "array", "items": ID, "description": "Runs that stand in the way: cancel them first."},
        "holds": {"type": "array", "items": ID, "description": "Holds that stand in the way."},
    },
)
_ERASURE_FIELDS: dict[str, Json] = ASKED | {
    "subject": nullable({**TEXT, "description": "Shown until it is erased as well, or refused."}),
    "runs": {**COUNT, "description": "Erased up to now."},
    "payloads": {**COUNT, "description": "Erased up to now."},
    "left": {**COUNT, "description": "Runs still to be erased."},
}
_ERASURE = component("Erasure", _ERASURE_FIELDS)
_WHOLE_ERASURE = component(
    "WholeErasure",
    _ERASURE_FIELDS
    | {"preview": {"oneOf": [_PREVIEW, {"type": "null"}], "description": "While it waits for a second person."}},
)
_ERASURES = page_of("ErasurePage", _ERASURE)
_NEW_ERASURE = Body(
    {
        "type": "object",
        "properties": {"subject": SUBJECT, "reason": REASON},
        "required": ["subject", "reason"],
        "additionalProperties": False,
    },
    example={"subject": "CUST-4711", "reason": "Request 88 by letter"},
)
_ERASURE_PATH = {"erasure_id": "The erasure's id."}


class _OfErasures(Keeping):
    kind = "erasure"

    def json(self, order: Order) -> dict[str, Json]:
        """Return one of them as it is answered."""
        return _erasure(order)


class Erasures(_OfErasures):
    """Erasures."""

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


class OneErasure(_OfErasures):
    """One erasure."""

    @call("getErasure", "Read an erasure", answer=_WHOLE_ERASURE, path=_ERASURE_PATH, refusals=(404,))
    def get(self, request: Request, erasure_id: str) -> Response:
        """Return the erasure; while it waits for a second person, with what it would take now."""
        with self.scope():
            return Response(_whole(self.one(erasure_id, "audit:read")))


class ErasureConfirm(_OfErasures):
    """The second person's yes."""

    @call("confirmErasure", "Confirm an erasure", answer=_ERASURE, path=_ERASURE_PATH, refusals=(404, 409))
    def post(self, request: Request, erasure_id: str) -> Response:
        """Confirm what somebody else asked for. Workers erase from then on; nothing brings it back."""
        return self.decide(erasure_id, confirms=True)


class ErasureRefuse(_OfErasures):
    """The second person's no."""

    @call("refuseErasure", "Refuse an erasure", answer=_ERASURE, path=_ERASURE_PATH, refusals=(404, 409))
    def post(self, request: Request, erasure_id: str) -> Response:
        """Refuse it, or take back what you asked for."""
        return self.decide(erasure_id, confirms=False)


def _erasure(order: Order) -> dict[str, Json]:
    counts = {"runs": order.runs, "payloads": order.payloads, "left": erasures.left(order)}
    return asked_json(order) | {"subject": subject_json(order)} | counts


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
