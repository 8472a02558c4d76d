"""Write down that an MCP server defines a tool otherwise than it was pinned: once for each definition."""

from typing import Final

from agents.models import McpServerRow
from audit import journal

#: Who writes it down: no person, but the worker whose call was stopped by it.
ENGINE: Final = "system:engine"


def changed(server: str, tool: str, sha256: str) -> None:
    """Keep the hash with the server and leave a record, unless it is known already. In the tenant's scope."""
    row = McpServerRow.objects.select_for_update().filter(name=server).first()
    if row is None or row.seen_hash(tool) == sha256:
        return
    row.seen = {**row.seen, tool: sha256}
    row.save(update_fields=["seen"])
    payload = {"server": server, "tool": tool}
    journal.record("mcp_tool.changed", stream=row.id, actor=ENGINE, facts={"definition": sha256}, payload=payload)
