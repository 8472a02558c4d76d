"""The story of one decision: a run from its submission to its effect, for those who answer for it."""

from typing import Any

from django.urls import reverse
from rest_framework.request import Request
from rest_framework.response import Response

from api.queries import Query
from api.schema import call, component, nullable, query
from api.v1.runs import PATH, appeal_json, seen
from api.views import View
from audit import search
from escalations.stories import PAGE, story_of

Json = Any

_ID = {"type": "string", "format": "uuid"}
_TIME = {"type": "string", "format": "date-time"}
_TEXT = {"type": ["string", "null"]}
_OBJECT = {"type": "object"}
_STORY = component(
    "Story",
    {
        "run": _ID,
        "status": {"type": "string"},
        "submitted_at": _TIME,
        "ended_at": nullable(_TIME),
        "acts_for": {**_TEXT, "description": "Whom the run acts for."},
        "asked_by": {**_TEXT, "description": "Who submitted it."},
        "allowed": {**_OBJECT, "description": "What its version pins: agent, version, digest, model, tools."},
        "decisions": {
            "type": "array",
            "items": _OBJECT,
            "description": "What people were asked, why, by which rule, and who answered what.",
        },
        "appeal": {**_OBJECT, "description": "Whether, how and until when it can be appealed against."},
        "parent": nullable(_ID),
        "children": {"type": "array", "items": _ID},
        "log": {"type": ["object", "null"], "description": "The log's origin, size and root, as signed last."},
        "events": {
            "type": "array",
            "items": _OBJECT,
            "description": "Each thing that happened: its record, its index in the log, and where its proof is.",
        },
        "next": {"type": ["integer", "null"], "description": "Send as `after` for the next events; null at the end."},
    },
)


class Story(View):
    """One run's story."""

    @call(
        "getStory",
        "Follow one decision",
        answer=_STORY,
        path=PATH,
        parameters=(
            query("after", "Only events beyond this number.", {"type": "integer", "minimum": 0, "default": 0}),
            query("limit", "How many events.", {"type": "integer", "minimum": 1, "maximum": PAGE, "default": PAGE}),
        ),
        refusals=(404, 422),
    )
    def get(self, request: Request, run_id: str) -> Response:
        """Return the run from its submission to its effect, each event with its place in the log.

        Leaves a record itself.
        """
        with self.scope():
            run = seen(run_id)
            self.require("audit:read")
            given = Query(self.plain_request, ("after", "limit"))
            after = given.number("after", 0, minimum=0, maximum=2**31 - 1)
            limit = given.number("limit", PAGE, minimum=1, maximum=PAGE)
            told = story_of(run, after=after, limit=limit, payloads=self.shows_payloads)
            for event in told["events"]:
                event["proof"] = reverse("api:audit-proof", kwargs={"record_id": event["record"]})
            search.leave_record(actor=self.principal.actor, facts={"story": str(run.id), "first": after == 0})
            return Response({**told, "appeal": appeal_json(run)})
