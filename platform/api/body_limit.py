"""Refuse a body that is too large while it arrives, before anything of it is kept.

Django's ASGI handler writes the whole body to a temporary file before any view runs; a chunked one has no length to
refuse by. This sits in front of it.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from django.conf import settings

from api import problems
from api.errors import BodyTooLarge

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

#: How much beyond the limit is read and thrown away, for the sake of clients that send it all before they read.
DISCARDED: Final = 8 * 1024 * 1024


def limited(application: Application) -> Application:
    """Return the ASGI application behind the limit of `settings.MAX_BODY_BYTES`."""

    async def guarded(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await application(scope, receive, send)
            return
        incoming = _Incoming(receive)
        if _announced(scope) > settings.MAX_BODY_BYTES:
            incoming.too_large = True
        else:
            await application(scope, incoming.receive, send)
        if incoming.too_large:
            await incoming.discard()
            await _refuse(send)

    return guarded


class _Incoming:
    """A request's body on its way in. Past the limit the application sees the client leave, and answers nothing."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._size = 0
        self._complete = False
        self.too_large = False

    async def receive(self) -> Message:
        message = await self._next()
        if self._size > settings.MAX_BODY_BYTES:
            self.too_large = True
            return {"type": "http.disconnect"}
        return message

    async def discard(self) -> None:
        while not self._complete and self._size <= settings.MAX_BODY_BYTES + DISCARDED:
            await self._next()

    async def _next(self) -> Message:
        message = await self._receive()
        self._size += len(message.get("body", b""))
        self._complete = message["type"] == "http.disconnect" or not message.get("more_body", False)
        return message


def _announced(scope: Message) -> int:
    length = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    return int(length) if length.isdigit() else 0


async def _refuse(send: Send) -> None:
    answer = problems.of(BodyTooLarge(problems.limit_sentence()))
    headers = [
        (b"content-type", problems.MEDIA_TYPE.encode()),
        (b"content-length", str(len(answer.content)).encode()),
        (b"cache-control", b"no-store"),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": answer.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": answer.content})
