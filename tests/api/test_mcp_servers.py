"""MCP servers over REST: defined, asked, and the tools on them told apart when a definition changes."""

import json
from pathlib import Path
from typing import Any

from tests.agents.tools.mcp.allowing import mcp_programs
from tests.api.conftest import Caller

__all__ = ["mcp_programs"]

Json = Any
ECHO: Json = {"name": "echo", "description": "Repeats.", "inputSchema": {"type": "object"}}
TOOL: Json = {
    "description": "Repeat.",
    "type": "mcp",
    "mcp": {"server": "desk", "tool": "echo"},
    "effect": "read",
}


def test_a_server_is_defined_asked_used_and_approved_anew(alice: Caller, bob: Caller, mcp_programs: Path) -> None:
    mcp_programs.write_text(json.dumps([ECHO]))
    spec = {"transport": "stdio", "command": ["hostile", "plain", str(mcp_programs)]}
    made = alice.put("mcp_servers/desk", {"spec": spec}, If_None_Match="*")
    assert (made.status, made.json["spec"], made.json["discovered_at"]) == (201, spec, None)
    assert alice.get("mcp_servers/desk").headers["ETag"] == made.headers["ETag"]
    assert alice.put("mcp_servers/desk", {"spec": spec}).code == "precondition_required"
    assert bob.post("mcp_servers/desk/discover").status == 403

    [found] = alice.post("mcp_servers/desk/discover").json["definitions"]
    assert (found["name"], found["description"], len(found["sha256"])) == ("echo", "Repeats.", 64)
    tool = alice.put("tools/repeat", {"spec": TOOL}, If_None_Match="*")
    assert tool.json["mcp"] == {"definition": found["sha256"], "current": found["sha256"], "changed": False}

    mcp_programs.write_text(json.dumps([{**ECHO, "description": "Repeats to me."}]))
    asked = alice.post("mcp_servers/desk/discover").json
    [new] = asked["definitions"]
    state = {"definition": found["sha256"], "current": new["sha256"], "changed": True}
    assert asked["pins"] == [{"name": "repeat", "tool": "echo", **state}]
    read = alice.get("tools/repeat")
    assert (read.json["mcp"], alice.get("tools").json["results"][0]["mcp"]) == (state, state)

    pinned = {**TOOL, "mcp": {**TOOL["mcp"], "definition": new["sha256"]}}
    saved = alice.put("tools/repeat", {"spec": pinned}, If_Match=str(read.headers["ETag"]))
    assert (saved.json["version"], saved.json["mcp"]["changed"]) == (2, False)
    assert alice("DELETE", "mcp_servers/desk").code == "mcp_server_in_use"
    [listed] = bob.get("mcp_servers").json["results"]
    assert (listed["name"], "definitions" in listed) == ("desk", False)
    assert bob.get("mcp_servers/desk").json["definitions"] == [new]


def test_what_is_wrong_is_told_with_its_place(alice: Caller) -> None:
    refused = alice.put("mcp_servers/desk", {"spec": {"transport": "stdio", "command": ["sh"]}}, If_None_Match="*")
    assert (refused.code, refused.pointers) == ("invalid_document", ["/spec/command"])
    assert "MCP_STDIO_ALLOW" in refused.json["detail"]

    refused = alice.put("tools/repeat", {"spec": TOOL}, If_None_Match="*")
    assert (refused.code, refused.pointers) == ("invalid_document", ["/spec/mcp/server"])


def test_a_server_that_is_not_there_is_a_clear_failure_and_a_private_place_too(alice: Caller) -> None:
    spec = {"transport": "http", "url": "http://127.0.0.1:9/mcp"}
    alice.put("mcp_servers/desk", {"spec": spec}, If_None_Match="*")

    failed = alice.post("mcp_servers/desk/discover")

    assert (failed.status, failed.code) == (409, "mcp_server_failed")
    assert "EGRESS_ALLOW=127.0.0.1:9" in failed.json["detail"]
    assert alice("DELETE", "mcp_servers/desk").status == 204
    assert alice.get("mcp_servers/desk").code == "not_found"
