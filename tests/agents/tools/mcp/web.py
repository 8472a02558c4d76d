"""MCP servers over streamable HTTP on loopback: one written with the SDK, and one that answers as a test says."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError

from tests.egress.servers import Handler, answer

Json = Any
ECHO: Json = {"name": "echo", "description": "Repeats.", "inputSchema": {"type": "object"}}


def shop() -> MCPServer:
    """A server as people write them."""
    made = MCPServer("shop")

    @made.tool()
    def price(item: str) -> dict[str, int]:
        """Say what an item costs, in cents."""
        if item == "nothing":
            raise ToolError("there is no such item")
        return {"cents": len(item) * 100}

    @made.tool()
    def greeting(name: str) -> str:
        """Greet somebody."""
        return f"Hello {name}"

    return made


@contextmanager
def served(made: MCPServer, **options: Any) -> Iterator[str]:
    """Serve it as the SDK does; yields its URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        made.streamable_http_app(**options), log_config=None, ws="none", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/mcp"
    finally:
        server.should_exit = True
        thread.join()


def speaks(call: Callable[[socket.socket, Json], bytes], tools: Callable[[], list[Json]] = lambda: [ECHO]) -> Handler:
    """A handler that greets and lists as a server of 2025 does, and answers calls by `call(peer, request)`."""

    def handle(peer: socket.socket, raw: bytes, nth: int) -> None:
        asked = json.loads(raw.partition(b"\r\n\r\n")[2] or b"{}")
        method, number = asked.get("method"), asked.get("id")
        if method == "initialize":
            shown = {"protocolVersion": "2025-06-18", "capabilities": {}, "serverInfo": {"name": "x", "version": "1"}}
            peer.sendall(result(number, shown))
        elif method == "tools/list":
            peer.sendall(result(number, {"tools": tools()}))
        elif method == "tools/call":
            peer.sendall(call(peer, asked))
        elif number is None:
            peer.sendall(answer(b"", "202 Accepted"))
        else:
            peer.sendall(result(number, None, error={"code": -32601, "message": "Method not found"}))

    return handle


def result(number: Json, value: Json, **more: Json) -> bytes:
    """A JSON-RPC answer over HTTP."""
    told = more or {"result": value}
    body = json.dumps({"jsonrpc": "2.0", "id": number, **told}).encode()
    return answer(body, content_type="application/json")


def text(words: str) -> Json:
    return {"content": [{"type": "text", "text": words}]}
