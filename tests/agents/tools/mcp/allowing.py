"""The hostile server as a program that the installation under test runs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agents.engine import toolbox
from agents.tools.mcp.kind import McpKind
from tests.agents.tools.mcp.reachable import public_folder, python, script, wrapper

HOSTILE = Path(__file__).with_name("hostile.py")


@pytest.fixture
def mcp_programs(settings: Any) -> Iterator[Path]:
    """Allow the hostile server as `hostile`; yields the file of definitions that it reads when it is told to."""
    settings.MCP_STDIO_ALLOW = (f"hostile={wrapper('hostile', python(), script(HOSTILE))}",)
    toolbox.registry.cache_clear()
    said = public_folder() / "definitions.json"
    yield said
    kind = toolbox.registry()["mcp"]
    assert isinstance(kind, McpKind)
    kind.close()
    toolbox.registry.cache_clear()
