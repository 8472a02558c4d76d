"""A server that others wrote, as the package index has it: `mcp-server-time`, over stdio."""

import sysconfig

from agents.tools.mcp.kind import McpKind
from agents.tools.seam import Failed, Finished, McpServer
from egress.client import Client
from tests.agents.tools.mcp.conftest import made
from tests.agents.tools.mcp.reachable import python, with_packages


def test_somebody_elses_server_tells_the_time() -> None:
    program = with_packages(python(), sysconfig.get_path("purelib"), "mcp_server_time")
    kind = McpKind(Client(), [f"time={program}"])
    server = McpServer("clock", "stdio", ("time", "--local-timezone", "UTC"))
    try:
        assert {each.name for each in kind.discover(server, 60)} == {"get_current_time", "convert_time"}
        told = made(
            kind,
            server,
            "convert_time",
            {"source_timezone": "Asia/Tokyo", "time": "09:30", "target_timezone": "UTC"},
            timeout_s=60,
        )
        wrong = made(kind, server, "get_current_time", {"timezone": "Atlantis"}, timeout_s=60)
    finally:
        kind.close()

    assert isinstance(told, Finished)
    assert told.result["target"]["datetime"].endswith("00:30:00+00:00")
    assert isinstance(wrong, Failed)
    assert (wrong.code, "Atlantis" in wrong.message) == ("tool_error", True)
