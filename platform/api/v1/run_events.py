"""What happens in a run: read a page at a time, or followed as it happens."""

from typing import Any

from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from agents.models import Run
from agents.presenters import event_json
from api import streams
from api.errors import BadHeader
from api.queries import Query
from api.schema import call, component, header, page_of, query
from api.v1.runs import PATH, seen
from api.views import View, found, identifier
from audit import journal
from quotas import streams as places

Json = Any

MAX_EVENTS = 1000
MAX_SEQ = 2**31 - 1

_EVENT = component(
    "RunEvent",
    {
        "seq": {"type": "integer", "minimum": 1, "description": "1, 2, 3 … within the run."},
        "type": {"type": "string", "examples": ["model.answered"]},
        "at": {"type": "string", "format": "date-time"},
        "actor": {"type": "string", "description": "An opaque id."},
        "data": {"type": "object", "description": "By type. What a viewer may not see is null."},
    },
)
_EVENTS = page_of("RunEventPage", _EVENT)


class Events(View):
    """What happened in a run."""

    @call(
        "listRunEvents",
        "Read a run's events",
        answer=_EVENTS,
        path=PATH,
        parameters=(
            query("after", "Only events beyond this number.", {"type": "integer", "minimum": 0, "default": 0}),
            query("limit", "How many at most.", {"type": "integer", "minimum": 1, "maximum": MAX_EVENTS}),
            query("cursor", "`next` of the page before; the same as `after`."),
        ),
        refusals=(404, 422),
    )
    def get(self, request: Request, run_id: str) -> Response:
        """Return the events in order, none missing."""
        with self.scope():
            run = seen(run_id)
            self.require("runs:read")
            wanted = Query(self.plain_request, ("after", "limit", "cursor"))
            after = wanted.number("after", 0, minimum=0, maximum=MAX_SEQ)
            after = wanted.number("cursor", after, minimum=0, maximum=MAX_SEQ)
            limit = wanted.number("limit", MAX_EVENTS, minimum=1, maximum=MAX_EVENTS)
            events = journal.read(run.id, after=after, limit=limit, whole=True)
            results = [event_json(event, payloads=self.shows_payloads) for event in events]
        more = bool(events) and (events[-1].seq or 0) < run.seq
        return Response({"results": results, "next": str(events[-1].seq) if more else None})


class EventStreamRenderer(BaseRenderer):
    """Names the media type; the stream itself is not rendered."""

    media_type = "text/event-stream"
    format = "event-stream"


#: One server-sent event, as clients parse it.
_MESSAGE = {
    "type": "object",
    "description": "Each server-sent event: its `data` is a RunEvent as JSON, or at the `end` the run's `status`.",
    "properties": {
        "id": {"type": "string", "description": "The event's number."},
        "event": {"type": "string", "enum": ["message", "end"]},
        "data": {"type": "string"},
    },
}


class Stream(View):
    """A run's events as they happen."""

    http_method_names = ["get"]  # noqa: RUF012 - Django declares it so
    renderer_classes = (EventStreamRenderer,)

    @call(
        "streamRunEvents",
        "Follow a run",
        answer=_MESSAGE,
        media_types=("text/event-stream",),
        path=PATH,
        parameters=(
            query("after", "Only events beyond this number.", {"type": "integer", "minimum": 0, "default": 0}),
            header("Last-Event-ID", "Number of the last event received; goes before `after`."),
        ),
        refusals=(400, 404, 422),
    )
    def get(self, request: Request, run_id: str) -> HttpResponseBase:
        """Send each event of the run once, in order, with its number as the `id`; then `end` with the final status.

        Connect again with `Last-Event-ID` to go on where the connection broke.
        """
        with self.scope():
            run = found(Run.objects.only("id"), id=identifier(run_id))
            self.require("runs:read")
        after = Query(self.plain_request, ("after",)).number("after", 0, minimum=0, maximum=MAX_SEQ)
        after = _last_event_id(self.plain_request, after)
        who = self.principal
        place = places.take(key=str(who.key_id), user_id=who.user_id, tenant_id=who.tenant_id)
        watched = streams.Watched(who, run.id, self.shows_payloads, str(request.auth))
        return StreamingHttpResponse(
            places.Placed(place, streams.stream(watched, after=after)),
            content_type="text/event-stream",
            headers=streams.HEADERS,
        )


def _last_event_id(request: HttpRequest, after: int) -> int:
    text = request.headers.get("Last-Event-ID", "").strip()
    if not text:
        return after
    if not (text.isascii() and text.isdigit() and len(text) < 11 and int(text) <= MAX_SEQ):
        raise BadHeader("`Last-Event-ID` is the number of the last event received.")
    return int(text)
