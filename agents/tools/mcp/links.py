"""Sessions with MCP servers: opened when first needed, shared by the calls of one tenant, ended when idle.

Everything here runs on the loop of `loops.Loop`, so nothing needs a lock but what it waits in between.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import httpx2
import mcp_types
from mcp.client.client import Client as Session
from mcp.client.session import IncomingMessage
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from pydantic import TypeAdapter, ValidationError

from agents.tools.mcp.commands import executable
from agents.tools.mcp.definitions import MAX_TOOLS, Definition, clean, definition, told_apart
from agents.tools.mcp.faults import McpError
from agents.tools.mcp.sending import SENDING, Sending
from agents.tools.mcp.stdio import Meter, stdio
from agents.tools.mcp.streamable import GuardedTransport
from agents.tools.seam import McpServer
from egress.client import Client

logger = logging.getLogger(__name__)
# It quotes what servers say, which no log is to hold.
logging.getLogger("mcp").setLevel(logging.CRITICAL + 1)
logging.getLogger("client").setLevel(logging.CRITICAL + 1)

OPEN_S: Final = 30.0
IDLE_S: Final = 60.0
MAX_PROCESSES: Final = 16
MAX_PROCESSES_OF_TENANT: Final = 4
MAX_LINKS: Final = 64
MAX_ASKING: Final = 8
"""Servers that are asked what they offer at once, each by a session of its own."""
MAX_PAGES: Final = 20
_SAID_CHARS: Final = 4000
_CLIENT: Final = mcp_types.Implementation(name="countersign", version="1")
_CALLED: Final = TypeAdapter(dict[str, Any])
#: Errors of JSON-RPC by which a server says that it did nothing; others may have come behind an effect.
_NOT_DONE: Final = frozenset(
    {mcp_types.PARSE_ERROR, mcp_types.INVALID_REQUEST, mcp_types.METHOD_NOT_FOUND, mcp_types.INVALID_PARAMS}
)

Key = tuple[UUID, str]


@dataclass(frozen=True, slots=True)
class Answered:
    """What a server answered to a call. content: blocks by the protocol's names."""

    content: list[dict[str, Any]]
    structured: Any
    is_error: bool


@dataclass(slots=True)
class Link:
    """One session with one server. opened: done when the session is usable, or says why not."""

    server: McpServer
    opened: "asyncio.Future[Session]"
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    listing: asyncio.Lock = field(default_factory=asyncio.Lock)
    meter: Meter = field(default_factory=Meter)
    task: "asyncio.Task[None] | None" = None
    definitions: Mapping[str, Definition] = field(default_factory=dict)
    listed_at: float = 0.0
    used_at: float = field(default_factory=time.monotonic)
    users: int = 0
    retired: bool = False

    @property
    def is_over(self) -> bool:
        """Whether it takes no more calls."""
        return bool(self.retired or self.closing.is_set() or self.meter.fault or self.task is None or self.task.done())


class Links:
    """The sessions of this process. client: the guarded way out; allowed: programs by name (`commands`)."""

    def __init__(self, client: Client, allowed: Mapping[str, str]) -> None:
        self._client = client
        self._allowed = allowed
        self._links: dict[Key, Link] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._asking = 0
        self._timer: asyncio.TimerHandle | None = None

    async def definition(self, tenant_id: UUID, server: McpServer, tool: str, deadline: float) -> Definition:
        """Return what the server says of a tool now: it is asked after this call has begun. Raises `McpError`."""
        begun = time.monotonic()
        async with self._used(tenant_id, server, deadline) as link, link.listing:
            if link.listed_at < begun:
                asked_at = time.monotonic()
                listed = await self._list(link, deadline)
                link.listed_at, link.definitions = asked_at, {each.name: each for each in listed}
            found = link.definitions.get(tool)
        if found is None:
            known = ", ".join(sorted(link.definitions)[:20]) or "none at all"
            raise McpError("unknown_tool", f"The MCP server {server.name} has no tool {tool!r}; it has {known}.")
        return found

    async def call(
        self,
        tenant_id: UUID,
        server: McpServer,
        tool: str,
        arguments: Mapping[str, Any],
        deadline: float,
        begin: Callable[[], None],
    ) -> Answered:
        """Call a tool. begin: asked just before the first byte goes out. Raises `McpError`, and what `begin` raises."""
        async with self._used(tenant_id, server, deadline) as link:
            params = mcp_types.CallToolRequestParams(name=tool, arguments=dict(arguments))
            raw = await self._asked(link, mcp_types.CallToolRequest(params=params), deadline, begin)
        if raw.get("resultType", "complete") != "complete":
            detail = f"The MCP server {server.name} asks for something before it answers, which is refused."
            raise McpError("tool_error", detail, sent=True)
        content = raw.get("content")
        blocks = [each for each in content if isinstance(each, dict)] if isinstance(content, list) else []
        return Answered(blocks, raw.get("structuredContent"), raw.get("isError") is True)

    async def list_once(self, server: McpServer, deadline: float) -> list[Definition]:
        """Return what a server offers, by a session that is ended at once. Raises `McpError`."""
        if self._asking >= MAX_ASKING:
            raise McpError("busy", "Too many MCP servers are asked at once; try again.", retryable=True)
        self._asking += 1
        link = self._open(server)
        try:
            await self._ready(link, deadline)
            return await self._list(link, deadline)
        finally:
            await self._end(link)
            self._asking -= 1

    async def close(self) -> None:
        """End every session."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        links, self._links = list(self._links.values()), {}
        for link in links:
            self._end_soon(link)
        if self._ending:
            await asyncio.wait(self._ending)

    # --- asking -----------------------------------------------------------------------------------------------------

    async def _list(self, link: Link, deadline: float) -> list[Definition]:
        found: list[Definition] = []
        cursor: str | None = None
        for _ in range(MAX_PAGES):
            params = mcp_types.PaginatedRequestParams(cursor=cursor)
            session = link.opened.result().session
            listed = await self._within(link, session.list_tools(params=params), deadline)
            found += [
                definition(each.model_dump(by_alias=True, mode="json", exclude_none=True)) for each in listed.tools
            ]
            cursor = listed.next_cursor
            if len(found) > MAX_TOOLS:
                break
            if not cursor:
                return told_apart(found)
        raise McpError("too_large", f"The MCP server {link.server.name} lists more than {MAX_TOOLS} tools.")

    async def _asked(
        self, link: Link, request: mcp_types.CallToolRequest, deadline: float, begin: Callable[[], None]
    ) -> dict[str, Any]:
        session = link.opened.result().session
        answered: dict[str, Any] = await self._within(link, session.send_request(request, _CALLED), deadline, begin)
        return answered

    async def _within(self, link: Link, asking: Any, deadline: float, begin: Callable[[], None] | None = None) -> Any:
        """Await an answer until the deadline or the session's end. Raises `McpError`, and what `begin` raises."""
        sending = Sending(deadline, begin=begin)
        link.meter.begin()
        token = SENDING.set(sending)
        try:
            async with asyncio.timeout(max(0.001, deadline - time.monotonic())):
                return await asking
        except TimeoutError:
            raise McpError("timeout", _of(link, "did not answer in time."), sent=True, retryable=True) from None
        except MCPError as error:
            if sending.broken is not None:
                raise sending.broken from None
            raise self._fault(link, sending, error) from None
        except (ValidationError, ValueError, RuntimeError, RecursionError):
            raise McpError("bad_result", _of(link, "answered what is not of the protocol."), sent=True) from None
        finally:
            SENDING.reset(token)

    def _fault(self, link: Link, sending: Sending, error: MCPError) -> McpError:
        """Say what an error of the SDK means for the one request."""
        if sending.failed is not None:
            failed = sending.failed
            passing = failed.code in ("timeout", "unreachable")
            return McpError(failed.code, failed.detail, sent=failed.sent or sending.taken, retryable=passing)
        if sending.status == 404 or error.code == mcp_types.CONNECTION_CLOSED:
            self._retire(link)  # the next call opens another session
        if sending.status:
            unclear = sending.status in (408, 500, 502, 503, 504) or sending.status >= 520
            retryable = unclear or sending.status in (404, 425, 429)
            sent = unclear or sending.taken or sending.error == mcp_types.INTERNAL_ERROR
            return McpError("http_status", clean(sending.said, _SAID_CHARS), sent=sent, retryable=retryable)
        if error.code == mcp_types.CONNECTION_CLOSED:
            why = link.meter.fault or "It broke off."
            return McpError("unreachable", _of(link, f"is gone. {why}"), sent=True, retryable=True)
        said = clean(error.message, _SAID_CHARS)
        # Over stdio nobody makes up errors of these codes but the server.
        code = sending.error if link.server.transport == "http" else error.code
        return McpError("tool_error", _of(link, f"says: {said}"), sent=code not in _NOT_DONE)

    # --- sessions ---------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _used(self, tenant_id: UUID, server: McpServer, deadline: float) -> AsyncGenerator[Link, None]:
        """Give a usable session of that tenant with that server, and keep it from being ended meanwhile."""
        self._sweep()
        key = (tenant_id, server.name)
        link = self._links.get(key)
        if link is not None and (link.is_over or link.server != server):
            self._retire(link)
            link = None
        if link is None:
            self._make_room(tenant_id, server)
            link = self._links[key] = self._open(server)
            if self._timer is None:
                self._tick()
        link.users += 1
        try:
            await self._ready(link, deadline)
            yield link
        finally:
            link.users -= 1
            link.used_at = time.monotonic()
            if link.retired and not link.users:
                self._drop(link)

    async def _ready(self, link: Link, deadline: float) -> None:
        try:
            async with asyncio.timeout(max(0.001, deadline - time.monotonic())):
                await asyncio.shield(link.opened)
        except TimeoutError:
            raise McpError("timeout", _of(link, "did not open a session in time."), retryable=True) from None

    def _open(self, server: McpServer) -> Link:
        link = Link(server, asyncio.get_running_loop().create_future())
        link.opened.add_done_callback(
            lambda opened: opened.cancelled() or opened.exception()
        )  # heard, if by nobody else
        link.task = asyncio.create_task(self._keep(link))
        return link

    async def _keep(self, link: Link) -> None:
        """Hold the session open until it is to be closed, all in one task as the SDK wants it."""
        sending = Sending(time.monotonic() + OPEN_S)
        SENDING.set(sending)
        try:
            transport = self._transport(link)
            async with contextlib.AsyncExitStack() as stack:
                async with asyncio.timeout(OPEN_S):
                    client = Session(transport, cache=None, client_info=_CLIENT, message_handler=_heard)
                    session = await stack.enter_async_context(client)
                link.opened.set_result(session)
                await link.closing.wait()
        except asyncio.CancelledError:
            self._broke(link, sending, McpError("unreachable", _of(link, "was ended."), retryable=True))
            raise
        except BaseException as error:
            self._broke(link, sending, error)
        finally:
            link.closing.set()

    def _broke(self, link: Link, sending: Sending, error: BaseException) -> None:
        cause = _innermost(error)
        if isinstance(cause, McpError):
            fault = cause
        elif isinstance(cause, MCPError):
            fault = self._fault(link, sending, cause)
        elif isinstance(cause, TimeoutError):
            fault = McpError("timeout", _of(link, "did not open a session in time."), retryable=True)
        else:
            why = link.meter.fault or f"The session broke ({type(cause).__name__})."
            fault = McpError("unreachable", _of(link, f"is gone. {why}"), retryable=True)
        if not link.opened.done():
            fault.sent = False  # nothing but the greeting went out
            link.opened.set_exception(fault)

    def _transport(self, link: Link) -> AbstractAsyncContextManager[Any]:
        server = link.server
        if server.transport == "stdio":
            path = executable(server.command, self._allowed)
            return stdio(server.name, path, server.command[1:], link.meter)
        return self._http(server)

    @asynccontextmanager
    async def _http(self, server: McpServer) -> AsyncGenerator[Any, None]:
        transport = GuardedTransport(self._client)
        async with (
            httpx2.AsyncClient(transport=transport, headers=dict(server.headers), trust_env=False) as client,
            streamable_http_client(server.url, http_client=client, terminate_on_close=False) as streams,
        ):
            yield streams

    def _make_room(self, tenant_id: UUID, server: McpServer) -> None:
        """End the session that was idle for longest when there are as many as there may be, of the tenant or in all."""
        alike = {key: each for key, each in self._links.items() if each.server.transport == server.transport}
        own = {key: each for key, each in alike.items() if key[0] == tenant_id}
        most, most_own = (MAX_PROCESSES, MAX_PROCESSES_OF_TENANT) if server.transport == "stdio" else (MAX_LINKS,) * 2
        among = own if len(own) >= most_own else alike if len(alike) >= most else {}
        if not among:
            return
        idle = [(each.used_at, key) for key, each in among.items() if each.users == 0]
        if not idle:
            raise McpError("busy", "Too many MCP servers are at work in this process.", retryable=True)
        self._end_soon(self._links.pop(min(idle)[1]))

    def _sweep(self) -> None:
        """End what is over or idle, now and from time to time for as long as there are sessions."""
        now = time.monotonic()
        for key, link in list(self._links.items()):
            if link.users == 0 and (link.is_over or now - link.used_at > IDLE_S):
                self._end_soon(self._links.pop(key))

    def _tick(self) -> None:
        self._sweep()
        self._timer = asyncio.get_running_loop().call_later(IDLE_S / 2, self._tick) if self._links else None

    def _retire(self, link: Link) -> None:
        """Give no more calls to a session, and end it when the last of those that use it is over."""
        link.retired = True
        if not link.users:
            self._drop(link)
            return
        for key, each in list(self._links.items()):
            if each is link and key[1] == link.server.name:  # out of the way, and counted for as long as it lives
                self._links[key[0], f"{link.server.name} {id(link)}"] = self._links.pop(key)

    def _drop(self, link: Link) -> None:
        for key, each in list(self._links.items()):
            if each is link:
                del self._links[key]
        self._end_soon(link)

    def _end_soon(self, link: Link) -> None:
        link.closing.set()
        task = asyncio.create_task(self._end(link))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def _end(self, link: Link) -> None:
        link.closing.set()
        if link.task is None:
            return
        done, _ = await asyncio.wait({link.task}, timeout=OPEN_S if link.opened.done() else 0.01)
        if not done:
            link.task.cancel()
            await asyncio.wait({link.task}, timeout=OPEN_S)


async def _heard(message: IncomingMessage) -> None:
    """What a server says unasked changes nothing: its tools are listed anew before each call."""


def _innermost(error: BaseException) -> BaseException:
    """Return the error that a task group wrapped."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _of(link: Link, words: str) -> str:
    return f"The MCP server {link.server.name} {words}"
