"""MCP servers and tools on them as documents: applied in one go, exported, never approved by being applied again."""

import json
from pathlib import Path

import pytest

from agents.actions import mcp_servers, tools
from agents.config.applying import apply, export, plan
from agents.config.errors import ConfigError
from agents.config.reading import read
from db.scope import tenant_scope
from tests.agents.tools.mcp.allowing import mcp_programs
from tests.worlds import World, world

__all__ = ["mcp_programs"]

pytestmark = pytest.mark.usefixtures("database")

FILE = """
apiVersion: countersign/v1
kind: Tool
metadata: {{name: repeat}}
spec: {{description: Repeat., type: mcp, mcp: {{server: desk, tool: echo}}, effect: read}}
---
apiVersion: countersign/v1
kind: McpServer
metadata: {{name: desk}}
spec: {{transport: stdio, command: [hostile, plain, "{said}"]}}
"""
ECHO = {"name": "echo", "description": "Repeats.", "inputSchema": {"type": "object"}}


@pytest.fixture
def here() -> World:
    return world()


def pinned(here: World) -> tuple[int, str]:
    with tenant_scope(here.tenant_id):
        live = tools.by_name("repeat").live
        assert live is not None
        return live.number, live.document["mcp"]["definition"]


def test_a_server_and_its_tool_are_applied_together_and_not_approved_by_that_again(
    here: World, mcp_programs: Path
) -> None:
    mcp_programs.write_text(json.dumps([ECHO]))
    texts = list(read(FILE.format(said=mcp_programs), "a.yaml"))
    with tenant_scope(here.tenant_id):
        changes = apply(texts, publish=False, acting_as=here.alice).changes
        assert [(each.kind, list(each.notes)) for each in changes] == [
            ("McpServer", ["1 tools discovered"]),
            ("Tool", ["version 1"]),
        ]
    before = pinned(here)
    mcp_programs.write_text(json.dumps([{**ECHO, "description": "Repeats to me."}]))
    mcp_servers.discover("desk", acting_as=here.alice)

    with tenant_scope(here.tenant_id):
        assert apply(texts, publish=False, acting_as=here.alice).changes == []
        exported = list(read(export(acting_as=here.alice), "b.yaml"))
        assert plan(exported, publish=False, acting_as=here.alice).changes == []
    assert pinned(here) == before


def test_a_tool_of_a_server_that_cannot_be_asked_is_refused(here: World) -> None:
    text = FILE.format(said="").replace(
        'transport: stdio, command: [hostile, plain, ""]', "transport: http, url: 'http://127.0.0.1:9/'"
    )
    with tenant_scope(here.tenant_id), pytest.raises(ConfigError, match="has not said yet which tools it has"):
        apply(list(read(text, "a.yaml")), publish=False, acting_as=here.alice)
