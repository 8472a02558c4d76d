"""Every answer tells the browser what it may do with it, whoever made the answer."""

import re
from collections.abc import Callable
from uuid import UUID

import pytest
from django.conf import settings
from django.test import Client
from pytest_django import Settings

from tests.api.conftest import Caller, start
from tests.console.conftest import peopled, signed_in
from tests.web.conftest import Raw, Served
from web import headers

ALWAYS = {
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": headers.PERMISSIONS_POLICY,
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}

Ask = Callable[[Served, Caller, UUID], Raw]


def get(path: str, **more: str) -> Ask:
    return lambda served, caller, run: served.ask("GET", path, **more)


def api(method: str, path: str, body: bytes | None = None) -> Ask:
    return lambda served, caller, run: served.ask(
        method,
        f"/api/v1/{path}",
        body,
        Authorization=f"Bearer {caller.key}",
        Content_Type="application/json",
        Accept="application/json",
    )


def cancelled_stream(served: Served, caller: Caller, run: UUID) -> Raw:
    api("POST", f"runs/{run}/cancel")(served, caller, run)
    path = f"/api/v1/runs/{run}/stream?after=1"
    with served.connect() as wire:
        wire.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {caller.key}\r\n\r\n".encode())
        head = b""
        while b"\r\n\r\n" not in head:
            head += wire.recv(4096)
    first, *lines = head.partition(b"\r\n\r\n")[0].decode().split("\r\n")
    named = (line.split(": ", 1) for line in lines)
    return Raw(int(first.split()[1]), {name.lower(): value for name, value in named}, b"")


def head_without_end(served: Served, caller: Caller, run: UUID) -> Raw:
    # At once: whoever still sends when the server has closed the connection reads no answer.
    return served.say(b"GET / HTTP/1.1\r\nHost: localhost\r\n" + (b"X: " + b"a" * 1000 + b"\r\n") * 40)


def no_request(served: Served, caller: Caller, run: UUID) -> Raw:
    return served.say(b"HELLO\r\n\r\n")


ANSWERS: dict[str, tuple[int, Ask]] = {
    "page": (200, get("/accounts/login/")),
    "page not there": (404, get("/nobody/nothing/at/all/")),
    "another host": (400, get("/", Host="evil.example")),
    "redirect": (302, get("/")),
    "admin": (302, get("/admin/")),
    "static file": (200, get("/static/console/css/base.css")),
    "static file not there": (404, get("/static/nothing.css")),
    "probe": (200, get("/healthz")),
    "schema": (200, get("/api/schema")),
    "page of the interface": (200, get("/api/docs")),
    "interface": (200, api("GET", "runs")),
    "started": (202, api("POST", "runs", b'{"agent": "echo", "input": {"key": "a"}}')),
    "no key": (401, get("/api/v1/runs")),
    "not found": (404, api("GET", "runs/x")),
    "another method": (405, api("PATCH", "runs")),
    "malformed": (400, api("POST", "runs", b"{")),
    "too large": (413, api("POST", "runs", b" " * (settings.MAX_BODY_BYTES + 1))),
    "stream": (200, cancelled_stream),
    "no token": (403, lambda served, caller, run: served.ask("POST", "/theme/", b"theme=dark")),
    "report": (415, lambda served, caller, run: served.ask("POST", settings.REPORTING_PATH, b"{}")),
    "no request": (400, no_request),
    "head too large": (431, head_without_end),
}


@pytest.mark.parametrize("kind", ANSWERS)
def test_it_carries_the_headers(kind: str, served: Served, alice: Caller, echo: str) -> None:
    status, ask = ANSWERS[kind]

    answer = ask(served, alice, start(alice))

    assert answer.status == status, answer.body
    assert answer.headers | ALWAYS == answer.headers
    assert "server" not in answer.headers
    assert "x-powered-by" not in answer.headers
    assert "strict-transport-security" not in answer.headers  # production alone is reached over TLS
    policy = answer.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert "base-uri 'none'" in policy
    if kind != "static file":
        assert "no-store" in answer.headers["cache-control"]
    if not answer.headers.get("content-type", "").startswith("text/html"):
        assert policy == headers.NO_PAGE_POLICY


@pytest.mark.parametrize("path", ["/accounts/login/", "/api/docs", "/nobody/"])
def test_a_page_loads_from_here_alone(database: None, path: str) -> None:
    page = Client().get(path)

    directives = dict(each.strip().split(" ", 1) for each in page["Content-Security-Policy"].split(";"))
    none = ("object-src", "base-uri", "frame-ancestors", "frame-src", "worker-src")
    assert {directives[name] for name in none} == {"'none'"}
    assert directives["default-src"] == directives["form-action"] == directives["connect-src"] == "'self'"
    assert re.fullmatch(r"'self'( 'nonce-\S+')?", directives["script-src"])
    assert directives["report-uri"] == settings.REPORTING_PATH
    assert directives["report-to"] == settings.REPORTING_GROUP
    assert page["Reporting-Endpoints"] == 'csp="/csp-reports"'


@pytest.mark.usefixtures("database")
def test_pages_of_those_signed_in_are_kept_by_nobody() -> None:
    acme = peopled()
    client = signed_in(acme, "alice")

    for path in (f"/{acme.slug}/runs/", "/?choose", "/accounts/"):
        page = client.get(path)
        assert page.status_code == 200, path
        assert "no-store" in page["Cache-Control"]


@pytest.mark.parametrize("production", [True, False])
def test_production_promises_tls(production: bool, settings: Settings) -> None:
    settings.SECURE_HSTS_SECONDS = 31_536_000 if production else 0

    promised = headers.always().get("Strict-Transport-Security")

    assert promised == ("max-age=31536000; includeSubDomains; preload" if production else None)


@pytest.mark.parametrize("path", ["/accounts/login/", "/api/v1/runs", "/nobody/"])
def test_production_answers_over_tls_only_and_promises_to(settings: Settings, path: str) -> None:
    settings.SECURE_SSL_REDIRECT = True
    settings.SECURE_HSTS_SECONDS = 31_536_000
    settings.SECURE_HSTS_INCLUDE_SUBDOMAINS = settings.SECURE_HSTS_PRELOAD = True
    settings.TRUST_PROXY, settings.SECURE_PROXY_SSL_HEADER = 1, ("HTTP_X_FORWARDED_PROTO", "https")

    in_clear = Client().get(path)
    over_tls = Client(headers={"X-Forwarded-Proto": "https"}).get(path)

    assert (in_clear.status_code, in_clear["Location"]) == (301, f"https://testserver{path}")
    assert over_tls.status_code != 301
    assert over_tls["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains; preload"
    assert Client().get("/healthz").status_code == 200
