"""What is the affair of the one who asks alone."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from api.bodies import Body
from api.schema import call, component
from api.views import View
from notices.actions import preferences
from notices.models import Preference
from notices.times import MODES

Json = Any

_PROPERTIES: dict[str, Json] = {
    "mode": {
        "type": "string",
        "enum": list(MODES),
        "description": "E-mail at once, as a digest every full hour or once a day, or none.",
    },
    "hour": {
        "type": "integer",
        "minimum": 0,
        "maximum": 23,
        "description": "When the daily digest is sent, on the clock of `time_zone`.",
    },
    "time_zone": {
        "type": "string",
        "maxLength": 64,
        "description": "A name of the IANA database.",
        "examples": ["UTC"],
    },
}
_NOTICES = component("NoticePreference", _PROPERTIES)
_PUT = Body(
    {"type": "object", "properties": _PROPERTIES, "required": ["mode"], "additionalProperties": False},
    example={"mode": "daily", "hour": 8, "time_zone": "Europe/Berlin"},
)


class Notices(View):
    """How the one who asks is written to."""

    @call("getMyNotices", "Read how you are written to", answer=_NOTICES)
    def get(self, request: Request) -> Response:
        """Return how you are told by e-mail of what waits for you and of decisions on your requests."""
        self.require("escalations:read")
        with self.scope():
            return Response(_json(preferences.of(self.principal)))

    @call("putMyNotices", "Say how you are written to", answer=_NOTICES, body=_PUT)
    def put(self, request: Request) -> Response:
        """Say how you are told by e-mail of what waits for you and of decisions on your requests.

        `hour` left out is 8, `time_zone` UTC. Whoever decides needs `escalations:decide` for it.
        """
        self.require(preferences.needed(self.principal))
        body = self.body(_PUT)
        with self.scope():
            hour, zone = int(body.get("hour", 8)), body.get("time_zone", "UTC")
            return Response(_json(preferences.put(body["mode"], hour, zone, acting_as=self.principal)))


def _json(preference: Preference) -> Json:
    return {"mode": preference.mode, "hour": preference.hour, "time_zone": preference.time_zone}
