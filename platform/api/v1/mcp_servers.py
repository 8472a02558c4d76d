"""MCP servers: where tools of type mcp are, what they offer, and whether it is still what tools were saved with."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connection
from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from agents.actions import mcp_pins, mcp_servers, tools
from agents.models import McpServerRow
from api import conditions
from api.bodies import Body, beneath
from api.queries import Page, Query
from api.schema import CONDITIONS, ETAG, PAGING, call, component, page_of
from api.views import View, found, name

Json = Any

_SPEC = Body(
    {
        "type": "object",
        "properties": {"spec": {"type": "object", "description": "The `spec` of a document of the kind McpServer."}},
        "required": ["spec"],
        "additionalProperties": False,
    },
    example={
        "spec": {
            "transport": "http",
            "url": "https://tools.example/mcp",
            "headers": {"Authorization": "Bearer secret:tools_token"},
        }
    },
)
_TIME = {"type": "string", "format": "date-time"}
_HASH = {"type": "string", "description": "SHA-256 (hex) of a definition."}
_SERVER = component(
    "McpServer",
    {
        "name": {"type": "string"},
        "spec": {"type": "object"},
        "discovered_at": {**_TIME, "type": ["string", "null"]},
        "definitions": {
            "type": "array",
            "description": "What the server said of its tools when last asked; words of somebody else. Not in lists.",
            "items": {
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "sha256": _HASH,
                    "description": {"type": "string"},
                    "input_schema": {"type": "object"},
                    "output_schema": {},
                    "annotations": {"type": "object"},
                    "fault": {"type": "string", "description": "Why it cannot be used; absent when it can."},
                },
            },
        },
        "pins": {
            "type": "array",
            "description": "The tools that are on this server, and whether it still defines them as they were saved.",
            "items": {
                "type": "object",
                "properties": {
                    "name": {"type": "string", "description": "Of the tool here."},
                    "tool": {"type": "string", "description": "As the server calls it."},
                    "definition": _HASH,
                    "current": {**_HASH, "type": ["string", "null"]},
                    "changed": {"type": "boolean", "description": "Calls are refused until the tool is saved anew."},
                },
            },
        },
        "created_at": _TIME,
        "updated_at": _TIME,
    },
    optional=("definitions",),
)
_PAGE = page_of("McpServerPage", _SERVER)
_PATH = {"server_name": "The MCP server's name."}


class McpServers(View):
    """The tenant's MCP servers."""

    @call("listMcpServers", "List MCP servers, newest first", answer=_PAGE, parameters=PAGING, refusals=(400, 422))
    def get(self, request: Request) -> Response:
        """List MCP servers, newest first."""
        self.require("tools:read")
        page = Page(Query(self.plain_request, ("limit", "cursor")), name=f"mcp_servers.{self.principal.tenant_id}")
        with self.scope():
            return Response(page.of(McpServerRow.objects.all(), _page_json))


class OneMcpServer(View):
    """One MCP server."""

    @call("getMcpServer", "Read an MCP server", answer=_SERVER, path=_PATH, parameters=(ETAG,), refusals=(404,))
    def get(self, request: Request, server_name: str) -> Response:
        """Return the server, what it was last found to offer, and the tools that are on it."""
        with self.scope():
            server = found(McpServerRow.objects.all(), name=name(server_name))
            self.require("tools:read")
            return conditions.answer(_json(server))

    @call(
        "putMcpServer",
        "Define an MCP server",
        also=201,
        answer=_SERVER,
        body=_SPEC,
        path=_PATH,
        parameters=CONDITIONS,
        refusals=(412, 428),
    )
    def put(self, request: Request, server_name: str) -> Response:
        """Define the server; what another one offered at its place is forgotten. 201 when it is new."""
        self.require("tools:write")
        with self.scope():
            rows = McpServerRow.objects.all()
            present = conditions.replaced(self.plain_request, "mcp_server", rows, _json, name=server_name)
            with beneath("/spec"):
                server = mcp_servers.put(server_name, self.body(_SPEC)["spec"], acting_as=self.principal)
            return conditions.answer(_json(server), status=200 if present else 201)

    @call("deleteMcpServer", "Delete an MCP server", status=204, path=_PATH, refusals=(404, 409))
    def delete(self, request: Request, server_name: str) -> HttpResponse:
        """Forget the server. Refused while a tool is on it."""
        with self.scope():
            found(McpServerRow.objects.all(), name=name(server_name))
            self.require("tools:write")
            mcp_servers.remove(server_name, acting_as=self.principal)
        return HttpResponse(status=204)


class Discovery(View):
    """Asking an MCP server what it offers."""

    @call(
        "discoverMcpServer",
        "Ask an MCP server for its tools",
        answer=_SERVER,
        path=_PATH,
        refusals=(404, 409, 412),
    )
    def post(self, request: Request, server_name: str) -> Response:
        """Ask the server what it offers now, and keep that.

        Tools stay pinned to the definition they were saved with; save a tool with the new hash to go on with it.
        """
        with self.scope():
            found(McpServerRow.objects.all(), name=name(server_name))
            self.require("tools:write")
        self.body()
        try:
            mcp_servers.discover(server_name, acting_as=self.principal)
        finally:
            connection.close()
        with self.scope():
            return conditions.answer(_json(found(McpServerRow.objects.all(), name=server_name)))


def _page_json(listed: Sequence[McpServerRow]) -> list[Json]:
    specs = tools.specs()
    shown = [_shown(server, specs) for server in listed]
    return [{key: value for key, value in each.items() if key != "definitions"} for each in shown]


def _json(server: McpServerRow) -> Json:
    return _shown(server, tools.specs())


def _shown(server: McpServerRow, specs: Mapping[str, Mapping[str, Json]]) -> Json:
    blocks = {tool: spec["mcp"] for tool, spec in specs.items() if (spec.get("mcp") or {}).get("server") == server.name}
    pins = [{"name": tool, "tool": block["tool"], **mcp_pins.state(server, block)} for tool, block in blocks.items()]
    return {
        "name": server.name,
        "spec": server.document,
        "discovered_at": server.discovered_at.isoformat() if server.discovered_at else None,
        "definitions": server.discovered or [],
        "pins": pins,
        "created_at": server.created_at.isoformat(),
        "updated_at": server.updated_at.isoformat(),
    }
