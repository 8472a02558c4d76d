"""The kinds of tools this installation has."""

from collections.abc import Sequence
from pathlib import Path

from agents.tools.http.kind import HttpKind
from agents.tools.mcp.kind import McpKind
from agents.tools.perform import Registry
from agents.tools.python.kind import PythonKind
from agents.tools.sql.kind import SqlKind
from agents.tools.subagent.kind import AgentKind
from egress.client import Client


def build_registry(*, client: Client, sources_dir: Path, mcp_allow: Sequence[str] = ()) -> Registry:
    """Return the kinds by name. client: the guarded way out; sources_dir: the folder of SQLite data sources.
    mcp_allow: the programs that may run as MCP servers.

    To add a kind: a folder beside this file with a class of the shape `seam.ToolKind`, and a line here.
    """
    return {
        "http": HttpKind(client),
        "mcp": McpKind(client, mcp_allow),
        "python": PythonKind(),
        "sql": SqlKind(client, sources_dir),
        "agent": AgentKind(),
    }
