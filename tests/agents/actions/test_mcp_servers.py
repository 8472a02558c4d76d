"""MCP servers and the tools on them: defined, asked, pinned, approved anew."""

import json
import re
import socket
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError

from access.errors import AccessDenied
from agents.actions import mcp_pins, mcp_servers, tools
from agents.engine import mcp_seen
from agents.errors import InvalidDocument, McpServerFailed, McpServerInUse, UnknownMcpServer
from agents.models import McpServerRow, ToolVersion
from agents.tools.mcp.definitions import definition
from agents.tools.mcp.kind import McpKind
from agents.tools.seam import McpServer
from audit.models import Record
from db.scope import tenant_scope
from egress.allow import parse_allow
from egress.client import Client
from tests.agents.tools.mcp.allowing import mcp_programs
from tests.agents.tools.mcp.web import speaks
from tests.egress.servers import Handler, answer, serve
from tests.journal.conftest import Failing, failing, superuser
from tests.worlds import World, world
from vault.actions import secrets

__all__ = ["failing", "mcp_programs", "superuser"]

pytestmark = pytest.mark.usefixtures("database")

Json = Any
WEB: Json = {"transport": "http", "url": "https://tools.example/mcp"}
ECHO: Json = {
    "name": "echo",
    "description": "Repeats.",
    "inputSchema": {"type": "object", "properties": {"n": {"type": "integer"}}},
}
TOOL: Json = {
    "description": "Repeat.",
    "type": "mcp",
    "mcp": {"server": "desk", "tool": "echo"},
    "effect": "read",
}


@pytest.fixture
def here() -> World:
    return world()


def says(said: Path, *definitions: Json) -> Json:
    """Have the server define these tools; returns its `spec`."""
    said.write_text(json.dumps(definitions))
    return {"transport": "stdio", "command": ["hostile", "plain", str(said)]}


def discovered(here: World, spec: Json) -> McpServerRow:
    mcp_servers.put("desk", spec, acting_as=here.alice)
    return mcp_servers.discover("desk", acting_as=here.alice)


def put(here: World, **changed: Json) -> tuple[ToolVersion, bool]:
    saved = tools.put("repeat", {**TOOL, **changed}, acting_as=here.alice)
    return saved.version, saved.changed


def actions(here: World) -> list[str]:
    with tenant_scope(here.tenant_id):
        return list(Record.objects.filter(action__startswith="mcp").order_by("id").values_list("action", flat=True))


def test_a_server_is_defined_changed_and_removed(here: World) -> None:
    mcp_servers.put("desk", WEB, acting_as=here.alice)
    mcp_servers.put("desk", WEB, acting_as=here.alice)
    mcp_servers.put("desk", {**WEB, "url": "https://b.example/"}, acting_as=here.alice)
    mcp_servers.remove("desk", acting_as=here.alice)

    assert actions(here) == ["mcp_server.set", "mcp_server.set", "mcp_server.deleted"]
    with pytest.raises(UnknownMcpServer):
        mcp_servers.remove("desk", acting_as=here.alice)


@pytest.mark.parametrize(
    ("spec", "pointer", "words"),
    [
        ({"transport": "sse", "url": "https://x.example"}, "/transport", "Write one of stdio, http"),
        ({"transport": "http"}, "/url", "Write the server's URL"),
        ({"transport": "http", "url": "ftp://x.example"}, "/url", "Write the server's URL"),
        ({**WEB, "command": ["x"]}, "/command", "remove this"),
        ({**WEB, "headers": {"Authorization": "Bearer abc"}}, "/headers/Authorization", "write secret:NAME"),
        ({**WEB, "headers": {"X-Api-Key": "abc"}}, "/headers/X-Api-Key", "write secret:NAME"),
        ({**WEB, "headers": {"Authorization": "a b secret:x"}}, "/headers/Authorization", "secret:NAME alone"),
        ({**WEB, "headers": {"Mcp-Session-Id": "x"}}, "/headers/Mcp-Session-Id", "The platform sets this header"),
        ({**WEB, "headers": {"Host": "x"}}, "/headers/Host", "is set by the platform"),
        ({"transport": "stdio"}, "/command", "Write the command"),
        ({"transport": "stdio", "command": ["x"], "url": "https://x.example"}, "/url", "remove this"),
        ({"transport": "stdio", "command": ["x", "secret:y"]}, "/command/1", "A secret cannot stand here"),
        ({"transport": "stdio", "command": ["x"], "env": {}}, "/env", "env is not known here"),
        ({"transport": "stdio", "command": []}, "/command", "must not be empty"),
    ],
)
def test_a_bad_server_is_refused_with_its_place(here: World, spec: Json, pointer: str, words: str) -> None:
    with pytest.raises(InvalidDocument) as refused:
        mcp_servers.put("desk", spec, acting_as=here.alice)

    [found] = [each for each in refused.value.errors if each["pointer"] == pointer]
    assert words in found["detail"]


def test_without_allowed_programs_stdio_is_refused_in_words(here: World) -> None:
    with pytest.raises(InvalidDocument, match="lists the programs that may run in MCP_STDIO_ALLOW"):
        mcp_servers.put("desk", {"transport": "stdio", "command": ["/bin/sh"]}, acting_as=here.alice)


def test_a_program_that_is_not_listed_is_refused(here: World, mcp_programs: Path) -> None:
    with pytest.raises(InvalidDocument, match="not among the programs that this installation runs"):
        mcp_servers.put("desk", {"transport": "stdio", "command": ["/bin/sh"]}, acting_as=here.alice)


def test_a_secret_that_a_server_needs_is_kept(here: World) -> None:
    spec = {**WEB, "headers": {"Authorization": "Bearer secret:desk_token"}}
    mcp_servers.put("desk", spec, acting_as=here.alice)
    with pytest.raises(McpServerFailed, match="needs the secret desk_token, which is not set"):
        mcp_servers.discover("desk", acting_as=here.alice)
    with tenant_scope(here.tenant_id):
        secrets.put("desk_token", "open-sesame", acting_as=here.alice)

        with pytest.raises(Exception, match="the MCP server desk"):
            secrets.remove("desk_token", acting_as=here.alice)


TOKEN = "open-sesame-12345"


def telling(sent: str) -> Json:
    said = {"type": "object", TOKEN: sent}
    return {**ECHO, "name": f"tool-{TOKEN}", "description": f"You sent {sent}.", "outputSchema": said}


def echoing(refusal: bytes = b"") -> Handler:
    """A server that tells what it was sent: in its tools, or in a refusal that begins so."""

    def handle(peer: socket.socket, raw: bytes, nth: int) -> None:
        [sent] = re.findall(rb"(?i)authorization: (.*)\r", raw)
        if refusal:
            return peer.sendall(answer(refusal + sent, "401 Unauthorized"))
        tools = [telling(sent.decode()), {**ECHO, "description": "x" * 3990 + TOKEN}]
        return speaks(lambda peer, asked: b"", lambda: tools)(peer, raw, nth)

    return handle


def asked_with_a_secret(here: World, monkeypatch: pytest.MonkeyPatch, handler: Handler) -> McpServerRow:
    with tenant_scope(here.tenant_id):
        secrets.put("desk_token", TOKEN, acting_as=here.alice)
    with serve(handler) as seen:
        client = Client(parse_allow([seen.url.split("//")[1]]))
        kind = McpKind(client)
        monkeypatch.setattr(mcp_servers, "_kind", lambda: kind)
        spec = {"transport": "http", "url": seen.url, "headers": {"Authorization": "Bearer secret:desk_token"}}
        try:
            return discovered(here, spec)
        finally:
            kind.close()
            client.close()


@pytest.mark.parametrize("refusal", [b"bad token: ", b"x" * 1980])
def test_a_secret_that_a_server_says_back_is_not_in_the_failure(
    here: World, monkeypatch: pytest.MonkeyPatch, refusal: bytes
) -> None:
    with pytest.raises(McpServerFailed, match="HTTP 401") as failed:
        asked_with_a_secret(here, monkeypatch, echoing(refusal))

    assert TOKEN[:6] not in str(failed.value)


def test_a_secret_that_a_server_says_back_is_not_kept(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    row = asked_with_a_secret(here, monkeypatch, echoing())

    first, second = row.discovered
    assert (first["name"], first["description"]) == ("tool-[redacted]", "You sent Bearer [redacted].")
    assert TOKEN[:6] not in json.dumps(row.discovered)
    assert second["description"].endswith("x[redacted]…")
    assert first["sha256"] == definition(telling(f"Bearer {TOKEN}")).sha256  # as a call will meet it


def test_what_a_server_offers_is_kept_clean(here: World, mcp_programs: Path) -> None:
    spoken = {**ECHO, "description": "Re\u202epeats.\x00 \u200bAll " + "x" * 9000}
    row = discovered(here, says(mcp_programs, spoken, {"name": "a\nb", "inputSchema": {"type": "object"}}))

    first, second = row.discovered
    assert first["description"].startswith("Repeats. All xxx")
    assert len(first["description"]) == 4000
    assert first["input_schema"] == ECHO["inputSchema"]
    assert "holds characters that nobody sees" in second["fault"]


def test_tools_that_share_a_name_cannot_be_used(here: World, mcp_programs: Path) -> None:
    row = discovered(here, says(mcp_programs, ECHO, {**ECHO, "description": "Repeats, too."}, {**ECHO, "name": "b"}))

    assert [each.get("fault") for each in row.discovered] == ["The server lists several tools of this name."] * 2 + [
        None
    ]
    with pytest.raises(InvalidDocument, match="several tools of this name"):
        put(here)


def test_more_than_is_kept_of_a_server_is_refused(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    wide = {"type": "object", "description": "x" * 60_000}
    many = [{**ECHO, "name": f"tool{n}", "inputSchema": wide, "outputSchema": wide} for n in range(40)]
    with pytest.raises(McpServerFailed, match="in more than 4194304 characters"):
        asked_with_a_secret(here, monkeypatch, speaks(lambda peer, asked: b"", lambda: many))


def test_a_new_tool_is_pinned_to_what_was_discovered(here: World, mcp_programs: Path) -> None:
    row = discovered(here, says(mcp_programs, ECHO))

    version, _ = put(here)

    assert version.document["mcp"]["definition"] == row.discovered[0]["sha256"]
    assert version.document["input_schema"] == ECHO["inputSchema"]
    assert put(here)[1] is False


def test_a_tool_of_a_server_that_was_never_asked_is_refused(here: World) -> None:
    with pytest.raises(InvalidDocument, match="There is no MCP server desk"):
        put(here)
    mcp_servers.put("desk", WEB, acting_as=here.alice)
    with pytest.raises(InvalidDocument, match="has not said yet which tools it has"):
        put(here)


def test_whoever_knows_the_hash_needs_no_discovery(here: World) -> None:
    mcp_servers.put("desk", WEB, acting_as=here.alice)

    version, _ = put(here, mcp={**TOOL["mcp"], "definition": "a" * 64}, input_schema={"type": "object"})

    assert version.document["mcp"]["definition"] == "a" * 64


@pytest.mark.parametrize(
    ("block", "words"),
    [
        ({"server": "desk", "tool": "ecko"}, "Did you mean echo?"),
        ({"server": "desk", "tool": "echo", "definition": "b" * 64}, "The server defines the tool otherwise"),
        ({"server": "desk", "tool": "echo", "definition": "short"}, "64 hexadecimal digits"),
        ({"server": "desk", "tool": "a\0b"}, "NUL character"),
        ({"server": "desk", "tool": "\ud800"}, ""),
        ({"server": "desk"}, "Write the tool's name"),
        ({"server": "desk", "tool": "echo", "version": 1}, "This key is not known"),
    ],
)
def test_a_wrong_pin_is_refused(here: World, mcp_programs: Path, block: Json, words: str) -> None:
    discovered(here, says(mcp_programs, ECHO))

    with pytest.raises(InvalidDocument) as refused:
        put(here, mcp=block)
    assert any(words in each["detail"] for each in refused.value.errors)


def test_a_write_says_so_and_a_read_is_not_presumed(here: World, mcp_programs: Path) -> None:
    discovered(here, says(mcp_programs, {**ECHO, "annotations": {"readOnlyHint": True}}))
    spec = {key: value for key, value in TOOL.items() if key != "effect"}

    with pytest.raises(InvalidDocument, match="effect must be given"):
        tools.put("repeat", spec, acting_as=here.alice)


def test_a_changed_definition_is_approved_by_its_hash_and_by_nothing_else(here: World, mcp_programs: Path) -> None:
    discovered(here, says(mcp_programs, ECHO))
    before, _ = put(here)
    changed = discovered(here, says(mcp_programs, {**ECHO, "description": "Repeats, and more."}))
    new = changed.discovered[0]["sha256"]
    with tenant_scope(here.tenant_id):
        was = before.document["mcp"]["definition"]
        assert mcp_pins.states([tools.by_name("repeat")]) == {
            "repeat": {"definition": was, "current": new, "changed": True}
        }

    unapproved, _ = put(here, timeout_s=5)
    assert unapproved.document["mcp"]["definition"] == was
    approved, _ = put(here, mcp={**TOOL["mcp"], "definition": new})

    assert (approved.number, approved.document["mcp"]["definition"]) == (3, new)
    with tenant_scope(here.tenant_id):
        assert not mcp_pins.states([tools.by_name("repeat")])["repeat"]["changed"]


def test_what_a_worker_met_is_told_once_a_hash(here: World, mcp_programs: Path) -> None:
    discovered(here, says(mcp_programs, ECHO))
    put(here)
    with tenant_scope(here.tenant_id):
        for sha256 in ("c" * 64, "c" * 64, "d" * 64):
            mcp_seen.changed("desk", "echo", sha256)
        state = mcp_pins.states([tools.by_name("repeat")])["repeat"]

    assert (state["current"], state["changed"]) == ("d" * 64, True)
    assert actions(here)[2:] == ["mcp_tool.changed", "mcp_tool.changed"]
    with pytest.raises(InvalidDocument, match="changed the tool since it was discovered"):
        tools.put("again", TOOL, acting_as=here.alice)


def test_a_definition_that_cannot_be_hashed_is_a_changed_one_and_told_once(here: World, mcp_programs: Path) -> None:
    spec = says(mcp_programs, ECHO)
    discovered(here, spec)
    put(here)
    says(mcp_programs, {**ECHO, "inputSchema": {"type": "object", "maximum": 2**70}})
    [listed] = mcp_servers._asked(McpServer("desk", "stdio", tuple(spec["command"])), mcp_servers._Vault())
    with tenant_scope(here.tenant_id):
        for sha256 in (listed.sha256, listed.sha256):
            mcp_seen.changed("desk", "echo", sha256)
        assert mcp_pins.states([tools.by_name("repeat")])["repeat"]["changed"]
    assert actions(here)[2:] == ["mcp_tool.changed"]

    [found] = discovered(here, spec).discovered

    assert "not JSON of the plain kind" in found["fault"]
    assert (found["sha256"], len(found["sha256"])) == (listed.sha256, 64)
    with tenant_scope(here.tenant_id):
        assert mcp_pins.states([tools.by_name("repeat")])["repeat"]["changed"]


def test_a_server_with_a_tool_on_it_stays(here: World, mcp_programs: Path) -> None:
    discovered(here, says(mcp_programs, ECHO))
    put(here)

    with pytest.raises(McpServerInUse, match="used by repeat"):
        mcp_servers.remove("desk", acting_as=here.alice)


def test_what_cannot_be_recorded_is_not_discovered(here: World, mcp_programs: Path, failing: Failing) -> None:
    mcp_servers.put("desk", says(mcp_programs, ECHO), acting_as=here.alice)
    with failing(), pytest.raises(DatabaseError):
        mcp_servers.discover("desk", acting_as=here.alice)

    with tenant_scope(here.tenant_id):
        assert mcp_servers.by_name("desk").discovered is None
    assert actions(here) == ["mcp_server.set"]


def test_bob_may_not_and_carol_sees_nothing(here: World) -> None:
    mcp_servers.put("desk", WEB, acting_as=here.alice)
    for act in (mcp_servers.discover, mcp_servers.remove):
        with pytest.raises(AccessDenied):
            act("desk", acting_as=here.bob)
        with pytest.raises(UnknownMcpServer):
            act("desk", acting_as=world().alice)
    with pytest.raises(AccessDenied):
        mcp_servers.put("desk", WEB, acting_as=here.bob)
