"""Refuse a body that is too large, or too slow, while it arrives, before anything of it is kept.

Django's ASGI handler writes the whole body to a temporary file before any view runs; a chunked one has no length to
refuse by, and nothing says how long a client may take. This sits in front of it, for every address.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from django.conf import settings
from django.http import HttpResponse

from api import problems
from api.errors import BodyTooLarge, BodyTooSlow
from web import headers

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

#: How much beyond the limit is read and thrown away, for the sake of clients that send it all before they read.
DISCARDED: Final = 8 * 1024 * 1024

#: Seconds a client has for a body's whole, and the bytes a second that give it more.
PATIENCE_S: Final = 30.0
SLOWEST: Final = 16 * 1024


def limited(application: Application) -> Application:
    """Return the ASGI application behind the limit of `settings.MAX_BODY_BYTES`."""

    async def guarded(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await application(scope, receive, send)
            return
        incoming = _Incoming(receive)
        if _announced(scope) > settings.MAX_BODY_BYTES:
            incoming.refusal = BodyTooLarge(problems.limit_sentence())
        else:
            await application(scope, incoming.receive, send)
        if incoming.refusal is not None:
            await incoming.discard()
            await answer(send, problems.of(incoming.refusal))

    return guarded


class _Incoming:
    """A request's body on its way in. Past a limit the application sees the client leave, and answers nothing."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._size = 0
        self._complete = False
        self._began = asyncio.get_running_loop().time()
        self.refusal: BodyTooLarge | BodyTooSlow | None = None

    async def receive(self) -> Message:
        try:
            message = await self._next()
        except TimeoutError:
            self.refusal = BodyTooSlow()
        else:
            if self._size <= settings.MAX_BODY_BYTES:
                return message
            self.refusal = BodyTooLarge(problems.limit_sentence())
        return {"type": "http.disconnect"}

    async def discard(self) -> None:
        """Read what a client still sends, up to a bound, so that it gets to reading the answer."""
        try:
            while not self._complete and self._size <= settings.MAX_BODY_BYTES + DISCARDED:
                await self._next()
        except TimeoutError:
            return

    async def _next(self) -> Message:
        if self._complete:  # what comes now is the client's leaving, which may take as long as the answer
            return await self._receive()
        async with asyncio.timeout_at(self._began + PATIENCE_S + self._size / SLOWEST):
            message = await self._receive()
        self._size += len(message.get("body", b""))
        self._complete = message["type"] == "http.disconnect" or not message.get("more_body", False)
        return message


def _announced(scope: Message) -> int:
    length = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    return int(length) if length.isdigit() else 0


async def answer(send: Send, told: HttpResponse) -> None:
    """Send an answer that Django never saw, with what each carries, and end the connection."""
    named = {**headers.always(), **told.headers, "Content-Length": str(len(told.content)), "Connection": "close"}
    raw = [(name.lower().encode(), value.encode()) for name, value in named.items()]
    await send({"type": "http.response.start", "status": told.status_code, "headers": raw})
    await send({"type": "http.response.body", "body": told.content})
