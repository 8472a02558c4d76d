"""Streamable HTTP to an MCP server, through the guarded client: the SDK's transport gets this one beneath it.

A failure is told to the one request it befell, as a JSON-RPC error: raised, it would end every other on the session.
"""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Final

import httpx2

from agents.tools.mcp.answers import Events, error_in, many, method_of, number_of
from agents.tools.mcp.definitions import clean
from agents.tools.mcp.sending import CALL, SENDING, Sending
from agents.tools.results import MAX_VALUES
from egress.client import Client
from egress.errors import EgressError, EgressFailed
from egress.messages import Request, Response

MAX_ANSWER_BYTES: Final = 8 * 1024 * 1024
_MAX_SAID_CHARS: Final = 2000
#: What the guarded client sets itself, and asks for itself.
_NOT_PASSED: Final = frozenset(
    {"accept-encoding", "connection", "content-length", "host", "keep-alive", "transfer-encoding", "user-agent"}
)
_FAILED: Final = -32000
_END: Final = None
#: Redirects that have the same request sent elsewhere: who sends one did not take it.
_NOT_TAKEN: Final = frozenset({307, 308})


class _Enough(Exception):
    """Nobody listens any more."""


class _Answer(httpx2.AsyncByteStream):
    """The body of an answer as it comes in, from the thread that reads it to the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.head: asyncio.Future[tuple[int, Mapping[str, str]]] = loop.create_future()
        self._loop = loop
        self._pieces: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._closed = threading.Event()
        self._begun = False  # of the thread's
        self._values = 0  # likewise

    def begins(self, status: int, headers: Mapping[str, str]) -> "Callable[[bytes], None] | None":
        """In the thread: take the body piece by piece if it is a stream of events; else it is wanted whole."""
        if status != 200 or not headers.get("content-type", "").lower().startswith("text/event-stream"):
            return None
        self._begun = True
        self._tell(self._set_head, (200, {"content-type": headers["content-type"], **_session(headers)}))
        return self._piece

    def ends(self, response: Response | None, error: EgressError | None) -> None:
        """In the thread: the answer is here whole, or broke off."""
        if response is not None and not self._begun:
            self._tell(self._whole, response)
        elif error is not None and not self._begun:
            self._tell(self._fail, error)
        else:
            self._tell(self._pieces.put_nowait, _END)

    def _piece(self, data: bytes) -> None:
        if self._closed.is_set():
            raise _Enough
        self.count(data)
        self._tell(self._pieces.put_nowait, data)

    def count(self, data: bytes) -> None:
        """In the thread: raise `EgressFailed` for more than anybody is to read as JSON."""
        self._values += many(data)
        if self._values > MAX_VALUES:
            raise EgressFailed("too_large", f"The answer holds more than {MAX_VALUES} values.", sent=True)

    def _tell(self, function: Callable[..., None], *arguments: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:
            raise _Enough from None  # the loop is closed

    def _set_head(self, head: tuple[int, Mapping[str, str]]) -> None:
        if not self.head.done():
            self.head.set_result(head)

    def _whole(self, response: Response) -> None:
        self._pieces.put_nowait(response.body)
        self._pieces.put_nowait(_END)
        kept = {name: response.headers[name] for name in ("content-type", "location") if name in response.headers}
        self._set_head((response.status, {**kept, **_session(response.headers)}))

    def _fail(self, error: EgressError) -> None:
        if not self.head.done():
            self.head.set_exception(error)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (piece := await self._pieces.get()) is not _END:
            yield piece

    async def aclose(self) -> None:
        """Have the thread stop at the next piece."""
        self._closed.set()


class _Read(httpx2.AsyncByteStream):
    """A body on its way to the SDK, looked through for an error that the server itself wrote."""

    def __init__(self, answer: _Answer, sending: Sending, number: Any, headers: Mapping[str, str]) -> None:
        self._answer, self._sending, self._number = answer, sending, number
        self._type = headers.get("content-type", "").lower()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        events = Events(self._number)
        async for piece in self._answer:
            if self._type.startswith("application/json"):
                self._sending.error = error_in(piece, self._number)
            elif self._type.startswith("text/event-stream"):
                events.take(piece)
                self._sending.error = events.error
            yield piece

    async def aclose(self) -> None:
        await self._answer.aclose()


class GuardedTransport(httpx2.AsyncBaseTransport):
    """Sends each request of the SDK through the guarded client, in a thread of its own.

    A stream that the server would open by itself (GET) is not asked for: nothing that it says between calls is acted
    on. Redirects are handed back; the SDK follows those within the origin, through here again.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Make one request; an error of the outside comes back as an answer that says so."""
        sending = SENDING.get() or Sending()
        body = await request.aread()
        number = number_of(body)
        if request.method == "GET" and "last-event-id" not in request.headers:
            return httpx2.Response(405, request=request)
        answer = _Answer(asyncio.get_running_loop())
        asked = Request(
            request.method,
            str(request.url),
            {name: value for name, value in request.headers.items() if name.lower() not in _NOT_PASSED},
            body or None,
            timeout_s=max(0.001, sending.deadline - time.monotonic()),
            max_bytes=MAX_ANSWER_BYTES,
            max_redirects=0,
            before_sent=sending.begins if method_of(body) == CALL else None,
            on_answer=answer.begins,
        )
        threading.Thread(target=self._send, args=(asked, answer, sending), name="mcp-http", daemon=True).start()
        try:
            status, headers = await answer.head
        except EgressError as error:
            return _error(request, number, error.detail)
        except BaseException:
            await answer.aclose()
            raise
        if status < 400:
            sending.taken |= status not in _NOT_TAKEN
            body_of_answer = _Read(answer, sending, number, headers)
            return httpx2.Response(status, headers=dict(headers), stream=body_of_answer, request=request)
        raw = b"".join([piece async for piece in answer])
        sending.status, sending.error, text = status, error_in(raw, number), raw.decode("utf-8", "replace")
        sending.said = f"HTTP {status}: {clean(text, _MAX_SAID_CHARS).strip() or 'no explanation'}"
        return httpx2.Response(status, headers=dict(headers), content=text.encode(), request=request)

    def _send(self, asked: Request, answer: _Answer, sending: Sending) -> None:
        response, failed = None, None
        try:
            response = self._client.send(asked)
            answer.count(response.body)
        except EgressError as error:
            response, failed = None, error
            sending.failed = error
        except _Enough:
            return
        except Exception as error:
            if error is not sending.broken:
                raise
            failed = EgressFailed("unreachable", "The call was not begun.", sent=False)
        try:
            answer.ends(response, failed)
        except _Enough:
            return


def _session(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name == "mcp-session-id"}


def _error(request: httpx2.Request, number: Any, detail: str) -> httpx2.Response:
    error = {"jsonrpc": "2.0", "id": number, "error": {"code": _FAILED, "message": detail}}
    return httpx2.Response(502, json=error, request=request)
