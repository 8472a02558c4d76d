"""Answers of an HTTP server, looked through for what the SDK does not tell: which errors are the server's own word.

What the SDK cannot read it turns into a JSON-RPC error of its own making, which looks as if the server had sent it.
"""

import json
from typing import Any, Final

Json = Any
#: The SDK reads no event that is longer.
_MAX_EVENT_BYTES: Final = 1024 * 1024


def number_of(body: bytes) -> Json:
    """Return the id of the request that a body holds; None for a notification, and for what is no message."""
    message = _read(body)
    return message.get("id") if isinstance(message, dict) else None


def method_of(body: bytes) -> Json:
    """Return the method that a body asks for; None for what is no request."""
    message = _read(body)
    return message.get("method") if isinstance(message, dict) else None


def error_in(body: bytes, number: Json) -> int | None:
    """Return the code of the JSON-RPC error for that request, if that is what the body is."""
    message = _read(body) if b'"error"' in body else None
    if not isinstance(message, dict) or number is None or message.get("id") != number:
        return None
    error = message.get("error")
    code = error.get("code") if isinstance(error, dict) and isinstance(error.get("message"), str) else None
    return code if isinstance(code, int) and not isinstance(code, bool) else None


def many(body: bytes) -> int:
    """Return how many values a piece of JSON holds at most, before anybody reads it."""
    return sum(map(body.count, (b"[", b"{", b",")))


class Events:
    """A stream of events, piece by piece. error: as of `error_in`, of the event that was one."""

    def __init__(self, number: Json) -> None:
        self.error: int | None = None
        self._number = number
        self._line = b""
        self._data: list[bytes] = []
        self._size = 0

    def take(self, piece: bytes) -> None:
        """Look at what came in."""
        if self.error is not None or self._size > _MAX_EVENT_BYTES:
            return
        *lines, self._line = (self._line + piece).replace(b"\r\n", b"\n").split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                self._data.append(line[5:].removeprefix(b" "))
                self._size += len(line)
            elif not line:
                self.error = error_in(b"\n".join(self._data), self._number)
                self._data, self._size = [], 0
                if self.error is not None:
                    return
        self._size = max(self._size, len(self._line))


def _read(body: bytes) -> Json:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
