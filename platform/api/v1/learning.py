"""What is learnt from people: cases of an agent, and feedback on outputs."""

from typing import Any

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from agents.models import Agent
from api.bodies import Body
from api.errors import Fault, InvalidBody
from api.queries import Page, Query
from api.schema import PAGING, call, component, nullable, page_of, query
from api.v1.runs import PATH as RUN_PATH
from api.v1.runs import seen
from api.views import View, found, identifier, name
from learning.actions import cases, feedback
from learning.models import Feedback
from learning.models.case import TAGS
from learning.presenters import by_version_json, cases_json, feedback_json

Json = Any

_ID = {"type": "string", "format": "uuid"}
_TIME = {"type": "string", "format": "date-time"}
_TAG = {"type": "string", "enum": list(TAGS)}
_TEXT_OR_NULL = {"type": ["string", "null"]}

_KEEP = Body(
    {
        "type": "object",
        "properties": {
            "escalation": {**_ID, "description": "Whose edit, rejection or upheld appeal is kept."},
            "run": {**_ID, "description": "In its place: a run whose input is kept, with `output`."},
            "output": {"description": "With `run`: what would have been right."},
            "tag": {**_TAG, "default": "edge"},
            "note": {"type": "string", "maxLength": 4000, "description": "What is to be learnt."},
        },
        "additionalProperties": False,
    },
    example={"escalation": "0196a2f0-0000-7000-8000-000000000000", "tag": "edge"},
)
_CASE = component(
    "AgentCase",
    {
        "id": _ID,
        "run": _ID,
        "escalation": nullable(_ID),
        "version": {"type": "integer", "description": "The version of the agent that was corrected."},
        "source": {"type": "string", "enum": ["edit", "reject", "appeal", "run"]},
        "tag": _TAG,
        "input": {"description": "The run's. Null for viewers, and when it was erased."},
        "expected": {
            "type": ["object", "null"],
            "properties": {
                "what": {"type": "string", "enum": ["output", "not_output", "call", "not_call"]},
                "output": {},
                "tool": {"type": "string"},
                "arguments": {},
                "reason": {"type": "string"},
            },
            "required": ["what"],
            "description": "An output or a tool call, or that it is not this one.",
        },
        "note": _TEXT_OR_NULL,
        "kept_by": _TEXT_OR_NULL,
        "created_at": _TIME,
    },
)
_CASES = page_of("AgentCasePage", _CASE)
_AGENT = {"slug": "The agent's slug."}
_ONE = {**_AGENT, "case_id": "The case's id."}

_SAY = Body(
    {
        "type": "object",
        "properties": {
            "score": {"type": "integer", "minimum": 1, "maximum": 5, "description": "5 is best."},
            "thumb": {"type": "string", "enum": list(feedback.THUMBS)},
            "comment": {"type": "string", "maxLength": feedback.LONGEST},
        },
        "anyOf": [{"required": ["score"]}, {"required": ["thumb"]}],
        "additionalProperties": False,
    },
    example={"score": 4, "comment": "Right, but hard to read."},
)
_FEEDBACK = component(
    "Feedback",
    {
        "score": {"type": ["integer", "null"]},
        "thumb": {"type": ["string", "null"], "enum": [*feedback.THUMBS, None]},
        "comment": _TEXT_OR_NULL,
        "by": {**_TEXT_OR_NULL, "description": "The member's e-mail address."},
        "by_link": {"type": "boolean", "description": "Whether it came by the run's link."},
        "at": _TIME,
    },
)
_GIVEN = page_of("FeedbackPage", _FEEDBACK)
_BY_VERSION = component(
    "FeedbackByVersion",
    {
        "results": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "version": {"type": "integer"},
                    "count": {"type": "integer"},
                    "scored": {"type": "integer", "description": "Those with a score."},
                    "average_score": {"type": ["number", "null"]},
                    "up": {"type": "integer"},
                    "down": {"type": "integer"},
                },
                "required": ["version", "count", "scored", "average_score", "up", "down"],
            },
        }
    },
)


class Cases(View):
    """What people taught about an agent."""

    @call(
        "listAgentCases",
        "List an agent's cases, newest first",
        answer=_CASES,
        path=_AGENT,
        parameters=(query("tag", "With this tag.", _TAG), *PAGING),
        refusals=(400, 404, 422),
    )
    def get(self, request: Request, slug: str) -> Response:
        """List what was kept of edits, rejections and appeals, newest first."""
        with self.scope():
            agent = found(Agent.objects.all(), slug=name(slug))
            self.require("agents:read")
            wanted = Query(self.plain_request, ("tag", "limit", "cursor"))
            page = Page(wanted, name=f"cases.{agent.id}", by=("created_at", "id"))
            rows = cases.kept().filter(agent=agent)
            if tag := wanted.choice("tag", TAGS):
                rows = rows.filter(tag=tag)
            return Response(page.of(rows, lambda listed: cases_json(listed, payloads=self.shows_payloads)))

    @call("keepAgentCase", "Keep a case", status=201, answer=_CASE, body=_KEEP, path=_AGENT, refusals=(404,))
    def post(self, request: Request, slug: str) -> Response:
        """Keep a correction: of an escalation that you may decide, or of a run of an agent that you may edit.

        An escalation's is kept once; asked again, the same case is the answer.
        """
        with self.scope():
            agent = found(Agent.objects.all(), slug=name(slug))
            self.require("escalations:decide")
            body = self.body(_KEEP)
            more = {"tag": body.get("tag", "edge"), "note": body.get("note"), "of": agent.slug}
            if ("escalation" in body) == ("run" in body) or ("run" in body) != ("output" in body):
                raise InvalidBody(faults=[Fault("", "Name an escalation, or a run and the output that was right.")])
            if "run" in body:
                case = cases.keep_run(identifier(body["run"]), body["output"], acting_as=self.principal, **more)
            else:
                case = cases.keep(identifier(body["escalation"]), acting_as=self.principal, **more)
            return Response(cases_json([case], payloads=self.shows_payloads)[0], status=201)


class OneCase(View):
    """One case."""

    @call("getAgentCase", "Read a case", answer=_CASE, path=_ONE, refusals=(404,))
    def get(self, request: Request, slug: str, case_id: str) -> Response:
        """Return the input and what is expected for it."""
        with self.scope():
            case = found(cases.kept().filter(agent__slug=name(slug)), id=identifier(case_id))
            self.require("agents:read")
            return Response(cases_json([case], payloads=self.shows_payloads)[0])

    @call("removeAgentCase", "Let a case go", status=204, path=_ONE, refusals=(404,))
    def delete(self, request: Request, slug: str, case_id: str) -> HttpResponse:
        """Let it go; for who kept it and who may edit the agent."""
        with self.scope():
            case = found(cases.kept().filter(agent__slug=name(slug)), id=identifier(case_id))
            self.require("escalations:decide")
            cases.remove(case.id, acting_as=self.principal)
        return HttpResponse(status=204)


class RunFeedback(View):
    """What is said of a run's output."""

    @call(
        "listRunFeedback",
        "Read what is said of a run's output",
        answer=_GIVEN,
        path=RUN_PATH,
        parameters=PAGING,
        refusals=(400, 404, 422),
    )
    def get(self, request: Request, run_id: str) -> Response:
        """List the feedback, newest first. Viewers do not see who said what."""
        with self.scope():
            run = seen(run_id)
            self.require("runs:read")
            wanted = Query(self.plain_request, ("limit", "cursor"))
            page = Page(wanted, name=f"feedback.{run.id}", by=("created_at", "id"))
            rows = Feedback.objects.filter(run_id=run.id)
            return Response(page.of(rows, lambda listed: feedback_json(listed, payloads=self.shows_payloads)))

    @call(
        "giveRunFeedback",
        "Say what you think of a run's output",
        answer=_FEEDBACK,
        body=_SAY,
        path=RUN_PATH,
        refusals=(404, 409),
    )
    def post(self, request: Request, run_id: str) -> Response:
        """Say it once the run has completed; said again, it takes the place of what you said before."""
        with self.scope():
            run = seen(run_id)
            self.require("runs:write")
            body = self.body(_SAY)
            score = int(body["score"]) if "score" in body else None  # JSON Schema takes 2.0 for an integer
            more = {"thumb": body.get("thumb"), "comment": body.get("comment")}
            given = feedback.give(run.id, score=score, **more, acting_as=self.principal)
            return Response(feedback_json([given], payloads=self.shows_payloads)[0])


class AgentFeedback(View):
    """What is said of an agent's versions."""

    @call("getAgentFeedback", "Count what is said of an agent", answer=_BY_VERSION, path=_AGENT, refusals=(404,))
    def get(self, request: Request, slug: str) -> Response:
        """Count the feedback on the outputs of each version, the newest first."""
        with self.scope():
            agent = found(Agent.objects.all(), slug=name(slug))
            self.require("agents:read")
            return Response({"results": by_version_json(agent.id)})
