"""A model server that answers at once (or after a set time), for benchmarks. Standard library only.

Speaks enough of the Messages API (POST /v1/messages, not streamed) for one scripted agent run: while the request holds
fewer than `--tool-turns` tool results the reply is one `tool_use` block for the tool `lookup`; after that it is a final
text. It keeps no state of a conversation, so a repeated call gets the same answer, and counts, so that repeated work
shows:

    GET /stats  ->  {"calls": 1234, "in_flight": 0, "peak": 8, "last_opening": 1700000000.123}

`peak`: the most calls that were waiting for their answer at once. `last_opening`: when the last conversation's first
call came (Unix time).
"""

import argparse
import asyncio
import contextlib
import json
import time
from typing import Any

TOOL_TURNS = 5
MODEL = "claude-opus-4-7"  # one that our price table lists, as a real one would be
FINAL = "All five keys were looked up."


def reply(tool_results: int, tool_turns: int = TOOL_TURNS) -> dict[str, Any]:
    """The model's answer after `tool_results` tool results, as a plain dict."""
    if tool_results < tool_turns:
        tool_use = {"type": "tool_use", "id": f"toolu_{tool_results:04d}", "name": "lookup"}
        content, stop = [{**tool_use, "input": {"key": f"k{tool_results}"}}], "tool_use"
    else:
        content, stop = [{"type": "text", "text": FINAL}], "end_turn"
    return {
        "id": f"msg_{tool_results:04d}",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": {"input_tokens": 100 + 50 * tool_results, "output_tokens": 20},
    }


class Server(asyncio.Protocol):
    """One connection; what all of them share stands on the class."""

    delay = 0.0
    bodies: list[bytes]
    stats: dict[str, Any] = {"calls": 0, "in_flight": 0, "peak": 0, "last_opening": 0.0}  # noqa: RUF012 - shared

    def connection_made(self, transport: Any) -> None:
        self.transport, self.buffer = transport, b""

    def data_received(self, data: bytes) -> None:
        """Answer every whole request in the buffer."""
        self.buffer += data
        while True:
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self.buffer[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self.buffer) < end + 4 + length:
                return
            body = self.buffer[end + 4 : end + 4 + length]
            self.buffer = self.buffer[end + 4 + length :]
            if head.startswith(b"get /stats"):
                self.send(json.dumps(self.stats).encode())
            else:
                self.answer(body)

    def answer(self, body: bytes) -> None:
        """Answer one call of the model, now or later."""
        stats = self.stats
        stats["calls"] += 1
        done = min(body.count(b'"tool_result"'), len(self.bodies) - 1)
        if not done:
            stats["last_opening"] = time.time()
        stats["in_flight"] += 1
        stats["peak"] = max(stats["peak"], stats["in_flight"])
        if self.delay:
            asyncio.get_running_loop().call_later(self.delay, self.finish, self.bodies[done])
        else:
            self.finish(self.bodies[done])

    def finish(self, body: bytes) -> None:
        """Send the answer of a call that was waiting."""
        self.stats["in_flight"] -= 1
        self.send(body)

    def send(self, body: bytes) -> None:
        """Send one response."""
        if not self.transport.is_closing():
            head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
            self.transport.write(head.encode() + body)


async def serve(port: int, delay: float, tool_turns: int) -> None:
    """Serve until cancelled; prints the port."""
    Server.delay = delay
    Server.bodies = [json.dumps(reply(turn, tool_turns)).encode() for turn in range(tool_turns + 1)]
    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", port, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--port", type=int, default=0, help="0: any free port, printed on stdout")
    parser.add_argument("--delay-ms", type=float, default=0.0)
    parser.add_argument("--tool-turns", type=int, default=TOOL_TURNS)
    options = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(options.port, options.delay_ms / 1000, options.tool_turns))
