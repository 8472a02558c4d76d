"""Agents: drafts, versions, what is live."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from agents.actions import agents, versions
from agents.models import Agent, AgentVersion
from api import conditions
from api.bodies import NOTHING, Body, beneath
from api.errors import NotFound
from api.queries import Page, Query
from api.schema import CONDITIONS, ETAG, PAGING, call, component, nullable, page_of
from api.views import View, found, name

Json = Any

MAX_NUMBER = 2**31 - 1

_SPEC = Body(
    {
        "type": "object",
        "properties": {"spec": {"type": "object", "description": "The `spec` of a document of the kind Agent."}},
        "required": ["spec"],
        "additionalProperties": False,
    },
    example={
        "spec": {
            "role": "Loan review agent; decides applications against the credit policy.",
            "model": {"id": "claude-opus-4-7"},
            "tools": ["fetch_customer_record"],
        }
    },
)
_PERCENT = Body(
    {
        "type": "object",
        "properties": {"percent": {"type": "integer", "minimum": 1, "maximum": 100}},
        "additionalProperties": False,
    }
)
_MAYBE_SPEC = Body({**_SPEC.schema, "required": []})

_TIME = {"type": "string", "format": "date-time"}
_NUMBER = {"type": "integer", "minimum": 1}
_SUMMARY: dict[str, Json] = {
    "slug": {"type": "string"},
    "live": nullable({**_NUMBER, "description": "Number of the version that new runs get."}),
    "has_draft": {"type": "boolean", "description": "Whether there is work that is no version yet."},
    "created_at": _TIME,
    "updated_at": _TIME,
}
_LISTED = component("AgentSummary", _SUMMARY)
_AGENT = component("Agent", {**_SUMMARY, "spec": {"type": ["object", "null"], "description": "What is worked on."}})
_PAGE = page_of("AgentPage", _LISTED)
_VERSION_SUMMARY = {
    "number": _NUMBER,
    "live": {"type": "boolean"},
    "digest": {"type": "string", "description": "SHA-256 (hex) of the document and its tools' definitions."},
    "created_at": _TIME,
}
_VERSION = component(
    "AgentVersion",
    {**_VERSION_SUMMARY, "spec": {"type": "object"}, "system": {"type": "string", "description": "As compiled."}},
)
_VERSIONS = page_of("AgentVersionPage", component("AgentVersionSummary", _VERSION_SUMMARY))
_COUNT = {"type": "integer", "minimum": 0}
_PREVIEW = component(
    "AgentPreview",
    {
        "system": {"type": "string", "description": "The compiled system prompt."},
        "tools": {"type": "array", "items": {"type": "object"}, "description": "As the model gets them."},
        "output_schema": {},
        "tokens": {
            "type": "object",
            "description": "Estimates.",
            "properties": dict.fromkeys(("system", "tools", "output_schema", "total"), _COUNT),
            "required": ["system", "tools", "output_schema", "total"],
        },
        "hints": {
            "type": "array",
            "description": "What to think about before it is published; nothing of it is refused.",
            "items": {
                "type": "object",
                "properties": {"pointer": {"type": "string"}, "detail": {"type": "string"}},
                "required": ["pointer", "detail"],
            },
        },
    },
)
_PATH = {"slug": "The agent's slug."}
_NUMBERED = {**_PATH, "number": "The version's number."}


class Agents(View):
    """The tenant's agents."""

    @call("listAgents", "List agents, newest first", answer=_PAGE, parameters=PAGING, refusals=(400, 422))
    def get(self, request: Request) -> Response:
        """List agents, newest first."""
        self.require("agents:read")
        page = Page(Query(self.plain_request, ("limit", "cursor")), name=f"agents.{self.principal.tenant_id}")
        with self.scope():
            rows = Agent.objects.select_related("live")
            return Response(page.of(rows, lambda listed: [_summary(agent) for agent in listed]))


class OneAgent(View):
    """One agent."""

    @call(
        "getAgent",
        "Read an agent",
        answer=_AGENT,
        path=_PATH,
        parameters=(ETAG,),
        refusals=(404,),
    )
    def get(self, request: Request, slug: str) -> Response:
        """Return the agent with what is being worked on: the draft, else its newest version."""
        with self.scope():
            agent = _found(slug)
            self.require("agents:read")
            return conditions.answer(_agent(agent))

    @call(
        "putAgent",
        "Write an agent's draft",
        also=201,
        answer=_AGENT,
        body=_SPEC,
        path=_PATH,
        parameters=CONDITIONS,
        refusals=(412, 428),
    )
    def put(self, request: Request, slug: str) -> Response:
        """Write the draft; runs see it once a version of it is published. 201 when the agent is new."""
        with self.scope():
            agents.may_edit(slug, self.principal) if _could_be(slug) else self.require("agents:write")
            rows = Agent.objects.select_related("live")
            present = conditions.replaced(self.plain_request, "agent", rows, _agent, slug=slug)
            with beneath("/spec"):
                agent = agents.put_draft(slug, self.body(_SPEC)["spec"], acting_as=self.principal)
            return conditions.answer(_agent(agents.by_slug(agent.slug)), status=200 if present else 201)


class Versions(View):
    """An agent's versions."""

    @call(
        "listAgentVersions",
        "List an agent's versions, newest first",
        answer=_VERSIONS,
        path=_PATH,
        parameters=PAGING,
        refusals=(400, 404, 422),
    )
    def get(self, request: Request, slug: str) -> Response:
        """List versions, newest first."""
        with self.scope():
            agent = _found(slug)
            self.require("agents:read")
            page = Page(Query(self.plain_request, ("limit", "cursor")), name=f"versions.{agent.id}", by=("number",))
            rows = agent.versions.defer("document", "compiled")
            return Response(page.of(rows, lambda listed: [_version_summary(agent, each) for each in listed]))

    @call(
        "makeAgentVersion",
        "Make a version",
        status=201,
        also=200,
        answer=_VERSION,
        body=NOTHING,
        path=_PATH,
        refusals=(404, 409),
    )
    def post(self, request: Request, slug: str) -> Response:
        """Make a version of the draft, with every tool as it is defined today; 200 when the newest is that already.

        Runs see it once it is published.
        """
        with self.scope():
            agent = _found(slug)
            agents.may_edit(slug, self.principal)
            self.body(NOTHING)
            with beneath("/spec"):
                made = versions.create(agent, acting_as=self.principal)
            return Response(_version(agent, made.version), status=201 if made.created else 200)


class OneVersion(View):
    """One version of an agent."""

    @call("getAgentVersion", "Read a version", answer=_VERSION, path=_NUMBERED, refusals=(404,))
    def get(self, request: Request, slug: str, number: str) -> Response:
        """Return the version with the system prompt its runs get."""
        with self.scope():
            agent = _found(slug)
            version = found(agent.versions.all(), number=_number(number))
            self.require("agents:read")
            return Response(_version(agent, version))


class Publish(View):
    """A version goes live."""

    @call("publishAgentVersion", "Publish a version", answer=_AGENT, body=_PERCENT, path=_NUMBERED, refusals=(404,))
    def post(self, request: Request, slug: str, number: str) -> Response:
        """Let new runs of the agent use this version; runs under way keep theirs."""
        with self.scope():
            agent = _found(slug)
            version = found(agent.versions.all(), number=_number(number))
            agents.may_edit(slug, self.principal)
            percent = self.body(_PERCENT).get("percent")
            versions.publish(agent, version.number, percent=percent, acting_as=self.principal)
            return conditions.answer(_agent(agents.by_slug(slug)))


class Rollback(View):
    """The former version goes live again."""

    @call("rollBackAgent", "Roll back", answer=_AGENT, body=NOTHING, path=_PATH, refusals=(404, 409))
    def post(self, request: Request, slug: str) -> Response:
        """Let new runs use the version that was live before; again, the one before that."""
        with self.scope():
            agent = _found(slug)
            agents.may_edit(slug, self.principal)
            self.body(NOTHING)
            versions.rollback(agent, acting_as=self.principal)
            return conditions.answer(_agent(agents.by_slug(slug)))


class Preview(View):
    """What the model would be told."""

    @call("previewAgent", "Preview what is being worked on", answer=_PREVIEW, path=_PATH, refusals=(404, 409, 422))
    def get(self, request: Request, slug: str) -> Response:
        """Return the system prompt and tools as they would be if what is being worked on were published now."""
        with self.scope():
            _found(slug)
            self.require("agents:read")
            return Response(_preview(versions.preview(slug, acting_as=self.principal)))

    @call("previewAgentSpec", "Preview a spec", answer=_PREVIEW, body=_MAYBE_SPEC, path=_PATH, refusals=(404, 409))
    def post(self, request: Request, slug: str) -> Response:
        """Return the same for a `spec` that is kept nowhere."""
        with self.scope():
            _found(slug)
            self.require("agents:read")
            spec = self.body(_MAYBE_SPEC).get("spec")
            with beneath("/spec"):
                return Response(_preview(versions.preview(slug, spec, acting_as=self.principal)))


def _found(slug: str) -> Agent:
    return found(Agent.objects.select_related("live"), slug=name(slug))


def _could_be(slug: str) -> bool:
    try:
        name(slug)
    except NotFound:
        return False
    return True


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 11 and int(text) <= MAX_NUMBER):
        raise NotFound
    return int(text)


def _agent(agent: Agent) -> Json:
    return {**_summary(agent), "spec": agents.spec_of(agent)}


def _summary(agent: Agent) -> Json:
    return {
        "slug": agent.slug,
        "live": agent.live.number if agent.live else None,
        "has_draft": agent.draft is not None,
        "created_at": agent.created_at.isoformat(),
        "updated_at": agent.updated_at.isoformat(),
    }


def _version_summary(agent: Agent, version: AgentVersion) -> Json:
    return {
        "number": version.number,
        "live": version.id == agent.live_id,
        "digest": version.digest,
        "created_at": version.created_at.isoformat(),
    }


def _version(agent: Agent, version: AgentVersion) -> Json:
    return {
        **_version_summary(agent, version),
        "spec": version.document,
        "system": version.compiled["system"],
    }


def _preview(preview: versions.Preview) -> Json:
    return {
        "system": preview.system,
        "tools": list(preview.tools),
        "output_schema": preview.output_schema,
        "tokens": dict(preview.tokens),
        "hints": [{"pointer": each.pointer, "detail": each.message} for each in preview.hints],
    }
