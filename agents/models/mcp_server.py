"""Mutable: MCP servers, whose tools agents may be given."""

from typing import Any

from django.db import models

from agents.tools.seam import McpServer
from db.fields import OrderedJSONField
from db.models import TenantModel, new_id

Json = Any


class McpServerRow(TenantModel):
    """An MCP server by name. document: its `spec` as written.

    discovered: what it said of its tools when it was last asked for all of them, as
    `agents.tools.mcp.definitions.Definition.document` has it; null before. seen: hash by tool, of what calls have met
    since then that was not as it was pinned.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    name = models.CharField(max_length=63)
    document = OrderedJSONField()
    discovered = OrderedJSONField(null=True)
    discovered_at = models.DateTimeField(null=True)
    seen = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta(TenantModel.Meta):
        db_table = "agents_mcpserver"
        constraints = (models.UniqueConstraint(fields=["tenant_id", "name"], name="one_mcp_server_per_name"),)

    def __str__(self) -> str:
        return self.name

    @property
    def server(self) -> McpServer:
        """The server as tools use it, its secrets named only."""
        spec: dict[str, Json] = self.document
        command = tuple(spec.get("command", ()))
        return McpServer(self.name, spec["transport"], command, spec.get("url", ""), spec.get("headers", {}))

    def definition(self, tool: str) -> dict[str, Json] | None:
        """Return what the server said of a tool when it was last discovered."""
        return next((each for each in self.discovered or () if each.get("name") == tool), None)

    def seen_hash(self, tool: str) -> str | None:
        """Return the hash of the tool's newest definition that is known here."""
        newest: str | None = self.seen[tool] if tool in self.seen else (self.definition(tool) or {}).get("sha256")
        return newest
