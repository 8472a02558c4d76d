"""Redirects: every hop is checked anew, and nothing secret crosses origins."""

import socket

import pytest

from egress.client import Client
from egress.errors import EgressDenied, EgressError, EgressFailed
from egress.messages import Request
from egress.redirects import Hop, after
from egress.urls import parse
from tests.egress.servers import Handler, Seen, answer, says, serve

SECRETS = {"Authorization": "Bearer t0ken", "X-Api-Key": "t0ken", "Cookie": "t0ken", "Idempotency-Key": "t0ken"}


def redirect(location: str, status: str = "302 Found") -> Handler:
    return says(answer(b"", status, location=location))


def to(path: str, status: str) -> Handler:
    def handler(sock: socket.socket, request: bytes, nth: int) -> None:
        sock.sendall(answer(b"", status, location=path) if nth == 1 else answer(b"there"))

    return handler


def client_for(*servers: Seen) -> Client:
    return Client(frozenset(("127.0.0.1", seen.port) for seen in servers))


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://2130706433/",
        "http://127.1/",
        "http://0x7f000001/",
        "http://[::ffff:127.0.0.1]/",
        "http://[64:ff9b::7f00:1]/",
        "http://localhost:1/",
        "http://user@127.0.0.1/",
        "//10.0.0.1/x",
        "file:///etc/passwd",
        "gopher://127.0.0.1:6379/_x",
        "http://\\127.0.0.1/",
        "http://example.com\\@127.0.0.1/",
    ],
)
def test_a_redirect_to_a_forbidden_place_is_denied(location: str) -> None:
    with serve(redirect(location)) as seen, pytest.raises(EgressDenied) as denied:
        client_for(seen).send(Request("GET", seen.url))

    assert denied.value.sent
    assert len(seen.requests) == 1


def test_a_redirect_to_an_unlisted_port_is_denied() -> None:
    with serve(says(answer(b"inside"))) as inside, serve(redirect(inside.url)) as seen, pytest.raises(EgressDenied):
        client_for(seen).send(Request("GET", seen.url))

    assert inside.connections == 0


def test_a_redirect_on_the_same_origin_keeps_the_headers() -> None:
    with serve(to("/b?c", "302 Found")) as seen:
        response = client_for(seen).send(Request("GET", f"{seen.url}/a", headers=SECRETS))

    assert (response.body, response.url) == (b"there", f"{seen.url}/b?c")
    assert seen.requests[1].startswith(b"GET /b?c ")
    assert seen.requests[1].count(b"t0ken") == 4


def test_a_redirect_to_another_origin_loses_every_header_of_the_caller() -> None:
    with serve(says(answer(b"there"))) as other, serve(redirect(other.url, "307 Temporary Redirect")) as seen:
        response = client_for(seen, other).send(Request("GET", seen.url, headers=SECRETS))

    assert response.body == b"there"
    assert b"t0ken" not in other.requests[0]


@pytest.mark.parametrize("status", ["307 Temporary Redirect", "308 Permanent Redirect"])
def test_307_and_308_repeat_method_and_body_on_the_same_origin(status: str) -> None:
    with serve(to("/b", status)) as seen:
        client_for(seen).send(Request("POST", seen.url, body=b"payload"))

    assert seen.requests[1].startswith(b"POST /b ")
    assert seen.requests[1].endswith(b"payload")


@pytest.mark.parametrize("status", ["307 Temporary Redirect", "308 Permanent Redirect"])
def test_307_and_308_never_carry_a_body_to_another_origin(status: str) -> None:
    with (
        serve(says(answer())) as other,
        serve(redirect(other.url, status)) as seen,
        pytest.raises(EgressDenied) as denied,
    ):
        client_for(seen, other).send(Request("POST", seen.url, body=b"payload"))

    assert denied.value.sent
    assert other.connections == 0


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other"])
def test_301_302_and_303_turn_a_post_into_a_get_without_body(status: str) -> None:
    with serve(to("/b", status)) as seen:
        client_for(seen).send(Request("POST", seen.url, body=b"payload", headers=SECRETS))

    assert seen.requests[1].startswith(b"GET /b ")
    assert b"payload" not in seen.requests[1]
    assert b"Idempotency-Key" not in seen.requests[1]


def test_redirects_without_end_are_given_up() -> None:
    with serve(redirect("/again")) as seen, pytest.raises(EgressFailed) as failed:
        client_for(seen).send(Request("GET", seen.url, max_redirects=3))

    assert failed.value.sent
    assert len(seen.requests) == 4


def test_a_redirect_is_handed_back_when_none_is_followed() -> None:
    with serve(redirect("/b")) as seen:
        assert client_for(seen).send(Request("GET", seen.url, max_redirects=0)).status == 302


@pytest.mark.parametrize("location", ["", "http://[::1", "http://["])
def test_a_redirect_that_leads_nowhere_fails(location: str) -> None:
    with serve(redirect(location)) as seen, pytest.raises(EgressError):
        client_for(seen).send(Request("GET", seen.url))


def test_nothing_is_redirected_from_https_to_http() -> None:
    with pytest.raises(EgressDenied):
        after(Hop("GET", parse("https://example.com/"), {}, None), 302, "http://example.com/")


def test_a_location_in_raw_utf8_is_percent_encoded() -> None:
    hop = after(Hop("GET", parse("https://example.com/"), {}, None), 302, "/b\u00fccher a".encode().decode("latin-1"))

    assert hop.url.target == "/b%C3%BCcher%20a"
