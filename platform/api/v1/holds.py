"""Legal holds: while one stands, neither a term nor an erasure takes what it is over."""

from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from api.bodies import Body, instant
from api.schema import PAGING, call, component, nullable, page_of
from api.v1.keeping import ASKED, ID, REASON, SUBJECT, TEXT, TIME, Keeping, asked_json, subject_json
from retention.actions import holds
from retention.actions.holds import Over
from retention.models import Order
from retention.permissions import NEEDED

Json = Any

_RELEASE = component("HoldRelease", ASKED)
_HOLD = component(
    "Hold",
    ASKED
    | {
        "subject": nullable({**TEXT, "description": "Null when it is over something else, or is over."}),
        "run": nullable(ID),
        "agent": nullable({**ID, "description": "The agent's id."}),
        "from": nullable(TIME),
        "to": nullable(TIME),
        "release": {"oneOf": [_RELEASE, {"type": "null"}], "description": "One that waits for a second person."},
    },
)
_HOLDS = page_of("HoldPage", _HOLD)
_UUID = "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"
_NEW_HOLD = Body(
    {
        "type": "object",
        "properties": {
            "subject": SUBJECT,
            "run": {**ID, "pattern": _UUID},
            "agent": {"type": "string", "maxLength": 63, "description": "The agent's slug."},
            "from": {**TIME, "description": "What happened then or later."},
            "to": {**TIME, "description": "What happened before."},
            "reason": REASON,
        },
        "required": ["reason"],
        "additionalProperties": False,
    },
    example={"subject": "CUST-4711", "reason": "Case 12/2030"},
)
_NEW_RELEASE = Body(
    {
        "type": "object",
        "properties": {"reason": REASON},
        "required": ["reason"],
        "additionalProperties": False,
    },
    example={"reason": "Case 12/2030 is closed"},
)
_WHICH = Body(
    {
        "type": "object",
        "properties": {
            "order": {
                **ID,
                "pattern": _UUID,
                "description": "The release's id, when that is what you decide; without it, the hold itself is.",
            }
        },
        "additionalProperties": False,
    },
)
_HOLD_PATH = {"hold_id": "The hold's id."}


class _OfHolds(Keeping):
    kind = "hold"

    def json(self, order: Order) -> dict[str, Json]:
        """Return one of them as it is answered."""
        return _hold(order)


class Holds(_OfHolds):
    """Legal holds."""

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


class OneHold(_OfHolds):
    """One hold."""

    @call("getHold", "Read a legal hold", answer=_HOLD, path=_HOLD_PATH, refusals=(404,))
    def get(self, request: Request, hold_id: str) -> Response:
        """Return the hold, and the release that waits for a second person."""
        with self.scope():
            return Response(_hold(self.one(hold_id, "audit:read")))


class HoldRelease(_OfHolds):
    """The end of a hold."""

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
        """Ask for its end. It stands until another person confirmed that at `…/confirm`, by its id."""
        with self.scope():
            hold = self.one(hold_id, NEEDED[self.kind])
            body = self.body(_NEW_RELEASE)
            holds.release(hold.id, body["reason"], acting_as=self.principal)
            return Response(_hold(hold), status=201)


class HoldConfirm(_OfHolds):
    """The second person's yes."""

    @call(
        "confirmHold", "Confirm a hold, or its release", answer=_HOLD, path=_HOLD_PATH, body=_WHICH, refusals=(404, 409)
    )
    def post(self, request: Request, hold_id: str) -> Response:
        """Confirm what somebody else asked for: the hold, or its release, named by `order`."""
        return self.decide(hold_id, confirms=True, which=_WHICH)


class HoldRefuse(_OfHolds):
    """The second person's no."""

    @call(
        "refuseHold", "Refuse a hold, or its release", answer=_HOLD, path=_HOLD_PATH, body=_WHICH, refusals=(404, 409)
    )
    def post(self, request: Request, hold_id: str) -> Response:
        """Refuse what somebody asked for, or take it back: the hold, or its release, named by `order`."""
        return self.decide(hold_id, confirms=False, which=_WHICH)


def _hold(order: Order) -> dict[str, Json]:
    release = holds.release_of(order)
    return asked_json(order) | {
        "subject": subject_json(order),
        "run": str(order.run_id) if order.run_id else None,
        "agent": str(order.agent_id) if order.agent_id else None,
        "from": order.since.isoformat() if order.since else None,
        "to": order.until.isoformat() if order.until else None,
        "release": asked_json(release) if release is not None else None,
    }
