"""A real web process, spoken to byte by byte; and every address there is."""

import http.client
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.urls import URLPattern, URLResolver, get_resolver
from pytest_django import Settings

from api.log import LOG
from quotas import guesses, rates
from tests.api.conftest import acme, alice, bob, echo
from tests.console.conftest import globex

__all__ = ["acme", "alice", "bob", "echo", "globex"]

PATIENCE_S = 60

#: What stands for each kind of variable in an address.
SAMPLES = {"uuid": "6f1e7e36-0000-7000-8000-000000000000", "int": "1", "slug": "nobody", "str": "nothing", "path": "x"}


@dataclass(frozen=True)
class Route:
    """One address of the URLconf. path: with something in each variable's place."""

    path: str
    view: Callable[..., Any]
    name: str


def routes() -> list[Route]:
    """Return every address, in the order they are tried."""
    return list(_walk(get_resolver().url_patterns, ""))


def _walk(patterns: list[URLPattern | URLResolver], before: str) -> Iterator[Route]:
    for each in patterns:
        if isinstance(each, URLResolver):
            yield from _walk(each.url_patterns, before + _sample(each.pattern))
        else:
            path = "/" + before + _sample(each.pattern)
            yield Route(path, each.callback, str(each.name or path))


def _sample(pattern: Any) -> str:
    if hasattr(pattern, "_route"):
        text = str(pattern._route)
        for name, converter in pattern.converters.items():
            kind = type(converter).__name__.removesuffix("Converter").lower().replace("string", "str")
            for written in (f"<{kind}:{name}>", f"<{name}>"):
                text = text.replace(written, SAMPLES[kind])
        assert "<" not in text, text
        return text
    return _REGULAR[pattern._regex]


#: What the few regular expressions match.
_REGULAR = {
    r"^api(?:/|\Z)": "api/nothing",
    rf"^log/{LOG}/checkpoint\Z": f"log/{SAMPLES['uuid']}/checkpoint",
    rf"^log/{LOG}/(?P<path>tile/[0-9a-z/.]{{1,120}})\Z": f"log/{SAMPLES['uuid']}/tile/0/000",
    r"^reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$": "reset/key/1-x/",
    r"(?P<url>.*)$": "nothing",
    r"^(?P<app_label>django_q)/$": "django_q/",
}


@dataclass(frozen=True)
class Raw:
    """What came back on a socket."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Served:
    """A web server to speak to."""

    host: str
    port: int

    def connect(self) -> socket.socket:
        """Open a connection."""
        return socket.create_connection((self.host, self.port), timeout=PATIENCE_S)

    def say(self, *pieces: bytes) -> Raw:
        """Send bytes as they are and read one answer."""
        with self.connect() as wire:
            for piece in pieces:
                wire.sendall(piece)
            return answer_of(wire)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Raw:
        """Make a request in the ordinary way; header names have underscores."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=PATIENCE_S)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, named, encode_chunked=named.get("Transfer-Encoding") == "chunked")
            answer = connection.getresponse()
            return Raw(answer.status, _lowered(answer), answer.read())
        finally:
            connection.close()


def answer_of(wire: socket.socket) -> Raw:
    """Read one answer from a connection."""
    answer = http.client.HTTPResponse(wire)
    answer.begin()
    found = Raw(answer.status, _lowered(answer), answer.read())
    answer.close()
    return found


def _lowered(answer: http.client.HTTPResponse) -> dict[str, str]:
    names = [name.lower() for name, _ in answer.getheaders()]
    assert len(names) == len(set(names)) or names.count("set-cookie") > 1, f"a header stands twice: {names}"
    return {name.lower(): value for name, value in answer.getheaders()}


@pytest.fixture(scope="session")
def served(web_server: str) -> Served:
    """The web process of this run."""
    parts = urlsplit(web_server)
    return Served(str(parts.hostname), int(parts.port or 0))


@pytest.fixture
def limits(settings: Settings) -> Iterator[Callable[..., None]]:
    """Set limits an hour, by policy, from no requests on."""

    def to(**policies: int) -> None:
        settings.RATE_LIMITS = settings.RATE_LIMITS | {name: (number, 3600) for name, number in policies.items()}
        rates.forget()
        guesses.forget()

    to()
    yield to
    rates.forget()
    guesses.forget()
