"""HTTP/1.1 as uvicorn reads it, with the bounds that its faster parser leaves open.

Without them one client could send a head without end, or a byte a minute on thousands of connections. Bodies have their
bounds in `web.body_limit`.
"""

import asyncio
from typing import Any, Final

from django.conf import settings
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from api import problems
from api.errors import Overloaded
from web import headers
from web.body_limit import DISCARDED, answer

#: Bytes of a request line and its header fields together.
HEAD_BYTES: Final = 32 * 1024

#: Header fields of one request.
HEAD_FIELDS: Final = 100

#: Connections of one process, those of `quotas.streams.PROCESS` watchers among them; requests on others get 503.
CONNECTIONS: Final = 4096

#: Seconds for a request's head: from the connection on, or from the head's first byte.
HEAD_S: Final = 15.0


class TooMuch(Exception):
    """The head is larger than is read."""


class BoundedProtocol(HttpToolsProtocol):
    """One connection. A head that is too large gets 431, one that is too slow ends the connection.

    What is read at once (256 KiB by asyncio's choice) may go beyond a bound before it is looked at.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_head = True
        self._began_now = False
        self._read = 0  # bytes of the message so far, but for the reading it began in
        self._named = 0  # bytes of its request line and of the fields that have ended
        self._fields = 0
        self._too_much = False
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._hurry()

    def connection_lost(self, exc: Exception | None) -> None:
        self._take_time()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._began_now = False
        super().data_received(data)
        if not self._began_now:
            self._read += len(data)
        if self._read > (HEAD_BYTES if self._in_head else _message_bytes()):
            self._refuse_too_much()
        if self._in_head and not self.transport.is_closing():
            self._hurry()
        else:
            self._take_time()

    def on_message_begin(self) -> None:
        self._in_head = self._began_now = True
        self._read = self._named = self._fields = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields += 1
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self.app = _overloaded if len(self.connections) > CONNECTIONS else self.config.loaded_app
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no request, or too much of one; a response that has begun ends instead."""
        status, text = (431, b"The request's head is too large.") if self._too_much else (400, msg.encode("ascii"))
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            told = {**headers.always(), "Content-Type": "text/plain; charset=utf-8", "Content-Length": str(len(text))}
            lines = b"".join(f"{name.lower()}: {value}\r\n".encode("ascii") for name, value in told.items())
            self.transport.write(STATUS_LINE[status] + lines + b"connection: close\r\n\r\n" + text)
        self.transport.close()

    def _count(self, size: int) -> None:
        self._named += size
        if self._named > HEAD_BYTES or self._fields > HEAD_FIELDS:
            self._too_much = True
            raise TooMuch

    def _refuse_too_much(self) -> None:
        if not self.transport.is_closing():
            self._too_much = True
            self.send_400_response("")

    def _hurry(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_S, self.timeout_keep_alive_handler)

    def _take_time(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


async def _overloaded(scope: Any, receive: Any, send: Any) -> None:
    # Not uvicorn's own `limit_concurrency`, whose answer has none of the headers.
    await answer(send, problems.of(Overloaded()))


def _message_bytes() -> int:
    """Return how much one message may be on the wire: what is read of a body, and as much again around its chunks."""
    return 2 * (int(settings.MAX_BODY_BYTES) + DISCARDED)
