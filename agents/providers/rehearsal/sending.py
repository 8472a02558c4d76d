"""Sends answers, and sends them wrongly where a fault says so. ASGI; no thread per request."""

import asyncio
import email.utils
import json
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from agents.core.model import Json, JsonObject
from agents.providers.rehearsal.answers import Answer
from agents.providers.rehearsal.errors import Rejected
from agents.providers.rehearsal.events import PING, encode, opening, rest

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

PING_EVERY_S = 10.0
_ERRORS: Mapping[str, tuple[int, str, str, str | None]] = {
    "rate_limited": (429, "rate_limit_error", "This request would exceed your rate limit.", None),
    "spend_limit": (
        429,
        "rate_limit_error",
        "You have reached your specified API usage limits.",
        "enforced_spend_limit_reached",
    ),
    "overloaded": (529, "overloaded_error", "Overloaded", None),
    "server_error": (500, "api_error", "Internal server error", None),
    "stream_error": (529, "overloaded_error", "Overloaded", None),
}


class ConnectionCut(Exception):
    """Ends the request without ending the answer: the server closes the connection."""


class Exchange:
    """One request's way back."""

    def __init__(self, receive: Receive, send: Send, request_id: str) -> None:
        self._receive = receive
        self._send = send
        self.request_id = request_id

    async def json(self, status: int, value: Json, headers: Mapping[str, str] | None = None) -> None:
        """Send a JSON answer."""
        body = json.dumps(value, ensure_ascii=False).encode(errors="replace")
        await self._start(status, "application/json", {"content-length": str(len(body)), **(headers or {})})
        await self._body(body, more=False)

    async def error(self, rejected: Rejected) -> None:
        """Send an error answer."""
        await self.json(rejected.status, rejected.body(self.request_id), rejected.headers)

    async def plain(self, answer: Answer, usage: JsonObject, delay_s: float, fault: JsonObject | None) -> None:
        """Send an answer at once, after a while; or what the fault makes of it."""
        await asyncio.sleep(delay_s)
        kind = None if fault is None else fault["kind"]
        if fault is not None and kind not in ("timeout", "stall", "cut_stream", "cut_json"):
            raise error_of(fault)
        if kind == "timeout":
            await self._until_client_leaves()
            return
        message = answer.message(usage)
        if kind is None:
            await self.json(200, message)
            return
        body = json.dumps(message, ensure_ascii=False).encode(errors="replace")
        await self._start(200, "application/json", {})
        await self._body(body[: len(body) // 2], more=kind != "cut_json")
        if kind == "stall":
            await self._until_client_leaves()
        elif kind == "cut_stream":
            raise ConnectionCut

    async def stream(self, answer: Answer, usage: JsonObject, delay_s: float, fault: JsonObject | None) -> None:
        """Send an answer as events: its start at once, the rest after a while; or what the fault makes of it."""
        kind = None if fault is None else fault["kind"]
        if fault is not None and kind not in ("timeout", "stall", "cut_stream", "cut_json", "stream_error"):
            await asyncio.sleep(delay_s)
            raise error_of(fault)
        if kind == "timeout":
            await self._until_client_leaves()
            return
        await self._start(200, "text/event-stream", {"cache-control": "no-cache"})
        await self._events(opening(answer, usage))
        await self._pause(delay_s)
        events = rest(answer, usage)
        if fault is None:
            await self._body(b"".join(events), more=False)
        else:
            await self._broken(events, fault)

    async def _broken(self, events: Sequence[bytes], fault: JsonObject) -> None:
        half = len(events) // 2
        await self._events(events[:half])
        if fault["kind"] == "stall":
            await self._until_client_leaves()
        elif fault["kind"] == "cut_stream":
            await self._body(events[half][: len(events[half]) // 2], more=True)
            raise ConnectionCut
        elif fault["kind"] == "cut_json":
            await self._body(events[half][: len(events[half]) * 3 // 4] + b"\n\n", more=False)
        else:
            await self._body(encode(error_of(fault).body(self.request_id)), more=False)

    async def _pause(self, delay_s: float) -> None:
        end = time.monotonic() + delay_s
        while (left := end - time.monotonic()) > 0:
            await asyncio.sleep(min(left, PING_EVERY_S))
            if left > PING_EVERY_S:
                await self._body(PING, more=True)

    async def _start(self, status: int, content_type: str, headers: Mapping[str, str]) -> None:
        every = {"content-type": content_type, "request-id": self.request_id, **headers}
        encoded = [(name.encode(), value.encode()) for name, value in every.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": encoded})

    async def _events(self, events: Iterable[bytes]) -> None:
        await self._body(b"".join(events), more=True)

    async def _body(self, body: bytes, *, more: bool) -> None:
        await self._send({"type": "http.response.body", "body": body, "more_body": more})

    async def _until_client_leaves(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass


def error_of(fault: JsonObject) -> Rejected:
    """Return the error answer a fault stands for."""
    status, kind, message, error_code = _ERRORS.get(fault["kind"], (fault.get("status", 500), "api_error", "", None))
    headers = dict(fault.get("headers", {}))
    if "retry_after" in fault:
        headers.update(_retry_after(fault["retry_after"], fault.get("retry_after_as", "seconds")))
    return Rejected(
        status=status,
        type=fault.get("type", kind),
        message=fault.get("message", message),
        error_code=fault.get("error_code", error_code),
        headers=headers,
    )


def _retry_after(seconds: float, form: str) -> Mapping[str, str]:
    if form == "milliseconds":
        return {"retry-after-ms": f"{seconds * 1000:g}"}
    if form == "date":
        return {"retry-after": email.utils.formatdate(time.time() + seconds, usegmt=True)}
    return {"retry-after": f"{seconds:g}"}
