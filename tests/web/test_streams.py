"""A real server that keeps few streams open: the next one is refused, and any that ends makes room for another."""

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from urllib.parse import urlsplit
from uuid import UUID

import pytest
from django.conf import settings

from tenants.models import Role
from tests.api.conftest import caller
from tests.console import journals
from tests.console.conftest import peopled, signed_in
from tests.worlds import World

#: Generous bound on how long the server may take to notice that a client has gone.
PATIENCE_S = 60.0

Headers = dict[str, str]


@pytest.fixture(scope="module")
def narrow(process_environment: dict[str, str]) -> Iterator[str]:
    """The address of a server with room for two streams of a key, three of a person and four of a tenant."""
    command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "web", "--port", "0"]
    few = {"STREAMS_KEY": "2", "STREAMS_USER": "3", "STREAMS_TENANT": "4"}
    with subprocess.Popen(command, env=process_environment | few, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().split()[1]
        process.terminate()


@pytest.fixture
def acme(database: None) -> World:
    """A tenant whose people can sign in, and have keys."""
    return peopled()


@pytest.fixture
def run(acme: World) -> UUID:
    """A run under way."""
    started = acme.submit("refund-desk", {"order": "88213"}).id
    journals.begin(acme, started)
    return started


@contextmanager
def asked(server: str, path: str, headers: Headers) -> Iterator[http.client.HTTPResponse]:
    """Ask for a stream, and hang up at the end of the block."""
    parts = urlsplit(server)
    with closing(http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=PATIENCE_S)) as connection:
        connection.request("GET", path, headers={"Accept": "text/event-stream", **headers})
        with closing(connection.getresponse()) as answer:
            yield answer


def by_key(world: World, role: Role | None = None) -> Headers:
    """Return a new key of Alice's, or of another member's."""
    who = world.member(f"p{role}", role) if role else world.alice
    return {"Authorization": f"Bearer {caller(world, who).key}"}


def by_session(world: World) -> Headers:
    """Return a new session of Alice's."""
    return {"Cookie": "; ".join(f"{key}={each.value}" for key, each in signed_in(world, "alice").cookies.items())}


def comes_in(server: str, path: str, headers: Headers) -> bool:
    """Say whether a stream is let in before long."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        with asked(server, path, headers) as answer:
            if answer.status == 200:
                return True
        time.sleep(0.05)
    return False


def test_streams_of_events_are_counted_while_they_are_open(narrow: str, acme: World, run: UUID) -> None:
    path = f"/api/v1/runs/{run}/stream?after=2"
    first, second = by_key(acme), by_key(acme)
    with ExitStack() as held:
        hung_up = ExitStack()
        assert hung_up.enter_context(asked(narrow, path, first)).status == 200
        for headers in (first, second):
            assert held.enter_context(asked(narrow, path, headers)).status == 200
        refusals = {}
        for headers in (first, second):
            with asked(narrow, path, headers) as answer:
                refusals[str(answer.headers["RateLimit"])] = (answer.status, json.loads(answer.read())["code"])
                assert answer.headers["Content-Type"] == "application/problem+json"
                assert int(answer.headers["Retry-After"]) >= 1
        assert refusals == dict.fromkeys(
            ('"streams-key";r=0;t=10', '"streams-user";r=0;t=10'), (429, "too_many_streams")
        )
        assert held.enter_context(asked(narrow, path, by_key(acme, Role.OPERATOR))).status == 200
        with asked(narrow, path, by_key(acme, Role.OWNER)) as answer:
            assert (answer.status, answer.headers["RateLimit"]) == (429, '"streams-tenant";r=0;t=10')

        hung_up.close()
        assert comes_in(narrow, path, first)


def test_a_stream_that_ends_with_its_run_makes_room(narrow: str, acme: World, run: UUID) -> None:
    path, headers = f"/api/v1/runs/{run}/stream?after=2", by_key(acme)
    with asked(narrow, path, headers) as one, asked(narrow, path, headers) as two:
        journals.complete(acme, run, {"decision": "approve"})
        assert b"event: end\n" in one.read()
        assert b"event: end\n" in two.read()
        assert comes_in(narrow, path, headers)


def test_live_pages_are_counted_with_them(narrow: str, acme: World, run: UUID) -> None:
    page, path = f"/{acme.slug}/runs/{run}/live/?after=2", f"/api/v1/runs/{run}/stream?after=2"
    session = by_session(acme)
    with ExitStack() as held:
        for _ in range(2):
            hung_up = held.enter_context(asked(narrow, page, session))
            assert hung_up.status == 200
        with asked(narrow, page, session) as answer:
            assert answer.status == 429
            assert int(answer.headers["Retry-After"]) >= 1
        assert held.enter_context(asked(narrow, path, by_key(acme))).status == 200
        for address, headers in ((page, by_session(acme)), (path, by_key(acme))):
            with asked(narrow, address, headers) as answer:
                assert answer.status == 429
    assert comes_in(narrow, page, session)


def test_what_nobody_may_see_takes_no_place(narrow: str, acme: World, run: UUID) -> None:
    headers = by_key(acme)
    for _ in range(4):
        with asked(narrow, f"/api/v1/runs/{acme.tenant_id}/stream", headers) as answer:
            assert answer.status == 404
        with asked(narrow, f"/api/v1/runs/{run}/stream?after=x", headers) as answer:
            assert answer.status == 422
    with asked(narrow, f"/api/v1/runs/{run}/stream", headers) as answer:
        assert answer.status == 200
