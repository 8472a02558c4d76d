"""The tool kind `mcp`: one call of a tool of an MCP server, as it was defined when the tool was saved.

The server is asked what the tool is before each call; a definition that is not the pinned one stops the call before
anything is sent, until somebody saves the tool anew.
"""

import os
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, Protocol, TypeVar
from uuid import UUID

from agents.tools.http.config import secret_in
from agents.tools.mcp import config, results
from agents.tools.mcp.commands import executable, parse_allowed
from agents.tools.mcp.definitions import Definition
from agents.tools.mcp.faults import McpError
from agents.tools.mcp.loops import Loop
from agents.tools.seam import (
    ConfigProblem,
    Failed,
    Finished,
    McpServer,
    Outcome,
    ToolCall,
    ToolContext,
    ToolDefinition,
    unclear,
)
from egress.client import Client

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from agents.tools.mcp.links import Answered, Links

T = TypeVar("T")
#: How much longer than its own bound a piece of work on the loop is waited for.
_GRACE_S: Final = 1.0


class McpKind:
    """Calls of `mcp` tools. client: the guarded way out; allow: the programs that may run (`MCP_STDIO_ALLOW`)."""

    bounds_itself = True

    def __init__(self, client: Client, allow: Sequence[str] = ()) -> None:
        self._client = client
        self._allowed = parse_allowed(allow)
        self._loop = Loop(self._close)
        self._of_process: dict[int, Links] = {}  # by process id: sessions do not cross a fork

    def problems(self, definition: ToolDefinition) -> list[ConfigProblem]:
        """Check the block; whether the server has the tool is checked when it is pinned."""
        return config.tool_problems(definition.config)

    def check_command(self, command: Sequence[str]) -> None:
        """Raise `McpError` when this installation does not run that program."""
        executable(command, self._allowed)

    def call(self, call: ToolCall, context: ToolContext) -> Outcome:
        """Make one call and tell what came of it."""
        definition = call.definition
        block = definition.config
        try:
            server = with_secrets(context.mcp_server(block["server"]), context)
        except LookupError as error:
            return Failed("misconfigured", str(error.args[0]))
        if not block.get("definition"):
            return Failed("misconfigured", "The tool is not pinned to a definition of its server: save it anew.")
        deadline = time.monotonic() + definition.timeout_s
        try:
            now = self.definition(context.tenant_id, server, block["tool"], deadline)
        except McpError as error:
            return Failed(error.code, error.detail, retryable=error.retryable)
        if now.sha256 != block["definition"] or now.fault:
            context.mcp_changed(server.name, block["tool"], now.sha256)
            return _changed(server, now)
        try:
            answered = self._run(
                lambda links: links.call(context.tenant_id, server, now.name, call.arguments, deadline, context.begin),
                deadline,
            )
        except McpError as error:
            failed = Failed(error.code, error.detail, retryable=error.retryable)
            return unclear(definition, failed) if error.sent else failed
        return _told(answered, server)

    def definition(self, tenant_id: UUID, server: McpServer, tool: str, deadline: float) -> Definition:
        """Return what the server says of the tool now. Raises `McpError`."""
        return self._run(lambda links: links.definition(tenant_id, server, tool, deadline), deadline)

    def discover(self, server: McpServer, timeout_s: float) -> list[Definition]:
        """Return what the server offers; its session is ended at once. server: with secrets. Raises `McpError`."""
        deadline = time.monotonic() + timeout_s
        return self._run(lambda links: links.list_once(server, deadline), deadline + 5)

    def close(self) -> None:
        """End every session and process of this process."""
        self._loop.close()

    def _run(self, work: "Callable[[Links], Coroutine[Any, Any, T]]", deadline: float) -> T:
        # The SDK takes a second to load, which only those wait for who use it, and not on the loop.
        from agents.tools.mcp.links import Links

        links = self._of_process.get(os.getpid())
        if links is None:
            links = self._of_process.setdefault(os.getpid(), Links(self._client, self._allowed))
        try:
            return self._loop.run(lambda: work(links), max(0.0, deadline - time.monotonic()) + _GRACE_S)
        except TimeoutError:
            raise McpError("timeout", "The MCP server did not answer in time.", sent=True, retryable=True) from None

    async def _close(self) -> None:
        links = self._of_process.get(os.getpid())
        if links is not None:
            await links.close()


class Secrets(Protocol):
    """Whoever knows secrets."""

    def secret(self, name: str) -> str:
        """Return a secret's value; raises `LookupError`."""


def with_secrets(server: McpServer, context: Secrets) -> McpServer:
    """Return the server with its headers as they are sent. Raises `LookupError` that says which secret is missing."""
    return McpServer(server.name, server.transport, server.command, server.url, _headers(server.headers, context))


def _headers(headers: Mapping[str, str], context: Secrets) -> Mapping[str, str]:
    sent = {}
    for name, value in headers.items():
        secret = secret_in(value)
        if secret is None:
            sent[name] = value
            continue
        try:
            sent[name] = secret[0] + context.secret(secret[1])
        except LookupError:
            raise LookupError(f"The MCP server needs the secret {secret[1]}, which is not set.") from None
    return sent


def _changed(server: McpServer, now: Definition) -> Failed:
    if now.fault:
        return Failed("definition_changed", f"The MCP server {server.name} defines {now.name} unusably. {now.fault}")
    detail = (
        f"The MCP server {server.name} has changed the definition of its tool {now.name}, so nothing was sent to it."
        " A person has to look at the new definition and save the tool with it."
    )
    return Failed("definition_changed", detail)


def _told(answered: "Answered", server: McpServer) -> Outcome:
    if answered.is_error:
        said = results.text(answered.content, answered.structured)
        return Failed("tool_error", said or f"The MCP server {server.name} says that the call failed, and not why.")
    return Finished(results.result(answered.content, answered.structured))
