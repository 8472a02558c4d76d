"""How a call proves who makes it: credentials from the vault, on the wire and nowhere else."""

import base64
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest

from agents.core.document import tool_problems
from agents.tools.http import tokens as module
from agents.tools.http.kind import HttpKind
from agents.tools.http.tokens import TokenError, Tokens
from agents.tools.perform import perform
from agents.tools.seam import Failed, Finished, Outcome, OutcomeUnknown
from egress.client import Client
from tests.agents.tools.contexts import TENANT, Context, call_of
from tests.agents.tools.http.tokens import JSON, Endpoint, endpoint, field_of
from tests.egress.servers import Seen, answer, says, serve
from tests.ports import free_port

SECRET = "s3cret+/hunter: 2"
URL = "https://crm.example/"
OAUTH = {
    "type": "oauth_client_credentials",
    "token_url": "https://id.example/token",
    "client_id": "desk",
    "secret": "s",
}


@pytest.fixture
def served() -> Iterator[Endpoint]:
    with endpoint() as made:
        yield made


def kind_for(*servers: Seen) -> HttpKind:
    return HttpKind(Client(frozenset(("127.0.0.1", seen.port) for seen in servers)))


def oauth(made: Endpoint, **more: Any) -> dict[str, Any]:
    return {**OAUTH, "token_url": f"{made.seen.url}/token", **more}


def ask(kind: HttpKind, url: str, auth: dict[str, Any], context: Context | None = None, **spec: Any) -> Outcome:
    config = {"method": spec.pop("method", "GET"), "url": url, "auth": auth}
    call = call_of("http", config, {}, **spec)
    assert kind.problems(call.definition) == []
    return perform(call, context or Context(secrets={"s": SECRET}), registry={"http": kind}, sleep=lambda seconds: None)


# Kept secrets


@pytest.mark.parametrize(
    ("auth", "header", "value"),
    [
        ({"type": "bearer", "secret": "s"}, b"authorization", f"Bearer {SECRET}"),
        (
            {"type": "basic", "username": "ada", "secret": "s"},
            b"authorization",
            "Basic " + base64.b64encode(f"ada:{SECRET}".encode()).decode(),
        ),
        ({"type": "header", "name": "X-Api-Key", "secret": "s"}, b"x-api-key", SECRET),
    ],
)
def test_a_kept_secret_goes_into_its_header_and_never_comes_back(
    auth: dict[str, Any], header: bytes, value: str
) -> None:
    def echo(sock: socket.socket, request: bytes, nth: int) -> None:
        sock.sendall(answer(request))

    with serve(echo) as seen:
        outcome = ask(kind_for(seen), seen.url, auth)

    assert field_of(seen.requests[0], header) == value
    assert isinstance(outcome, Finished)
    assert "[redacted]" in outcome.result
    assert value not in outcome.result
    assert SECRET not in outcome.result


@pytest.mark.parametrize("auth", [{"type": "bearer", "secret": "s"}, OAUTH])
def test_a_secret_that_is_not_set_is_named_and_nothing_is_sent(auth: dict[str, Any]) -> None:
    with serve(says(answer(b""))) as seen:
        outcome = ask(kind_for(seen), seen.url, auth, Context())

    assert outcome == Failed("misconfigured", "The tool needs the secret s, which is not set.")
    assert seen.connections == 0


@pytest.mark.parametrize(
    "auth",
    [
        {"type": "bearer", "secret": "s"},
        {"type": "basic", "username": "ada", "secret": "s"},
        {"type": "header", "name": "X-Api-Key", "secret": "s"},
        OAUTH,
    ],
)
def test_another_site_that_the_call_is_redirected_to_gets_no_credentials(
    served: Endpoint, auth: dict[str, Any]
) -> None:
    auth = oauth(served) if auth is OAUTH else auth
    places: list[int] = []

    def elsewhere(sock: socket.socket, request: bytes, nth: int) -> None:
        sock.sendall(answer(b"", "302 Found", location=f"http://127.0.0.1:{places[0]}/"))

    with serve(elsewhere) as first, serve(says(answer(b"here"))) as other:
        places.append(other.port)
        outcome = ask(kind_for(first, other, served.seen), first.url, auth)

    name = b"x-api-key" if auth["type"] == "header" else b"authorization"
    assert outcome == Finished("here")
    assert field_of(first.requests[0], name)
    assert field_of(other.requests[0], name) == ""


# Client credentials


@pytest.mark.parametrize(
    ("block", "form"),
    [
        ({}, {}),
        ({"client_auth": "basic", "scope": "read write"}, {"scope": "read write"}),
        ({"client_auth": "body", "audience": "https://crm.example"}, {"audience": "https://crm.example"}),
        ({"client_id": "désk:1 %"}, {}),
    ],
)
def test_a_token_is_asked_for_as_the_standard_has_it(
    served: Endpoint, block: dict[str, str], form: dict[str, str]
) -> None:
    auth = oauth(served, **block)
    outcome = ask(kind_for(served.seen), served.seen.url, auth)

    assert outcome == Finished({"status": "200 OK"})
    assert served.forms == [{"grant_type": "client_credentials", "client": (auth["client_id"], SECRET), **form}]
    assert served.calls == ["Bearer access-token-number-1"]


def test_many_calls_at_once_and_after_each_other_share_one_token(served: Endpoint) -> None:
    kind, auth = kind_for(served.seen), oauth(served)
    served.go.clear()
    with ThreadPoolExecutor(20) as pool:
        asked = [pool.submit(ask, kind, served.seen.url, auth) for _ in range(20)]
        served.go.set()
        outcomes = [each.result() for each in asked]
    outcomes.append(ask(kind, served.seen.url, auth))

    assert outcomes == [Finished({"status": "200 OK"})] * 21
    assert len(served.forms) == 1


@pytest.mark.parametrize(
    ("lifetime", "until"),
    [(3600, 3570.0), ("3600", 3570.0), (40, 30.0), (None, 270.0), (10**9, 24 * 3600.0 - 30)],
)
def test_a_token_is_used_until_shortly_before_it_expires(served: Endpoint, lifetime: Any, until: float) -> None:
    now, served.lifetime = [100.0], lifetime
    tokens = Tokens(Client(frozenset({("127.0.0.1", served.seen.port)})), clock=lambda: now[0])

    first = token_of(tokens, served)
    now[0] += until - 0.5
    assert token_of(tokens, served) == first
    now[0] += 0.5
    assert token_of(tokens, served) != first


@pytest.mark.parametrize("lifetime", [0, -5, "soon", True, [], float("inf")])
def test_a_token_without_a_life_to_speak_of_is_used_once(served: Endpoint, lifetime: Any) -> None:
    served.lifetime = lifetime
    tokens = Tokens(Client(frozenset({("127.0.0.1", served.seen.port)})))

    assert [token_of(tokens, served), token_of(tokens, served)] == ["access-token-number-1", "access-token-number-2"]


def test_another_secret_another_tenant_or_another_scope_has_a_token_of_its_own(served: Endpoint) -> None:
    kind, auth = kind_for(served.seen), oauth(served)
    for context in (
        Context(secrets={"s": SECRET}),
        Context(secrets={"s": "rotated-since"}),
        Context(secrets={"s": SECRET}, tenant_id=UUID(int=9)),
    ):
        ask(kind, served.seen.url, auth, context)
    ask(kind, served.seen.url, oauth(served, scope="write"))

    assert [form["client"][1] for form in served.forms] == [SECRET, "rotated-since", SECRET, SECRET]


def test_the_number_of_kept_tokens_is_bounded(served: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_TOKENS", 2)
    tokens = Tokens(Client(frozenset({("127.0.0.1", served.seen.port)})))
    for scope in ("a", "b", "c"):
        token_of(tokens, served, scope=scope)
    token_of(tokens, served, scope="c")
    assert len(served.forms) == 3
    token_of(tokens, served, scope="a")
    assert [form["scope"] for form in served.forms] == ["a", "b", "c", "a"]


def token_of(tokens: Tokens, served: Endpoint, **more: Any) -> str:
    block = oauth(served, **more)
    return tokens.get(tokens.key(TENANT, block, SECRET), block, SECRET, time.monotonic() + 20)


def test_a_token_that_is_refused_is_fetched_anew_once(served: Endpoint) -> None:
    kind, auth = kind_for(served.seen), oauth(served)
    ask(kind, served.seen.url, auth)
    served.good = set()  # the interface has forgotten it

    assert ask(kind, served.seen.url, auth) == Finished({"status": "200 OK"})
    assert [each[-1] for each in served.calls] == ["1", "1", "2"]


def test_an_interface_that_refuses_every_token_is_asked_twice_and_no_more() -> None:
    with endpoint() as served, serve(says(answer(b"no", "401 Unauthorized"))) as other:
        outcome = ask(kind_for(served.seen, other), other.url, oauth(served), attempts=5)

    assert outcome == Failed("http_status", "HTTP 401: no")
    assert len(other.requests) == len(served.forms) == 2


def test_a_write_that_may_not_be_repeated_is_not_even_for_a_new_token(served: Endpoint) -> None:
    kind, auth = kind_for(served.seen), oauth(served)
    ask(kind, served.seen.url, auth)
    served.good = set()

    refused = ask(kind, served.seen.url, auth, method="POST", effect="write")
    assert isinstance(refused, Failed)
    assert len(served.calls) == 2
    again = ask(kind, served.seen.url, auth, method="POST", effect="write")
    assert again == Finished({"status": "200 OK"})
    assert [each[-1] for each in served.calls] == ["1", "1", "2"]


# A token endpoint that does not give one


def html(status: str) -> bytes:
    return answer(b"<html><b>Log in</b></html>", status, content_type="text/html")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            answer(b'{"error": "invalid_client", "error_description": "No such client"}', "401 X", **JSON),
            "answered HTTP 401: invalid_client (No such client).",
        ),
        (answer(b'{"error": "invalid_scope"}', "400 X", **JSON), "answered HTTP 400: invalid_scope."),
        (answer(b'{"error": 7}', "400 X", **JSON), "answered HTTP 400 without saying why in JSON."),
        (html("200 OK"), "answered no JSON object (text/html)."),
        (html("503 X"), "answered HTTP 503 without saying why in JSON."),
        (answer(b"[" * 100_000, **JSON), "answered no JSON object (application/json)."),
        (answer(b"[]", **JSON), "answered no JSON object (application/json)."),
        (answer(b"{}", **JSON), "answered without a usable access_token."),
        (answer(b'{"access_token": "a\\r\\nX: y"}', **JSON), "answered without a usable access_token."),
        (answer(b'{"access_token": ["a"]}', **JSON), "answered without a usable access_token."),
        (answer(b'{"access_token": "a", "token_type": "mac"}', **JSON), "gives tokens of another type than bearer."),
        (
            answer(b"", "307 X", location="http://127.0.0.1:1/"),
            "redirects, which is not followed; write the address it is at now.",
        ),
        (answer(b"x" * 300_000, **JSON), "The answer is larger than 262144 bytes."),
    ],
)
def test_what_is_wrong_with_a_token_endpoint_is_told_and_no_call_is_made(
    served: Endpoint, said: bytes, told: str
) -> None:
    served.answers = [said]
    outcome = ask(kind_for(served.seen), served.seen.url, oauth(served), method="POST", effect="irreversible")

    assert isinstance(outcome, Failed)
    assert (outcome.code, outcome.maybe_done, served.calls) == ("auth_failed", False, [])
    assert outcome.message.startswith("No access token: ")
    assert outcome.message.endswith(told)


def test_a_failure_to_get_a_token_is_not_kept(served: Endpoint) -> None:
    kind, auth = kind_for(served.seen), oauth(served)
    served.answers = [html("500 X")]

    assert isinstance(ask(kind, served.seen.url, auth), Failed)
    assert ask(kind, served.seen.url, auth) == Finished({"status": "200 OK"})


def test_an_endpoint_in_passing_trouble_is_asked_again_where_retries_says_so(served: Endpoint) -> None:
    served.answers = [html("503 X"), html("502 X")]

    assert ask(kind_for(served.seen), served.seen.url, oauth(served), attempts=3) == Finished({"status": "200 OK"})


def test_an_endpoint_that_hangs_takes_no_more_than_the_calls_own_time(served: Endpoint) -> None:
    served.go.clear()
    kind, auth = kind_for(served.seen), oauth(served)
    with ThreadPoolExecutor(5) as pool:
        spec: dict[str, Any] = {"method": "POST", "effect": "write", "timeout_s": 0.5}
        asked = [pool.submit(ask, kind, served.seen.url, auth, **spec) for _ in range(5)]
        outcomes = [each.result() for each in asked]

    assert {(each.code, each.maybe_done) for each in outcomes if isinstance(each, Failed)} == {("timeout", False)}
    assert len(outcomes) == 5
    assert not any(isinstance(each, OutcomeUnknown) for each in outcomes)
    assert served.calls == []


@pytest.mark.parametrize("place", ["127.0.0.1", "169.254.169.254"])
def test_an_endpoint_within_the_network_is_not_asked(place: str) -> None:
    with serve(says(answer(b""))) as seen:
        auth = {**OAUTH, "token_url": f"http://{place}:{free_port()}/token"}
        outcome = ask(kind_for(seen), seen.url, auth)

    assert isinstance(outcome, Failed)
    assert outcome.code == "egress_denied"
    assert seen.connections == 0


def repeats_the_request(sock: socket.socket, request: bytes, nth: int) -> None:
    said = {"error": "invalid_client", "error_description": request.decode("latin-1")}
    sock.sendall(answer(json.dumps(said).encode(), "400 X", **JSON))


@pytest.mark.parametrize("client_auth", ["basic", "body"])
def test_an_endpoint_that_repeats_what_it_was_sent_tells_no_secret(client_auth: str) -> None:
    with serve(repeats_the_request) as seen:
        auth = {**OAUTH, "token_url": f"{seen.url}/token", "client_auth": client_auth}
        outcome = ask(kind_for(seen), seen.url, auth)

    assert isinstance(outcome, Failed)
    assert "[redacted]" in outcome.message
    written = SECRET.replace(" ", "+"), base64.b64encode(b"desk:" + SECRET.encode()).decode()
    for form in (SECRET, *written, base64.b64encode(b"desk:s3cret%2B%2Fhunter%3A+2").decode()):
        assert form not in outcome.message


@pytest.mark.parametrize("status", ["200 OK", "500 X"])
def test_an_interface_that_repeats_what_it_was_sent_tells_no_token(served: Endpoint, status: str) -> None:
    def echo(sock: socket.socket, request: bytes, nth: int) -> None:
        sock.sendall(answer(request, status))

    context = Context(secrets={"s": SECRET})
    with serve(echo) as other:
        kind = kind_for(served.seen, other)
        told = [str(ask(kind, other.url, oauth(served), context)) for _ in range(2)]

    assert b"access-token-number-1" in other.requests[1]
    for each in told:  # the second one had it from the first
        assert "access-token" not in each
        assert "Bearer [redacted]" in each
    assert "access-token-number-1" in context.concealed


def test_whoever_waits_for_a_fetch_that_fails_is_told_why_or_fetches(served: Endpoint) -> None:
    tokens = Tokens(Client(frozenset({("127.0.0.1", served.seen.port)})))
    block = oauth(served)
    key = tokens.key(TENANT, block, SECRET)
    served.go.clear()
    begun = threading.Event()

    def hurried() -> str:
        begun.set()
        return tokens.get(key, block, SECRET, time.monotonic() + 0.5)

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(hurried)
        begun.wait(20)
        second = pool.submit(tokens.get, key, block, SECRET, time.monotonic() + 20)
        with pytest.raises(TokenError):
            first.result()
        served.go.set()
        assert second.result().startswith("access-token-number-")


# Saving


@pytest.mark.parametrize(
    ("auth", "pointers"),
    [
        ("bearer", ["/auth"]),
        ({}, ["/auth/type"]),
        ({"type": ["bearer"]}, ["/auth/type"]),
        ({"type": "digest", "secret": "s"}, ["/auth/type"]),
        ({"type": "bearer"}, ["/auth"]),
        ({"type": "bearer", "secret": "no name"}, ["/auth/secret"]),
        ({"type": "bearer", "secret": 7}, ["/auth/secret"]),
        ({"type": "bearer", "secret": "s", "username": "ada"}, ["/auth/username"]),
        ({"type": "basic", "secret": "s"}, ["/auth"]),
        ({"type": "basic", "username": "a:b", "secret": "s"}, ["/auth/username"]),
        ({"type": "header", "name": "Host", "secret": "s"}, ["/auth/name"]),
        ({"type": "header", "name": "Idempotency-Key", "secret": "s"}, ["/auth/name"]),
        ({"type": "header", "name": "a b", "secret": "s"}, ["/auth/name"]),
        ({"type": "header", "name": "X-TWICE", "secret": "s"}, ["/headers/X-Twice"]),
        ({**OAUTH, "token_url": "ftp://id.example/"}, ["/auth/token_url"]),
        ({**OAUTH, "token_url": "https://id.example/{tenant}"}, ["/auth/token_url"]),
        ({**OAUTH, "token_url": "https://ada:pw@id.example/"}, ["/auth/token_url"]),
        ({**OAUTH, "token_url": "https://id.example/#x"}, ["/auth/token_url"]),
        ({**OAUTH, "client_id": ""}, ["/auth/client_id"]),
        ({**OAUTH, "scope": "a  b"}, ["/auth/scope"]),
        ({**OAUTH, "audience": "a\nb"}, ["/auth/audience"]),
        ({**OAUTH, "client_auth": "jwt"}, ["/auth/client_auth"]),
        ({**OAUTH, "scope": "a", "audience": "b", "client_auth": "body"}, []),
    ],
)
def test_a_fault_in_the_block_is_pointed_at(auth: Any, pointers: list[str]) -> None:
    config = {"url": URL, "headers": {"X-Twice": "x"}, "auth": auth}
    found = HttpKind(Client()).problems(call_of("http", config).definition)

    assert [problem.pointer for problem in found] == pointers


@pytest.mark.parametrize(
    ("auth", "pointers"),
    [
        (OAUTH, []),
        ({"type": "bearer", "secret": "s"}, []),
        ({"type": "bearer", "secret": "secret:s"}, ["/http/auth/secret"] * 2),
        ({**OAUTH, "client_id": "secret:s"}, ["/http/auth/client_id"]),
    ],
)
def test_a_document_holds_the_names_of_secrets_and_nothing_more(auth: dict[str, Any], pointers: list[str]) -> None:
    spec = {"description": "Fetch.", "type": "http", "http": {"url": URL, "auth": auth}}
    found = tool_problems("fetch", spec, kinds={"http": HttpKind(Client())}, tools={})

    assert [problem.pointer for problem in found] == pointers
