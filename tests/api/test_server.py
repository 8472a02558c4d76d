"""What only a real server shows: bodies as they arrive, and streams as they go out."""

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest
from django.conf import settings
from django.db import connection

from agents.actions.runs import cancel
from agents.engine.driver import Driver
from api import streams
from tests.api.conftest import Caller, start
from tests.worlds import LOOKUP, World
from web.body_limit import DISCARDED

Server = tuple[str, int]

PATIENCE_S = 30

IN_TRANSACTION = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'"
)


@contextmanager
def connected(server: Server) -> Iterator[http.client.HTTPConnection]:
    """Connect to the server."""
    client = http.client.HTTPConnection(*server, timeout=PATIENCE_S)
    try:
        yield client
    finally:
        client.close()


def headers(caller: Caller, **more: str) -> dict[str, str]:
    """Return the headers of a call with a JSON body."""
    return {"Authorization": f"Bearer {caller.key}", "Content-Type": "application/json", **more}


def test_a_large_body_is_refused_by_its_length_alone(server: Server, alice: Caller) -> None:
    with connected(server) as client:
        client.putrequest("POST", "/api/v1/runs")
        for name, value in headers(alice, Content_Length=str(10**15)).items():
            client.putheader(name.replace("_", "-"), value)
        client.endheaders()
        # As much as is read and thrown away: the answer comes before the end that never comes.
        client.send(b" " * (settings.MAX_BODY_BYTES + DISCARDED + 1))
        assert client.getresponse().status == 413


@pytest.mark.parametrize("size", [settings.MAX_BODY_BYTES + 1, settings.MAX_BODY_BYTES + DISCARDED // 2])
def test_a_body_that_is_too_large_gets_its_problem(server: Server, alice: Caller, size: int) -> None:
    for chunked in (False, True):
        body = (b" " * 50_000 for _ in range(size // 50_000 + 1)) if chunked else b" " * size
        with connected(server) as client:
            client.request("POST", "/api/v1/runs", body, headers(alice), encode_chunked=chunked)
            answer = client.getresponse()
            problem = json.loads(answer.read())

        assert (answer.status, problem["code"]) == (413, "body_too_large")
        assert answer.headers["Content-Type"] == "application/problem+json"


def test_a_chunked_body_within_the_limit_is_read(server: Server, alice: Caller, echo: str) -> None:
    body = json.dumps({"agent": echo, "input": {"key": "a" * 100_000}}).encode()
    pieces = (body[at : at + 1000] for at in range(0, len(body), 1000))
    with connected(server) as client:
        client.request("POST", "/api/v1/runs", pieces, headers(alice), encode_chunked=True)
        answer = client.getresponse()

        assert answer.status == 202
        assert json.loads(answer.read())["agent"] == echo


Event = dict[str, Any]


@contextmanager
def streaming(server: Server, caller: Caller, run: UUID, query: str = "", **more: str) -> Iterator[Iterator[Event]]:
    """Follow a run; yields its messages as `{id, event, data}`."""
    named = {name.replace("_", "-"): value for name, value in more.items()}
    with connected(server) as client:
        client.request("GET", f"/api/v1/runs/{run}/stream{query}", headers={**headers(caller), **named})
        answer = client.getresponse()
        assert answer.status == 200, answer.read()
        assert answer.headers["Content-Type"] == "text/event-stream"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Accel-Buffering"] == "no"
        yield messages(answer)


def messages(answer: http.client.HTTPResponse) -> Iterator[Event]:
    """Read server-sent events until the end."""
    message: Event = {}
    for line in answer:
        name, _, value = line.decode().rstrip("\n").partition(": ")
        if name in ("id", "event"):
            message[name] = value
        elif name == "data":
            message["data"] = json.loads(value)
        elif not name and "data" in message:
            yield message
            message = {}


def test_a_stream_tells_each_event_once_in_order_and_ends(
    server: Server, acme: World, alice: Caller, driver: Driver
) -> None:
    acme.define("looker", role="You look keys up.", tool_specs={"lookup": LOOKUP})
    run = start(alice, "looker", input={"a": "1", "b": "2"})

    with streaming(server, alice, run) as told:
        *events, end = told

    assert end == {"event": "end", "data": {"status": "completed"}}
    assert [event["id"] for event in events] == [str(event["data"]["seq"]) for event in events]
    assert [event["data"] for event in events] == alice.get(f"runs/{run}/events").json["results"]
    assert [event["data"]["seq"] for event in events] == list(range(1, len(events) + 1))


@pytest.mark.parametrize(
    ("query", "more"), [("?after=3", {}), ("", {"Last_Event_ID": "3"}), ("?after=9", {"Last_Event_ID": "3"})]
)
def test_a_stream_goes_on_where_it_broke(
    server: Server, acme: World, alice: Caller, driver: Driver, query: str, more: dict[str, str]
) -> None:
    acme.define("looker", role="You look keys up.", tool_specs={"lookup": LOOKUP})
    run = start(alice, "looker", input={"a": "1", "b": "2"})
    with streaming(server, alice, run) as told:
        whole = list(told)

    with streaming(server, alice, run, query, **more) as told:
        rest = list(told)

    assert rest == whole[3:]


def test_a_stream_tells_what_happens_while_it_waits(server: Server, acme: World, alice: Caller, echo: str) -> None:
    run = start(alice, echo)
    with streaming(server, alice, run) as told:
        assert next(told)["data"]["type"] == "run.submitted"
        cancel(run, acting_as=acme.alice)
        assert next(told)["data"]["type"] == "run.cancel_requested"


def test_a_viewers_stream_is_redacted(server: Server, alice: Caller, bob: Caller, echo: str) -> None:
    run = start(alice, echo)
    with streaming(server, bob, run) as told:
        assert next(told)["data"]["data"]["input"] is None


def test_a_quiet_stream_sends_heartbeats(
    server: Server, alice: Caller, echo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "HEARTBEAT_S", 0.05)
    run = start(alice, echo)
    with connected(server) as client:
        client.request("GET", f"/api/v1/runs/{run}/stream?after=1", headers=headers(alice))
        answer = client.getresponse()
        lines = [answer.readline() for _ in range(6)]

    assert lines == [b"retry: 2000\n", b"\n", b": waiting\n", b"\n", b": waiting\n", b"\n"]


def test_a_stream_ends_when_its_key_is_revoked(
    server: Server, acme: World, alice: Caller, echo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.utils import timezone

    from db.scope import tenant_scope
    from tenants.models import ApiKey

    monkeypatch.setattr(streams, "HEARTBEAT_S", 0.05)
    run = start(alice, echo)
    with streaming(server, alice, run) as told:
        assert next(told)["id"] == "1"
        with tenant_scope(acme.tenant_id):
            ApiKey.objects.update(revoked_at=timezone.now())
        assert list(told) == []


def test_hundreds_watch_without_holding_connections_or_threads(
    server: Server, acme: World, alice: Caller, echo: str
) -> None:
    run = start(alice, echo)
    threads = threading.active_count()
    watchers = [_watch(server, alice, run) for _ in range(300)]
    try:
        for watcher in watchers:
            _read_until(watcher, b'"run.submitted"')
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'"
            )
            assert cursor.fetchone() == (0,)
        assert threading.active_count() < threads + 50
        assert alice.get("runs").status == 200
        cancel(run, acting_as=acme.alice)
        for watcher in watchers:
            _read_until(watcher, b'"run.cancel_requested"')
    finally:
        for watcher in watchers:
            watcher.close()


def _watch(server: Server, caller: Caller, run: UUID) -> socket.socket:
    watcher = socket.create_connection(server, timeout=PATIENCE_S)
    request = f"GET /api/v1/runs/{run}/stream HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {caller.key}\r\n\r\n"
    watcher.sendall(request.encode())
    return watcher


def _read_until(watcher: socket.socket, mark: bytes) -> None:
    seen = b""
    while mark not in seen:
        piece = watcher.recv(65536)
        assert piece, seen
        seen += piece


def test_a_client_that_leaves_is_no_longer_watched_for(server: Server, acme: World, alice: Caller, echo: str) -> None:
    run = start(alice, echo)
    for _ in range(3):
        with streaming(server, alice, run) as told:
            next(told)

    gone = threading.Event()
    for _ in range(300):
        from agents.engine import watch

        if not any(each._waiting for each in watch._watches.values()):
            gone.set()
            break
        threading.Event().wait(0.1)
    assert gone.is_set()


@pytest.mark.parametrize("number", ["-1", "x", "1.5", "99999999999", "1 2"])
def test_a_number_that_is_none_is_refused(alice: Caller, echo: str, number: str) -> None:
    run = start(alice, echo)

    answer = alice.get(f"runs/{run}/stream", Accept="text/event-stream", Last_Event_ID=number)

    assert (answer.status, answer.code) == (400, "bad_header")
