"""What an interface may answer, well or badly, and what is made of it: JSON, text, nothing, or a bounded failure."""

import gzip
import json
import socket
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from agents.tools.http.kind import HttpKind
from agents.tools.perform import perform
from agents.tools.seam import Failed, Finished, Outcome, OutcomeUnknown
from egress.client import Client
from tests.agents.tools.contexts import Context, call_of
from tests.egress.servers import Handler, answer, says, serve


def made(handler: Handler, *pauses: list[float], **spec: Any) -> tuple[Outcome, list[bytes]]:
    """Make one call whole, and return its outcome with the requests that the server saw."""
    config: dict[str, Any] = {name: spec.pop(name) for name in ("method", "body", "headers") if name in spec}
    arguments = spec.pop("arguments", {})
    slept = pauses[0] if pauses else []
    with serve(handler) as seen:
        kind = HttpKind(Client(frozenset({("127.0.0.1", seen.port)})))
        call = call_of("http", {**config, "url": seen.url}, arguments, **spec)
        assert kind.problems(call.definition) == []
        outcome = perform(call, Context(), registry={"http": kind}, sleep=slept.append, jitter=lambda: 1.0)
    return outcome, seen.requests


def outcome_of(handler: Handler, **spec: Any) -> Outcome:
    return made(handler, **spec)[0]


# What is sent


def test_arguments_are_sent_as_a_form_where_the_tool_says_so() -> None:
    arguments = {"amount": 7, "tags": ["a b", "c&d"], "note": "\u00e9", "none": None, "deep": {"x": [1]}, "ok": True}
    outcome, [request] = made(says(answer(b"")), method="POST", body="form", effect="write", arguments=arguments)

    head, _, body = request.partition(b"\r\n\r\n")
    assert outcome == Finished(None)
    assert b"Content-Type: application/x-www-form-urlencoded" in head
    assert body == b"amount=7&tags=a%20b&tags=c%26d&note=%C3%A9&deep=%7B%22x%22%3A%5B1%5D%7D&ok=true"


@pytest.mark.parametrize("body", ["form", "json"])
def test_half_a_character_cannot_be_sent(body: str) -> None:
    outcome, requests = made(says(answer(b"")), method="POST", body=body, effect="write", arguments={"a": "\ud800"})

    assert isinstance(outcome, Failed)
    assert (outcome.code, requests) == ("bad_arguments", [])


# What comes back


@pytest.mark.parametrize("status", ["204 No Content", "205 Reset Content", "200 OK", "202 Accepted"])
def test_an_empty_answer_is_null(status: str) -> None:
    head = f"HTTP/1.1 {status}\r\n" + ("" if status.startswith("204") else "Content-Length: 0\r\n")

    assert outcome_of(says(f"{head}Content-Type: application/json\r\n\r\n".encode())) == Finished(None)


WORDS = "gr\u00fc\u00dfe \u20ac"


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        (WORDS.encode(), "text/plain"),
        (WORDS.encode(), "text/html; charset=UTF-8"),
        (WORDS.encode(), None),
        (WORDS.encode("utf-8-sig"), "text/csv"),
        (WORDS.encode("utf-16"), "text/plain"),
        (WORDS.encode("utf-32"), None),
        (WORDS.encode("utf-16-be"), "text/plain; charset=utf-16be"),
        (WORDS.encode("cp1252"), "text/plain"),
        (WORDS.encode("cp1252"), 'text/plain; charset="windows-1252"'),
        (WORDS.encode("iso8859-15"), "application/xml;charset=ISO-8859-15"),
        (WORDS.encode(), "image/svg+xml"),
        (WORDS.encode(), "application/octet-stream"),
    ],
)
def test_text_of_any_character_set_is_text(body: bytes, media_type: str | None) -> None:
    headers = {"content_type": media_type} if media_type else {}

    assert outcome_of(says(answer(body, **headers))) == Finished(WORDS)


@pytest.mark.parametrize(
    "charset", ["idna", "punycode", "unicode_escape", "raw_unicode_escape", "hex", "zip", "no", "-"]
)
def test_what_is_no_character_set_is_not_taken_for_one(charset: str) -> None:
    said = says(answer(b"\\u0041-a", content_type=f"text/plain; charset={charset}"))

    assert outcome_of(said) == Finished("\\u0041-a")


def test_json_of_nothing_but_brackets_is_text_for_it_would_fill_the_memory() -> None:
    body = b"[" + b"{}," * 2_000_000 + b"{}]"
    outcome = outcome_of(says(answer(body, content_type="application/json")))

    assert isinstance(outcome, Finished)
    assert outcome.truncated
    assert outcome.result["head"].startswith("[{},{},")
    assert json.loads(json.loads(outcome.whole or "")) == [{}] * 2_000_001


def test_json_in_another_character_set_is_json() -> None:
    latin = says(answer('{"a": "\u00e9"}'.encode("latin-1"), content_type="application/json; charset=latin-1"))

    assert outcome_of(latin) == Finished('{"a": "\u00e9"}')
    wide = says(answer('{"a": "\u00e9"}'.encode("utf-16"), content_type="application/json"))
    assert outcome_of(wide) == Finished({"a": "\u00e9"})


PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
BINARY = [
    (PNG, "image/png", "image/png, 16 bytes"),
    (PNG, "text/plain", "text/plain, 16 bytes"),
    (PNG, None, "of no known type, 16 bytes"),
    (b"\xff\xfe\xfd\xfc"[2:] * 4, "application/pdf", "application/pdf, 8 bytes"),
    (b"{\x00\xff", "application/json", "application/json, 3 bytes"),
]


@pytest.mark.parametrize(("body", "media_type", "told"), BINARY)
def test_a_read_that_gives_something_binary_says_so(body: bytes, media_type: str | None, told: str) -> None:
    headers = {"content_type": media_type} if media_type else {}

    outcome = outcome_of(says(answer(body, **headers)))
    assert outcome == Failed("bad_result", f"The answer is binary ({told}); an http tool gives back JSON or text.")


def test_a_write_that_gives_something_binary_was_made_all_the_same() -> None:
    said = says(answer(PNG, "201 Created", content_type="image/png"))

    note = "The call was made (HTTP 201). Its answer is binary (image/png, 16 bytes)."
    assert outcome_of(said, method="POST", effect="write") == Finished({"note": note})
    assert isinstance(
        outcome_of(said, method="POST", effect="write", output_schema={"required": ["id"]}), OutcomeUnknown
    )


def test_an_error_page_that_is_binary_is_told_by_its_kind() -> None:
    outcome = outcome_of(says(answer(PNG, "404 X", content_type="image/png")))

    assert outcome == Failed("http_status", "HTTP 404: (binary (image/png, 16 bytes))")


# When to come back


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 507, 520, 599])
def test_a_read_in_passing_trouble_is_made_again(status: int) -> None:
    def handler(sock: socket.socket, request: bytes, nth: int) -> None:
        sock.sendall(answer(b"ok") if nth == 3 else answer(b"busy", f"{status} X"))

    assert made(handler, attempts=3)[0] == Finished("ok")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 501, 505, 511])
def test_a_read_that_will_fail_again_is_made_once(status: int) -> None:
    outcome, requests = made(says(answer(b"no", f"{status} X")), attempts=5)

    assert isinstance(outcome, Failed)
    assert (outcome.retryable, len(requests)) == (False, 1)


def when(seconds: float) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


def busy(retry_after: str) -> Handler:
    return says(answer(b"busy", "429 X", retry_after=retry_after))


def test_the_pause_that_a_server_asks_for_is_made() -> None:
    slept: list[float] = []
    made(busy("4"), slept, attempts=3, backoff_s=1.0)

    assert slept == [4.0, 4.0]


def test_a_server_that_asks_for_less_than_the_tools_own_pause_gets_that() -> None:
    slept: list[float] = []
    made(busy("0"), slept, attempts=3, backoff_s=1.0)

    assert slept == [1.0, 2.0]


def test_the_pause_may_be_asked_for_as_a_date() -> None:
    slept: list[float] = []
    made(busy(when(8)), slept, attempts=2, backoff_s=0.5)

    assert len(slept) == 1
    assert 1 < slept[0] <= 9


@pytest.mark.parametrize("retry_after", ["3600", "99999999999999999999", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_a_server_that_asks_for_too_long_a_pause_is_not_called_again(retry_after: str) -> None:
    slept: list[float] = []
    outcome, requests = made(busy(retry_after), slept, attempts=5)

    assert isinstance(outcome, Failed)
    assert (outcome.code, outcome.retryable, slept, len(requests)) == ("http_status", True, [], 1)
    assert "busy" in outcome.message
    assert "The server asks to wait " in outcome.message


def test_the_pauses_that_are_asked_for_are_bounded_in_all() -> None:
    slept: list[float] = []
    _, requests = made(busy("4"), slept, attempts=10, backoff_s=0)

    assert (slept, len(requests)) == ([4.0, 4.0], 3)


@pytest.mark.parametrize("retry_after", ["", "soon", "-5", "1.5", "Fri, 99 Xyz 2026", "\u00b2"])
def test_a_pause_that_nobody_can_read_is_none(retry_after: str) -> None:
    slept: list[float] = []
    made(lambda sock, request, nth: sock.sendall(raw_busy(retry_after)), slept, attempts=2, backoff_s=0.5)

    assert slept == [0.5]


def raw_busy(retry_after: str) -> bytes:
    return b"HTTP/1.1 503 X\r\nContent-Length: 0\r\nRetry-After: " + retry_after.encode("latin-1") + b"\r\n\r\n"


def test_a_write_that_may_not_be_repeated_is_not_even_if_the_server_asks() -> None:
    outcome, requests = made(busy("1"), attempts=5, method="POST", effect="write")

    assert outcome == Failed(
        "http_status", "HTTP 429: busy (The server asks to wait 1 seconds.)", retryable=True, retry_after_s=1.0
    )
    assert len(requests) == 1


# Servers that mean harm


def dribbles(sock: socket.socket, request: bytes, nth: int) -> None:
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n[")
    while True:
        time.sleep(0.02)
        sock.sendall(b"1")


def gigabyte(sock: socket.socket, request: bytes, nth: int) -> None:
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1073741824\r\n\r\n")
    for _ in range(1024):
        sock.sendall(bytes(1024 * 1024))


def endless(sock: socket.socket, request: bytes, nth: int) -> None:
    sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        sock.sendall(b"10000\r\n" + bytes(65536) + b"\r\n")


def promises_more(sock: socket.socket, request: bytes, nth: int) -> None:
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort")
    sock.close()


def two_lengths(sock: socket.socket, request: bytes, nth: int) -> None:
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 7\r\n\r\nshort")
    sock.close()


BOMB = says(answer(gzip.compress(bytes(100 * 1024 * 1024)), content_encoding="gzip"))
HARM = [
    (gigabyte, "too_large"),
    (endless, "too_large"),
    (BOMB, "too_large"),
    (dribbles, "timeout"),
    (promises_more, "bad_result"),
    (two_lengths, "bad_result"),
]


@pytest.mark.parametrize(("handler", "code"), HARM)
def test_a_harmful_answer_to_a_read_is_a_bounded_failure(handler: Handler, code: str) -> None:
    outcome = outcome_of(handler, timeout_s=1.0 if code == "timeout" else 30.0)

    assert isinstance(outcome, Failed)
    assert outcome.code == code
    assert len(outcome.message) < 200


@pytest.mark.parametrize(("handler", "code"), HARM)
def test_a_harmful_answer_to_a_write_leaves_it_unknown(handler: Handler, code: str) -> None:
    timeout_s = 1.0 if code == "timeout" else 30.0

    assert isinstance(outcome_of(handler, method="POST", effect="write", timeout_s=timeout_s), OutcomeUnknown)


def test_more_than_is_written_belongs_to_no_answer() -> None:
    assert outcome_of(says(answer(b"ok") + b"more than the length says")) == Finished("ok")
