"""Queues: where questions wait, and which members and teams work them."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from api import conditions
from api.bodies import Body, beneath
from api.queries import Page, Query
from api.schema import CONDITIONS, ETAG, PAGING, call, component, page_of
from api.views import View, found, name
from escalations.actions import queues
from escalations.models import Queue

Json = Any

_DOCUMENT = {
    "type": "object",
    "description": "The `spec` of a document of the kind Queue: "
    "`{members, teams, due_s, escalate_to, undo_s, must_open_from}`, all optional.",
}
_SPEC = Body(
    {"type": "object", "properties": {"spec": _DOCUMENT}, "required": ["spec"], "additionalProperties": False},
    example={"spec": {"members": [], "teams": [], "due_s": 14400}},
)
_QUEUE = component("Queue", {"slug": {"type": "string"}, "spec": {"type": "object"}})
_PAGE = page_of("QueuePage", _QUEUE)
_PATH = {"queue_slug": "The queue's slug."}


class Queues(View):
    """The tenant's queues."""

    @call("listQueues", "List queues, newest first", answer=_PAGE, parameters=PAGING, refusals=(400, 422))
    def get(self, request: Request) -> Response:
        """List queues, newest first, with who works them."""
        self.require("people:read")
        page = Page(Query(self.plain_request, ("limit", "cursor")), name=f"queues.{self.principal.tenant_id}")
        with self.scope():
            return Response(page.of(Queue.objects.all(), lambda listed: [_json(queue) for queue in listed]))


class OneQueue(View):
    """One queue."""

    @call("getQueue", "Read a queue", answer=_QUEUE, path=_PATH, parameters=(ETAG,), refusals=(404,))
    def get(self, request: Request, queue_slug: str) -> Response:
        """Return who works the queue, and how fast it answers."""
        with self.scope():
            queue = found(Queue.objects.all(), slug=name(queue_slug))
            self.require("people:read")
            return conditions.answer(_json(queue))

    @call(
        "putQueue",
        "Define a queue",
        also=201,
        answer=_QUEUE,
        body=_SPEC,
        path=_PATH,
        parameters=CONDITIONS,
        refusals=(412, 428),
    )
    def put(self, request: Request, queue_slug: str) -> Response:
        """Define the queue; who it names may decide what waits in it from now on. 201 when it is new."""
        self.require("agents:write")
        with self.scope():
            rows = Queue.objects.all()
            present = conditions.replaced(self.plain_request, "queue", rows, _json, slug=queue_slug)
            with beneath("/spec"):
                spec = self.body(_SPEC)["spec"]
                queues.check_next(spec)
                queue = queues.put(queue_slug, spec, acting_as=self.principal)
            return conditions.answer(_json(queue), status=200 if present else 201)


def _json(queue: Queue) -> Json:
    return {"slug": queue.slug, "spec": queues.spec_of(queue)}
