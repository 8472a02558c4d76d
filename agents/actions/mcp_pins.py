"""What tools of type mcp are pinned to: the hash of their server's definition, as somebody has looked at it."""

from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from agents.core.document import value_problems
from agents.core.wording import meant
from agents.errors import InvalidDocument
from agents.models import McpServerRow, Tool
from agents.tools.mcp.config import tool_problems

Json = Any
Spec = Mapping[str, Json]


def pinned(name: str, spec: Spec) -> Spec:
    """Return the tool's `spec` with the hash it is pinned to, and the server's input schema if it has none of its own.

    Without a hash in it a new tool is pinned to what was discovered last, and an existing one stays as it is: only
    somebody who gives the new hash says yes to a changed definition. Raises `InvalidDocument`.
    """
    block = spec.get("mcp") if isinstance(spec, Mapping) and spec.get("type") == "mcp" else None
    if not isinstance(block, Mapping) or value_problems(spec) or tool_problems(block):
        return spec  # the check of the whole document says what is wrong
    server = McpServerRow.objects.filter(name=block["server"]).first()
    if server is None:
        names = McpServerRow.objects.order_by("name").values_list("name", flat=True)
        raise_at(name, "/mcp/server", f"There is no MCP server {block['server']}.{meant(block['server'], names)}")
    former = _former(name, block)
    given = block.get("definition")
    if given is None and former is not None:
        return _with(spec, former["mcp"]["definition"], former.get("input_schema"))
    if given is not None and former is not None and former["mcp"]["definition"] == given:
        return _with(spec, given, former.get("input_schema"))
    return _with(spec, *_looked_at(name, server, block["tool"], given, "input_schema" in spec))


def states(tools: Iterable[Tool]) -> dict[str, Json]:
    """Return `{definition, current, changed}` of each tool of type mcp, by name; the tools have `live` at hand."""
    blocks = {
        tool.name: tool.live.document["mcp"]
        for tool in tools
        if tool.live is not None and tool.live.document.get("type") == "mcp"
    }
    if not blocks:
        return {}
    servers = {
        row.name: row for row in McpServerRow.objects.filter(name__in={each["server"] for each in blocks.values()})
    }
    return {name: state(servers.get(block["server"]), block) for name, block in blocks.items()}


def state(server: McpServerRow | None, block: Mapping[str, Json]) -> Json:
    """Return `{definition, current, changed}` of a tool's `mcp` block."""
    current = server.seen_hash(block["tool"]) if server is not None else None
    changed = current is not None and current != block["definition"]
    return {"definition": block["definition"], "current": current, "changed": changed}


def raise_at(name: str, pointer: str, detail: str) -> NoReturn:
    """Raise `InvalidDocument` for one place of a tool's `spec`."""
    detail_of_all = f"The tool {name} is not valid. {pointer}: {detail}"
    raise InvalidDocument(detail_of_all, errors=[{"pointer": pointer, "detail": detail}])


def _former(name: str, block: Mapping[str, Json]) -> Spec | None:
    """Return the live `spec` if it is of the same tool of the same server."""
    tool = Tool.objects.select_related("live").filter(name=name).first()
    spec = tool.live.document if tool is not None and tool.live is not None else {}
    was = spec.get("mcp")
    same = isinstance(was, Mapping) and all(was.get(key) == block[key] for key in ("server", "tool"))
    return spec if same else None


def _looked_at(name: str, server: McpServerRow, tool: str, given: str | None, has_schema: bool) -> tuple[str, Json]:
    """Return hash and input schema of the definition that is approved by this."""
    found, newest = server.definition(tool), server.seen_hash(tool)
    again = f"Ask it with POST mcp_servers/{server.name}/discover, look at the definition, and save the tool again."
    if server.discovered is None and not (given and has_schema):
        raise_at(name, "/mcp/server", f"The MCP server {server.name} has not said yet which tools it has. {again}")
    if server.discovered is not None and found is None:
        names = [each["name"] for each in server.discovered]
        known = meant(tool, names) or f" It has {', '.join(sorted(names)[:20]) or 'none'}."
        raise_at(name, "/mcp/tool", f"The MCP server {server.name} has no tool {tool}.{known}")
    if found is not None and found.get("fault"):
        raise_at(name, "/mcp/tool", f"The server's definition cannot be used. {found['fault']}")
    if newest is not None and given not in (None, newest):
        detail = f"The server defines the tool otherwise: its hash is {newest}. Look at that definition, then give it."
        raise_at(name, "/mcp/definition", detail)
    is_discovered = found is not None and found["sha256"] == newest
    if not is_discovered and not (given and has_schema):
        raise_at(name, "/mcp/tool", f"The server has changed the tool since it was discovered. {again}")
    return given or str(newest), found.get("input_schema") if found is not None and is_discovered else None


def _with(spec: Spec, definition: str, input_schema: Json) -> Spec:
    schema = {} if "input_schema" in spec or input_schema is None else {"input_schema": input_schema}
    return {**spec, "mcp": {**spec["mcp"], "definition": definition}, **schema}
