"""A token endpoint, and an interface behind it that takes the endpoint's latest token, on one port."""

import base64
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote_plus

from tests.egress.servers import Seen, answer, serve

JSON = {"content_type": "application/json"}


@dataclass
class Endpoint:
    """What it gives and saw. answers: what it says instead of a token, each once, in order.

    forms: what each asked, with `client` as (id, secret). good: the tokens that the interface takes. hold: set while
    nobody is to be answered.
    """

    seen: Seen = field(default_factory=lambda: Seen(0))
    lifetime: Any = 3600
    answers: list[bytes] = field(default_factory=list)
    forms: list[dict[str, Any]] = field(default_factory=list)
    good: set[str] = field(default_factory=set)
    calls: list[str] = field(default_factory=list)
    go: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.go.set()

    def handle(self, sock: socket.socket, request: bytes, nth: int) -> None:
        """Answer one request."""
        if request.startswith(b"POST /token "):
            self._token(sock, request)
            return
        header = field_of(request, b"authorization")
        self.calls.append(header)
        status = "200 OK" if header.removeprefix("Bearer ") in self.good else "401 Unauthorized"
        sock.sendall(answer(json.dumps({"status": status}).encode(), status, **JSON))

    def _token(self, sock: socket.socket, request: bytes) -> None:
        self.forms.append(form_of(request))
        self.go.wait(20)
        if self.answers:
            sock.sendall(self.answers.pop(0))
            return
        token = f"access-token-number-{len(self.forms)}"
        self.good = {token}
        said = {"access_token": token, "token_type": "Bearer", "expires_in": self.lifetime}
        sock.sendall(answer(json.dumps(said).encode(), **JSON))


def field_of(request: bytes, name: bytes) -> str:
    """A header's value; empty without one."""
    lines = request.partition(b"\r\n\r\n")[0].split(b"\r\n")
    values = [line.partition(b":")[2].strip() for line in lines if line.lower().startswith(name + b":")]
    return values[0].decode() if values else ""


def form_of(request: bytes) -> dict[str, Any]:
    """What a form says, with the client's credentials from wherever they stand."""
    form: dict[str, Any] = {
        name: values[0] for name, values in parse_qs(request.partition(b"\r\n\r\n")[2].decode()).items()
    }
    basic = field_of(request, b"authorization").removeprefix("Basic ")
    if basic:
        client, _, secret = base64.b64decode(basic).decode().partition(":")
        form["client"] = (unquote_plus(client), unquote_plus(secret))
    elif "client_id" in form:
        form["client"] = (form.pop("client_id"), form.pop("client_secret"))
    return form


@contextmanager
def endpoint(**more: Any) -> Iterator[Endpoint]:
    """Serve one for as long as a test needs it."""
    made = Endpoint(**more)
    with serve(made.handle) as seen:
        made.seen = seen
        try:
            yield made
        finally:
            made.go.set()
