"""Tools: definitions."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from agents.actions import mcp_pins, tools, tries
from agents.models import Tool, ToolBreaker
from agents.tools.breaker import state_of
from agents.tools.seam import Failed, Finished
from api import conditions
from api.bodies import Body, beneath
from api.queries import Page, Query
from api.schema import CONDITIONS, ETAG, PAGING, call, component, page_of
from api.views import View, found, name

Json = Any

_SPEC = Body(
    {
        "type": "object",
        "properties": {
            "spec": {"type": "object", "description": "The `spec` of a document of the kind Tool."},
            "strict": {
                "type": "boolean",
                "default": False,
                "description": "Refuse (409) a definition that policies or conditions of grants no longer fit.",
            },
        },
        "required": ["spec"],
        "additionalProperties": False,
    },
    example={
        "spec": {
            "description": "Retrieve a customer record by id from the CRM.",
            "type": "http",
            "http": {"method": "GET", "url": "https://crm.example/customers/{customer_id}"},
            "input_schema": {
                "type": "object",
                "properties": {"customer_id": {"type": "string"}},
                "required": ["customer_id"],
            },
            "effect": "read",
        }
    },
)
_TIME = {"type": "string", "format": "date-time"}
_WHEN = {**_TIME, "type": ["string", "null"]}
_BREAKER = {
    "type": "object",
    "description": "The circuit breaker: whether calls are made. Of one tool only, and no part of its ETag.",
    "properties": {
        "state": {"enum": ["closed", "open", "half_open"]},
        "failures": {"type": "integer", "minimum": 0, "description": "Calls in a row that failed."},
        "opened_at": _WHEN,
        "retry_at": {**_WHEN, "description": "When a call is tried again."},
    },
    "required": ["state", "failures", "opened_at", "retry_at"],
    "additionalProperties": False,
}
_TOOL = component(
    "Tool",
    {
        "name": {"type": "string"},
        "version": {"type": "integer", "minimum": 1},
        "digest": {"type": "string", "description": "SHA-256 (hex) of the definition."},
        "spec": {"type": "object"},
        "mcp": {
            "type": ["object", "null"],
            "description": "Of tools of type mcp: whether the server still defines the tool as it was saved.",
            "properties": {
                "definition": {"type": "string", "description": "SHA-256 (hex) that the tool is pinned to."},
                "current": {"type": ["string", "null"], "description": "The newest hash that is known; null: none."},
                "changed": {"type": "boolean", "description": "Calls are refused until the tool is saved anew."},
            },
        },
        "created_at": _TIME,
        "updated_at": _TIME,
        "breaker": _BREAKER,
        "breaks": {
            "type": "array",
            "description": "In the answer to a new definition: what speaks of its arguments and no longer fits.",
            "items": {
                "type": "object",
                "properties": {
                    "kind": {"enum": ["policy", "grant"]},
                    "name": {"type": "string", "description": "Of a grant its id."},
                    "detail": {"type": "string"},
                },
                "required": ["kind", "name", "detail"],
                "additionalProperties": False,
            },
        },
    },
    optional=("breaker", "breaks"),
)
_PAGE = page_of("ToolPage", _TOOL)
_TRY = Body(
    {
        "type": "object",
        "properties": {
            "arguments": {"type": "object", "description": "They fit the tool's input schema."},
            "confirm": {"type": "boolean", "default": False, "description": "That an irreversible effect is meant."},
        },
        "required": ["arguments"],
        "additionalProperties": False,
    },
    example={"arguments": {"customer_id": "CUST-1"}},
)
_TRIED = component(
    "TriedTool",
    {
        "try": {"type": "string", "format": "uuid", "description": "Names the try in the log."},
        "version": {"type": "integer", "minimum": 1, "description": "Of the definition that was tried."},
        "outcome": {
            "type": "string",
            "enum": ["finished", "failed", "unknown"],
            "description": "`unknown`: it may or may not have had its effect.",
        },
        "result": {"description": "What a model would be shown; null unless it finished."},
        "truncated": {"type": "boolean", "description": "Whether the result was cut for the model."},
        "error": {
            "type": ["object", "null"],
            "properties": {"code": {"type": "string"}, "detail": {"type": "string"}, "retryable": {"type": "boolean"}},
            "required": ["code", "detail", "retryable"],
            "additionalProperties": False,
        },
    },
)
_PATH = {"tool_name": "The tool's name."}


class Tools(View):
    """The tenant's tools."""

    @call("listTools", "List tools, newest first", answer=_PAGE, parameters=PAGING, refusals=(400, 422))
    def get(self, request: Request) -> Response:
        """List tools, newest first."""
        self.require("tools:read")
        page = Page(Query(self.plain_request, ("limit", "cursor")), name=f"tools.{self.principal.tenant_id}")
        with self.scope():
            return Response(page.of(_defined(), _page_json))


class OneTool(View):
    """One tool."""

    @call(
        "getTool",
        "Read a tool",
        answer=_TOOL,
        path=_PATH,
        parameters=(ETAG,),
        refusals=(404,),
    )
    def get(self, request: Request, tool_name: str) -> Response:
        """Return the definition that agents get from now on; published versions keep theirs."""
        with self.scope():
            tool = found(_defined(), name=name(tool_name))
            self.require("tools:read")
            return conditions.answer(_json(tool), beside=_state(tool))

    @call(
        "putTool",
        "Define a tool",
        also=201,
        answer=_TOOL,
        body=_SPEC,
        path=_PATH,
        parameters=CONDITIONS,
        refusals=(409, 412, 428),
    )
    def put(self, request: Request, tool_name: str) -> Response:
        """Define the tool; agents published from now on get it. 201 when the tool is new.

        `breaks` says which policies and conditions of grants speak of arguments that it no longer takes; with `strict`
        such a definition is refused (409 `tool_breaks`).
        """
        self.require("tools:write")
        with self.scope():
            present = conditions.replaced(self.plain_request, "tool", _defined(), _json, name=tool_name)
            body = self.body(_SPEC)
            with beneath("/spec"):
                saved = tools.put(tool_name, body["spec"], strict=body.get("strict", False), acting_as=self.principal)
            tool = tools.by_name(tool_name)
            beside = _state(tool) | ({"breaks": [each.as_json() for each in saved.breaks]} if saved.breaks else {})
            return conditions.answer(_json(tool), status=200 if present else 201, beside=beside)


class Try(View):
    """A call of a tool for whoever asks."""

    @call("tryTool", "Try a tool", answer=_TRIED, body=_TRY, path=_PATH, refusals=(404, 409, 422, 429))
    def post(self, request: Request, tool_name: str) -> Response:
        """Call the tool once, with your own grants and the tenant's secrets, and return what came of it.

        A failure of the tool is an answer, too. A call that people approve is not made (409); one that cannot be undone
        only with `confirm` (422). Each try is recorded, with its arguments and what came of it.
        """
        with self.scope():
            tool = found(_defined(), name=name(tool_name))
            self.require("tools:write")
            body = self.body(_TRY)
        made = tries.make(
            tool.name, body["arguments"], confirm=body.get("confirm", False), acting_as=self.principal
        )  # outside the scope: it commits its intent before the call
        return Response(_tried_json(made))


def _tried_json(made: tries.Tried) -> Json:
    outcome = made.outcome
    answer = {"try": str(made.id), "version": made.version, "outcome": tries.became(outcome)}
    if isinstance(outcome, Finished):
        return {**answer, "result": outcome.result, "truncated": outcome.truncated, "error": None}
    code, retryable = (outcome.code, outcome.retryable) if isinstance(outcome, Failed) else ("outcome_unknown", False)
    error = {"code": code, "detail": outcome.message, "retryable": retryable}
    return {**answer, "result": None, "truncated": False, "error": error}


def _defined() -> "QuerySet[Tool]":
    return Tool.objects.select_related("live").exclude(live=None)


def _state(tool: Tool) -> Json:
    row = ToolBreaker.objects.filter(tool=tool).first()
    return {"breaker": state_of(row, timezone.now())}


def _page_json(listed: Sequence[Tool]) -> list[Json]:
    states = mcp_pins.states(listed)
    return [_shown(tool, states) for tool in listed]


def _json(tool: Tool) -> Json:
    return _shown(tool, mcp_pins.states([tool]))


def _shown(tool: Tool, states: Mapping[str, Json]) -> Json:
    live: Any = tool.live
    return {
        "name": tool.name,
        "version": live.number,
        "digest": live.digest,
        "spec": live.document,
        "mcp": states.get(tool.name),
        "created_at": tool.created_at.isoformat(),
        "updated_at": tool.updated_at.isoformat(),
    }
