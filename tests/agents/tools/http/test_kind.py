"""Tools of the kind http, against real servers on loopback."""

import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from agents.tools.http.kind import HttpKind
from agents.tools.seam import Failed, Finished, NoLongerOurs, Outcome, OutcomeUnknown
from egress.client import Client
from tests.agents.tools.contexts import Context, call_of
from tests.egress.servers import Handler, Seen, answer, reset, says, serve

JSON = {"content_type": "application/json; charset=utf-8"}


@pytest.fixture
def seen() -> Iterator[Seen]:
    with serve(says(answer(b'{"name": "Ada"}', **JSON))) as server:
        yield server


def perform(seen: Seen, config: dict[str, Any], arguments: dict[str, Any], **spec: Any) -> Outcome:
    secrets = spec.pop("secrets", {})
    kind = HttpKind(Client(frozenset({("127.0.0.1", seen.port)})))
    call = call_of("http", {**config, "url": seen.url + config.get("url", "/")}, arguments, **spec)
    assert kind.problems(call.definition) == []
    return kind.call(call, Context(secrets=secrets))


def answering(handler: Handler, **spec: Any) -> Outcome:
    with serve(handler) as server:
        return perform(server, {"method": spec.pop("method", "GET")}, {}, **spec)


def test_arguments_of_the_url_go_there_and_the_others_into_the_query(seen: Seen) -> None:
    outcome = perform(
        seen,
        {"method": "GET", "url": "/customers/{customer_id}?v=2"},
        {"customer_id": "C/1", "fields": ["a", "b"], "deep": {"x": 1}, "on": True, "none": None},
    )

    assert outcome == Finished({"name": "Ada"})
    assert seen.requests[0].startswith(
        b"GET /customers/C%2F1?v=2&fields=a&fields=b&deep=%7B%22x%22%3A1%7D&on=true HTTP/1.1\r\n"
    )
    assert b"Idempotency-Key" not in seen.requests[0]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_the_others_are_a_json_body_of_methods_that_have_one(seen: Seen, method: str) -> None:
    perform(
        seen,
        {"method": method, "url": "/refunds/{id}"},
        {"id": 7, "amount": 100, "note": "\u00e9"},
        effect="write",
    )

    head, _, body = seen.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(f"{method} /refunds/7 HTTP/1.1".encode())
    assert json.loads(body) == {"amount": 100, "note": "\u00e9"}
    assert b"Content-Type: application/json" in head
    assert b"Idempotency-Key: run-1-call-1" in head


def test_a_delete_carries_query_and_idempotency_key_and_no_body(seen: Seen) -> None:
    perform(seen, {"method": "DELETE", "url": "/x/{id}"}, {"id": 1, "why": "old"}, effect="irreversible")

    assert seen.requests[0].startswith(b"DELETE /x/1?why=old HTTP/1.1")
    assert b"Idempotency-Key: run-1-call-1" in seen.requests[0]
    assert seen.requests[0].endswith(b"\r\n\r\n")


def test_a_body_is_sent_even_when_every_argument_stands_in_the_url(seen: Seen) -> None:
    perform(seen, {"method": "POST", "url": "/x/{id}"}, {"id": 1}, effect="write")

    assert seen.requests[0].endswith(b"\r\n\r\n{}")


def test_secrets_are_put_into_headers(seen: Seen) -> None:
    perform(
        seen,
        {"headers": {"Authorization": "Bearer secret:crm", "X-Key": "secret:other", "X-Plain": "v"}},
        {},
        secrets={"crm": "t0ken", "other": "k3y"},
    )

    assert b"Authorization: Bearer t0ken\r\n" in seen.requests[0]
    assert b"X-Key: k3y\r\n" in seen.requests[0]
    assert b"X-Plain: v\r\n" in seen.requests[0]


def test_a_missing_secret_is_named_and_nothing_is_sent(seen: Seen) -> None:
    outcome = perform(seen, {"headers": {"Authorization": "secret:crm"}}, {})

    assert isinstance(outcome, Failed)
    assert outcome.code == "misconfigured"
    assert "crm" in outcome.message
    assert seen.connections == 0


def test_a_secret_that_no_header_can_carry_is_not_shown(seen: Seen) -> None:
    outcome = perform(seen, {"headers": {"Authorization": "secret:crm"}}, {}, secrets={"crm": "t0ken\r\nX: y"})

    assert isinstance(outcome, Failed)
    assert "t0ken" not in outcome.message
    assert seen.connections == 0


def test_an_argument_that_cannot_stand_in_the_url_is_told(seen: Seen) -> None:
    outcome = perform(seen, {"url": "/x/{id}"}, {"id": ".."})

    assert isinstance(outcome, Failed)
    assert outcome.code == "bad_arguments"
    assert seen.connections == 0


# Answers


@pytest.mark.parametrize("status", [400, 401, 404, 409, 422])
def test_a_status_of_400_and_above_is_an_error_with_the_body_as_its_text(status: int) -> None:
    outcome = answering(says(answer(b'{"detail": "no such customer"}', f"{status} X", **JSON)))

    assert outcome == Failed("http_status", f'HTTP {status}: {{"detail": "no such customer"}}')


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_passing_trouble_may_be_tried_again(status: int) -> None:
    outcome = answering(says(answer(b"", f"{status} X")))

    assert isinstance(outcome, Failed)
    assert outcome.retryable
    assert outcome.message.startswith(f"HTTP {status}: ")


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504, 524])
def test_a_write_that_a_gateway_may_have_answered_may_have_been_done(status: int) -> None:
    gateway = says(answer(b"backend timed out", f"{status} X"))
    told = f"HTTP {status}: backend timed out"

    assert answering(gateway, method="POST", effect="write") == OutcomeUnknown(told)
    again = answering(gateway, method="POST", effect="irreversible", idempotent=True)
    assert again == Failed("http_status", told, retryable=True, maybe_done=True)


@pytest.mark.parametrize("status", [400, 404, 409, 422, 425, 429, 501])
@pytest.mark.parametrize("idempotent", [True, False])
def test_a_write_that_was_refused_surely_failed(status: int, idempotent: bool) -> None:
    refusal = says(answer(b"no", f"{status} X"))
    outcome = answering(refusal, method="POST", effect="write", idempotent=idempotent)

    assert outcome == Failed("http_status", f"HTTP {status}: no", retryable=status in (425, 429))


def test_an_error_page_is_told_whole_for_a_half_of_a_secret_would_not_be_found_in_it() -> None:
    outcome = answering(says(answer(b"x" * 1_000_000, "500 X")))

    assert isinstance(outcome, Failed)
    assert outcome.message == "HTTP 500: " + "x" * 1_000_000


@pytest.mark.parametrize(
    ("body", "headers", "result"),
    [
        (b"", {}, None),
        (b"plain", {"content_type": "text/plain"}, "plain"),
        (b"\xe9", {"content_type": "text/plain; charset=latin-1"}, "\u00e9"),
        (b"\xe9", {"content_type": "text/plain; charset=nonsense"}, "\ufffd"),
        (b"[1, null]", {"content_type": "application/json"}, [1, None]),
        (b'{"a": 1}', {"content_type": "application/problem+json"}, {"a": 1}),
        (b"{broken", {"content_type": "application/json"}, "{broken"),
        (b"[" * 100_000, {"content_type": "application/json"}, "[" * 100_000),
        (b"9007199254740993", {"content_type": "application/json"}, "9007199254740993"),
        (b"[1e400, NaN]", {"content_type": "application/json"}, ["1e400", "NaN"]),
        (b'{"a": 1}', {}, '{"a": 1}'),
    ],
)
def test_an_answer_is_json_or_text(body: bytes, headers: dict[str, str], result: Any) -> None:
    assert answering(says(answer(body, **headers))) == Finished(result)


# Calls that break


def cut(sock: socket.socket, request: bytes, nth: int) -> None:
    reset(sock)


def silent(sock: socket.socket, request: bytes, nth: int) -> None:
    time.sleep(1)


def endless(sock: socket.socket, request: bytes, nth: int) -> None:
    sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        sock.sendall(bytes(65536))


BREAKS = [(cut, "unreachable"), (silent, "timeout")]


@pytest.mark.parametrize(("handler", "code"), BREAKS)
def test_a_read_that_broke_failed_and_may_be_tried_again(handler: Handler, code: str) -> None:
    outcome = answering(handler, timeout_s=0.3)

    assert isinstance(outcome, Failed)
    assert (outcome.code, outcome.retryable, outcome.maybe_done) == (code, True, False)


@pytest.mark.parametrize(("handler", "code"), BREAKS)
def test_an_idempotent_write_that_broke_may_be_tried_again_and_may_have_been_done(handler: Handler, code: str) -> None:
    outcome = answering(handler, method="POST", effect="write", idempotent=True, timeout_s=0.3)

    assert isinstance(outcome, Failed)
    assert (outcome.code, outcome.retryable, outcome.maybe_done) == (code, True, True)


@pytest.mark.parametrize("handler", [cut, silent, endless])
@pytest.mark.parametrize("effect", ["write", "irreversible"])
def test_any_other_write_that_broke_after_it_was_sent_is_unknown(handler: Handler, effect: str) -> None:
    assert isinstance(answering(handler, method="POST", effect=effect, timeout_s=0.5), OutcomeUnknown)


def test_a_write_that_was_never_sent_surely_failed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        gone = Seen(listener.getsockname()[1])
    outcome = perform(gone, {"method": "POST"}, {}, effect="irreversible")

    assert isinstance(outcome, Failed)
    assert (outcome.code, outcome.retryable, outcome.maybe_done) == ("unreachable", True, False)


def test_an_endless_answer_to_a_read_is_too_large() -> None:
    outcome = answering(endless)

    assert isinstance(outcome, Failed)
    assert outcome.code == "too_large"


def test_a_private_place_is_denied() -> None:
    call = call_of("http", {"url": "http://169.254.169.254/latest"}, {})
    outcome = HttpKind(Client()).call(call, Context())

    assert isinstance(outcome, Failed)
    assert (outcome.code, outcome.retryable) == ("egress_denied", False)


def test_a_write_that_was_redirected_to_a_private_place_is_unknown() -> None:
    outcome = answering(says(answer(b"", "303 See Other", location="http://10.0.0.1/")), method="POST", effect="write")

    assert isinstance(outcome, OutcomeUnknown)


# Saving


@pytest.mark.parametrize(
    ("config", "pointer"),
    [
        ({}, "/url"),
        ({"url": 5}, "/url"),
        ({"url": "https://{host}/"}, "/url"),
        ({"url": "https://example.com/", "method": "BREW"}, "/method"),
        ({"url": "https://example.com/", "method": "get"}, "/method"),
        ({"url": "https://example.com/", "verb": "GET"}, "/verb"),
        ({"url": "https://example.com/", "method": "POST", "body": {}}, "/body"),
        ({"url": "https://example.com/", "method": "POST", "body": "xml"}, "/body"),
        ({"url": "https://example.com/", "method": "POST", "body": "form"}, ""),
        ({"url": "https://example.com/", "body": "form"}, "/body"),
        ({"url": "https://example.com/", "headers": []}, ""),
        ({"url": "https://example.com/", "headers": [1]}, "/headers"),
        ({"url": "https://example.com/", "headers": {"Host": "x"}}, "/headers/Host"),
        ({"url": "https://example.com/", "headers": {"A/B~": "x"}}, "/headers/A~1B~0"),
        ({"url": "https://example.com/", "headers": {"A": 1}}, "/headers/A"),
        ({"url": "https://example.com/", "headers": {"A": "x\ny"}}, "/headers/A"),
        ({"url": "https://example.com/", "headers": {"A": "secret:"}}, "/headers/A"),
        ({"url": "https://example.com/", "headers": {"A": "a b secret:x"}}, "/headers/A"),
        ({"url": "https://example.com/", "headers": {"Idempotency-Key": "1"}}, "/headers/Idempotency-Key"),
    ],
)
def test_a_fault_in_the_block_is_pointed_at(config: dict[str, Any], pointer: str) -> None:
    found = HttpKind(Client()).problems(call_of("http", config).definition)

    assert [problem.pointer for problem in found] == ([pointer] if pointer else [])


def test_nothing_is_sent_for_a_run_that_another_worker_has(seen: Seen) -> None:
    kind = HttpKind(Client(frozenset({("127.0.0.1", seen.port)})))
    call = call_of("http", {"method": "POST", "url": seen.url}, {}, effect="write")

    with pytest.raises(NoLongerOurs):
        kind.call(call, Context(lost=True))

    assert seen.requests == []
