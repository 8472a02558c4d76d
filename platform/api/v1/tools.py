"""Tools: definitions."""

from typing import Any

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from agents.actions import tools
from agents.models import Tool
from api import conditions
from api.bodies import Body, beneath
from api.queries import Page, Query
from api.schema import CONDITIONS, ETAG, PAGING, call, component, page_of
from api.views import View, found, name

Json = Any

_SPEC = Body(
    {
        "type": "object",
        "properties": {"spec": {"type": "object", "description": "The `spec` of a document of the kind Tool."}},
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
_TOOL = component(
    "Tool",
    {
        "name": {"type": "string"},
        "version": {"type": "integer", "minimum": 1},
        "digest": {"type": "string", "description": "SHA-256 (hex) of the definition."},
        "spec": {"type": "object"},
        "created_at": _TIME,
        "updated_at": _TIME,
    },
)
_PAGE = page_of("ToolPage", _TOOL)
_PATH = {"tool_name": "The tool's name."}


class Tools(View):
    """The tenant's tools."""

    @call("listTools", "List tools, newest first", answer=_PAGE, parameters=PAGING, refusals=(400, 422))
    def get(self, request: Request) -> Response:
        """List tools, newest first."""
        self.require("tools:read")
        page = Page(Query(self.plain_request, ("limit", "cursor")), name=f"tools.{self.principal.tenant_id}")
        with self.scope():
            return Response(page.of(_defined(), lambda listed: [_json(tool) for tool in listed]))


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
            return conditions.answer(_json(tool))

    @call(
        "putTool",
        "Define a tool",
        also=201,
        answer=_TOOL,
        body=_SPEC,
        path=_PATH,
        parameters=CONDITIONS,
        refusals=(412, 428),
    )
    def put(self, request: Request, tool_name: str) -> Response:
        """Define the tool; agents published from now on get it. 201 when the tool is new."""
        self.require("tools:write")
        with self.scope():
            present = conditions.replaced(self.plain_request, "tool", _defined(), _json, name=tool_name)
            with beneath("/spec"):
                tools.put(tool_name, self.body(_SPEC)["spec"], acting_as=self.principal)
            return conditions.answer(_json(tools.by_name(tool_name)), status=200 if present else 201)


def _defined() -> "QuerySet[Tool]":
    return Tool.objects.select_related("live").exclude(live=None)


def _json(tool: Tool) -> Json:
    live: Any = tool.live
    return {
        "name": tool.name,
        "version": live.number,
        "digest": live.digest,
        "spec": live.document,
        "created_at": tool.created_at.isoformat(),
        "updated_at": tool.updated_at.isoformat(),
    }
