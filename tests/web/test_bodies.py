"""No address takes a body, a form or a head without bound, however it is sent."""

import asyncio
import gzip
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
import uvicorn
from django.conf import settings
from django.test import Client

from tests.api.conftest import Caller
from tests.console.conftest import peopled, signed_in
from tests.web.conftest import Served, answer_of, routes
from web import body_limit, protocol

LARGE = settings.MAX_BODY_BYTES + 1
FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize("chunked", [False, True])
def test_every_address_refuses_a_body_that_is_too_large(served: Served, chunked: bool) -> None:
    for route in routes():
        body = (b" " * 65536 for _ in range(LARGE // 65536 + 1)) if chunked else b" " * LARGE
        more = {"Transfer_Encoding": "chunked"} if chunked else {}
        answer = served.ask("POST", route.path, body, Content_Type="multipart/form-data; boundary=x", **more)
        assert answer.status == 413, route
        assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS", "PROPFIND"])
def test_whatever_the_method(served: Served, method: str) -> None:
    assert served.ask(method, "/healthz", b" " * LARGE).status == 413


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ("&".join(f"f{number}=" for number in range(30_000)), FORM),
        ("theme=dark" + "&a" * 100_000, FORM),
        (
            "".join(f'--x\r\nContent-Disposition: form-data; name="f{n}"\r\n\r\n\r\n' for n in range(2000))
            + "--x--\r\n",
            "multipart/form-data; boundary=x",
        ),
        (
            '--x\r\nContent-Disposition: form-data; name="f"; filename="a.txt"\r\n\r\nfile\r\n--x--\r\n',
            "multipart/form-data; boundary=x",
        ),
        ("theme=dark", "multipart/form-data"),
    ],
)
def test_a_form_with_too_many_fields_or_files_or_that_is_none_is_refused(body: str, content_type: str) -> None:
    page = Client().generic("POST", "/theme/", body.encode(), content_type)

    assert page.status_code == 400
    assert "could not be read" in page.content.decode()


def test_a_large_form_within_the_limit_is_still_only_a_form() -> None:
    field = "a" * (settings.MAX_BODY_BYTES - 100)

    assert Client().post("/theme/", {"theme": field}).status_code == 302


def test_a_compressed_body_is_not_unpacked(served: Served, alice: Caller) -> None:
    answer = served.ask(
        "POST",
        "/api/v1/runs",
        gzip.compress(b'{"agent": "echo", "input": {}}'),
        Authorization=f"Bearer {alice.key}",
        Content_Type="application/json",
        Content_Encoding="gzip",
    )

    assert answer.status == 400


@pytest.mark.parametrize(
    "head", [b"Content-Length: -1", b"Content-Length: x", b"Content-Length: 1\r\nContent-Length: 2"]
)
def test_a_length_that_is_none_is_no_request(served: Served, head: bytes) -> None:
    answer = served.say(b"POST /api/v1/runs HTTP/1.1\r\nHost: localhost\r\n" + head + b"\r\n\r\n{}")

    assert answer.status == 400


def test_a_length_beside_chunks_is_no_request(served: Served) -> None:
    # Two readers that believe different ones would see different requests (RFC 9112, section 6.3).
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"

    assert served.say(head, b"0\r\n\r\nGET /admin HTTP/1.1\r\n\r\n").status == 400


def test_what_follows_a_body_is_no_part_of_it(served: Served) -> None:
    head = b"POST /api/v1/runs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n"

    assert served.say(head + b"{}}}}}").status == 400


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"X: " + b"a" * 40_000 + b"\r\n", id="one field"),
        pytest.param(b"".join(b"X%d: a\r\n" % n for n in range(protocol.HEAD_FIELDS + 1)), id="many fields"),
        pytest.param(b"".join(b"X%d: %s\r\n" % (n, b"a" * 1000) for n in range(50)), id="large fields"),
    ],
)
def test_a_head_that_is_too_large_is_refused(served: Served, head: bytes) -> None:
    answer = served.say(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + head + b"\r\n")

    assert answer.status == 431


def test_an_address_that_is_too_long_is_refused(served: Served) -> None:
    assert served.say(b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n").status == 431


def test_a_field_without_end_is_refused_while_it_comes(served: Served) -> None:
    pieces = [b"a" * 60_000] * 100
    with served.connect() as wire:
        wire.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: ")
        try:
            for piece in pieces:
                wire.sendall(piece)
        except OSError:
            return  # the server has closed while we were still sending
        assert answer_of(wire).status == 431


def test_an_ordinary_head_is_read_in_pieces(served: Served) -> None:
    pieces = [b"GET /healthz HTTP/1.1\r\nHo", b"st: localhost\r\n", b"X: " + b"a" * 8000, b"\r\n\r\n"]

    assert served.say(*pieces).status == 200


def test_requests_one_behind_the_other_are_all_answered(served: Served) -> None:
    read = b""
    with served.connect() as wire:
        wire.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" * 100)
        while read.count(b'{"status": "ok"}') < 100:
            piece = wire.recv(65536)
            assert piece
            read += piece

    assert read.count(b"HTTP/1.1 200 OK") == 100


def _run(answering: Awaitable[None]) -> None:
    async def whole() -> None:
        await answering

    asyncio.run(whole())


class _Wire:
    """A request's body that comes as the test says."""

    def __init__(self) -> None:
        self.sent: list[body_limit.Message] = []

    async def send(self, message: body_limit.Message) -> None:
        self.sent.append(message)


def test_a_body_that_dawdles_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_limit, "PATIENCE_S", 0.01)
    wire = _Wire()

    async def receive() -> body_limit.Message:
        await asyncio.Event().wait()
        return {}

    async def application(scope: body_limit.Message, receive: body_limit.Receive, send: body_limit.Send) -> None:
        assert await receive() == {"type": "http.disconnect"}

    scope = {"type": "http", "headers": [(b"content-length", b"10")]}
    _run(body_limit.limited(application)(scope, receive, wire.send))

    assert [message.get("status") for message in wire.sent] == [408, None]
    assert b"body_too_slow" in wire.sent[1]["body"]


def test_a_client_that_waits_for_its_answer_is_not_hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_limit, "PATIENCE_S", 0.0)
    wire = _Wire()
    messages = iter([{"type": "http.request", "body": b"{}", "more_body": False}])

    async def receive() -> body_limit.Message:
        message = next(messages, None)
        if message is None:
            await asyncio.sleep(0.05)
            return {"type": "http.disconnect"}
        return message

    async def application(scope: body_limit.Message, receive: body_limit.Receive, send: body_limit.Send) -> None:
        await receive()
        assert (await receive())["type"] == "http.disconnect"
        await send({"type": "http.response.start", "status": 200, "headers": []})

    _run(body_limit.limited(application)({"type": "http", "headers": []}, receive, wire.send))

    assert [message.get("status") for message in wire.sent] == [200]


@contextmanager
def serving() -> Iterator[tuple[str, int]]:
    """A server of this process with the installation's protocol; yields its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(_hello, http=protocol.BoundedProtocol, lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])))
    thread.start()
    try:
        yield listener.getsockname()
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], bool]:
    """Say whether a server that gives heads 0.2 s ends a connection that sends only this."""
    monkeypatch.setattr(protocol, "HEAD_S", 0.2)

    def ended(sent: bytes) -> bool:
        with serving() as address, socket.create_connection(address, timeout=30) as wire:
            wire.sendall(sent)
            return wire.recv(1000) == b""

    return ended


def test_more_connections_than_are_held_are_told_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "CONNECTIONS", 2)
    request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with serving() as address, ExitStack() as held:
        for _ in range(2):
            wire = held.enter_context(socket.create_connection(address, timeout=30))
            wire.sendall(request)
            assert answer_of(wire).status == 200
        third = held.enter_context(socket.create_connection(address, timeout=30))
        third.sendall(request)
        refused = answer_of(third)

    assert refused.status == 503
    assert refused.headers["retry-after"] == "1"
    assert refused.headers["x-content-type-options"] == "nosniff"
    assert b'"code": "unavailable"' in refused.body


async def _hello(scope: body_limit.Message, receive: body_limit.Receive, send: body_limit.Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


@pytest.mark.parametrize("sent", [b"", b"\r\n", b"GET / HT", b"GET / HTTP/1.1\r\nHost: localhost\r\nX: a"])
def test_a_head_that_dawdles_ends_the_connection(hurried: Callable[[bytes], bool], sent: bytes) -> None:
    assert hurried(sent)


def test_a_head_that_is_whole_is_answered(hurried: Callable[[bytes], bool]) -> None:
    assert not hurried(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")


@pytest.mark.usefixtures("database")
def test_a_member_posts_no_more_than_others() -> None:
    acme = peopled()
    client = signed_in(acme, "alice")

    assert client.post("/theme/", {f"f{n}": "" for n in range(1100)}).status_code == 400
