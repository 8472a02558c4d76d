"""Which programs may run as MCP servers: what the installation lists in `MCP_STDIO_ALLOW`, and nothing else."""

from collections.abc import Mapping, Sequence

from agents.tools.mcp.faults import McpError


def parse_allowed(entries: Sequence[str]) -> Mapping[str, str]:
    """Return the paths by what a document may call them. entries: `/path`, or `name=/path`."""
    allowed = {}
    for entry in entries:
        name, _, path = entry.rpartition("=")
        allowed[name or path] = path
    return allowed


def executable(command: Sequence[str], allowed: Mapping[str, str]) -> str:
    """Return the path of the program a command names. Raises `McpError`, with what to do about it."""
    if not allowed:
        detail = (
            "This installation runs no MCP servers over stdio: its operator lists the programs that may run in"
            " MCP_STDIO_ALLOW, and the list is empty. Servers over http need no such list."
        )
        raise McpError("misconfigured", detail)
    if command[0] not in allowed:
        known = ", ".join(sorted(allowed))
        detail = f"{command[0]!r} is not among the programs that this installation runs as MCP servers: {known}."
        raise McpError("misconfigured", f"{detail} Its operator can list it in MCP_STDIO_ALLOW.")
    return allowed[command[0]]
