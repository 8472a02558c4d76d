"""A kind that may run the servers of these tests, and calls made by it as the engine makes them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agents.tools.mcp.kind import McpKind
from agents.tools.perform import perform
from agents.tools.seam import McpServer, Outcome
from egress.client import Client
from tests.agents.tools.contexts import Context, call_of
from tests.agents.tools.mcp.reachable import python, script, wrapper

HOSTILE = Path(__file__).with_name("hostile.py")


@pytest.fixture(scope="session")
def program() -> str:
    """A program that everybody can run: the hostile server."""
    return wrapper("hostile", python(), script(HOSTILE))


@pytest.fixture
def kind(program: str) -> Iterator[McpKind]:
    made = McpKind(Client(), [f"hostile={program}"])
    yield made
    made.close()


def stdio(*words: str, name: str = "here") -> McpServer:
    """The hostile server, in a mode."""
    return McpServer(name, "stdio", ("hostile", *words))


def context_of(server: McpServer, **more: Any) -> Context:
    return Context(servers={server.name: server}, **more)


def pin(kind: McpKind, server: McpServer, tool: str) -> str:
    """Return the hash of what the server says of a tool."""
    return next(each.sha256 for each in kind.discover(server, 30) if each.name == tool)


Make = Callable[..., Outcome]


def made(kind: McpKind, server: McpServer, tool: str, arguments: dict[str, Any] | None = None, **spec: Any) -> Outcome:
    """Make a call as the engine does. context, pinned: others than the server's own."""
    context = spec.pop("context", None) or context_of(server)
    pinned = spec.pop("pinned", None) or pin(kind, McpServer("x", server.transport, server.command, server.url), tool)
    block = {"server": server.name, "tool": tool, "definition": pinned}
    call = call_of("mcp", block, arguments, **{"timeout_s": 20, **spec})
    return perform(call, context, registry={"mcp": kind}, sleep=lambda pause: None)
