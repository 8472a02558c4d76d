"""The stream that keeps a run's page up to date, from a real server."""

import http.client
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit
from uuid import UUID

import pytest
from django.conf import settings
from django.test import Client

from agents.core.events import ToolFailed
from tests.console import journals
from tests.console.conftest import signed_in
from tests.worlds import World

Message = dict[str, str]


@contextmanager
def watching(
    server: str, world: World, name: str, address: str, *, last: str | None = None, client: Client | None = None
) -> Iterator[tuple[http.client.HTTPResponse, Iterator[Message]]]:
    """Open a stream as a member; yield the answer and its messages as they come.

    client: the browser, else a new one.
    """
    parts = urlsplit(server)
    cookies = "; ".join(f"{key}={morsel.value}" for key, morsel in (client or signed_in(world, name)).cookies.items())
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=30)
    headers = {"Cookie": cookies, "Accept": "text/event-stream", **({"Last-Event-ID": last} if last else {})}
    connection.request("GET", address, headers=headers)
    answer = connection.getresponse()
    try:
        yield answer, messages(answer)
    finally:
        answer.close()
        connection.close()


def messages(answer: http.client.HTTPResponse) -> Iterator[Message]:
    message: Message = {}
    for raw in answer:
        name, _, value = raw.decode().rstrip("\n").partition(": ")
        if raw == b"\n":
            if "data" in message or "event" in message:
                yield message
            message = {}
        elif name:
            message[name.rstrip(":")] = message.get(name, "") + value + "\n" if name == "data" else value


def rows(message: Message) -> list[int]:
    return [int(number) for number in re.findall(r'id="s-(\d+)"', message["data"])]


@pytest.fixture
def started(acme: World) -> tuple[World, UUID, str]:
    """A run under way, its id and its stream."""
    run = acme.submit("refund-desk", {"order": "88213"})
    journals.begin(acme, run.id)
    return acme, run.id, f"/{acme.slug}/runs/{run.id}/live/"


def test_new_steps_arrive_and_open_ones_are_replaced(web_server: str, started: tuple[World, UUID, str]) -> None:
    world, run, stream = started
    with watching(web_server, world, "alice", f"{stream}?after=2") as (answer, arriving):
        assert answer.headers["Content-Type"] == "text/event-stream"
        assert answer.headers["Cache-Control"] == "no-store"
        journals.append(world, run, journals.ask_model(1))
        first = next(arriving)
        journals.append(world, run, journals.model_answers(1, []))
        second = next(arriving)
    assert (first["id"], rows(first)) == ("3", [3])
    assert "running" in first["data"]
    assert (second["id"], rows(second)) == ("4", [3])
    assert "3.0k" in second["data"]


def test_stream_goes_on_where_the_browser_left_off(web_server: str, started: tuple[World, UUID, str]) -> None:
    world, run, stream = started
    for turn in (1, 2, 3):
        journals.append(world, run, journals.ask_model(turn), journals.model_answers(turn, []))
    with watching(web_server, world, "alice", f"{stream}?after=0", last="5") as (_, arriving):
        message = next(arriving)
    assert (message["id"], rows(message)) == ("8", [5, 7])


def test_stream_ends_with_the_run(web_server: str, started: tuple[World, UUID, str]) -> None:
    world, run, stream = started
    journals.complete(world, run, {"decision": "approve"})
    with watching(web_server, world, "alice", f"{stream}?after=2") as (_, arriving):
        told = list(arriving)
    assert [message["event"] for message in told] == ["changed", "end"]
    assert 'id="run-status"' in told[0]["data"]
    assert "Completed" in told[0]["data"]


def test_what_ends_is_tried_again_with_the_form_that_arrived(web_server: str, started: tuple[World, UUID, str]) -> None:
    world, run, stream = started
    journals.complete(world, run, {"decision": "approve"})
    client = Client(enforce_csrf_checks=True)
    client.cookies = signed_in(world, "alice").cookies
    client.get(f"/{world.slug}/runs/{run}/")
    with watching(web_server, world, "alice", f"{stream}?after=2", client=client) as (_, arriving):
        data = next(arriving)["data"]
    form = data[data.index(f'action="/{world.slug}/runs/{run}/again/"') :]
    fields = dict(re.findall(r'name="(csrfmiddlewaretoken|key)" value="([^"]+)"', form))
    answer = client.post(f"/{world.slug}/runs/{run}/again/", {**fields, "from": "start"})
    assert answer.status_code == 302, answer.content.decode()


def test_events_view_gets_the_raw_events(web_server: str, started: tuple[World, UUID, str]) -> None:
    world, _, stream = started
    with watching(web_server, world, "alice", f"{stream}?after=1&view=events") as (_, arriving):
        message = next(arriving)
    assert 'id="e-2"' in message["data"]
    assert 'id="e-1"' not in message["data"]


def test_viewer_gets_no_payloads(web_server: str, started: tuple[World, UUID, str]) -> None:
    world, run, stream = started
    failed = ToolFailed(turn=1, call=0, call_id="c", tool="get_order", version=1, code="timeout", error="secret words")
    journals.append(world, run, failed)
    with watching(web_server, world, "bob", f"{stream}?after=2") as (_, arriving):
        assert "secret words" not in next(arriving)["data"]
    with watching(web_server, world, "alice", f"{stream}?after=2") as (_, arriving):
        assert "secret words" in next(arriving)["data"]


def test_lines_of_data_survive_whatever_is_in_them(web_server: str, started: tuple[World, UUID, str]) -> None:
    world, run, stream = started
    failed = ToolFailed(
        turn=1, call=0, call_id="c", tool="get_order", version=1, code="x", error="one\r\n\r\nevent: end\rtwo"
    )
    journals.append(world, run, failed)
    with watching(web_server, world, "alice", f"{stream}?after=2") as (_, arriving):
        assert next(arriving)["event"] == "changed"


@pytest.mark.parametrize("name", ["alice", "bob"])
def test_other_tenants_stream_is_not_there(
    web_server: str, started: tuple[World, UUID, str], globex: World, name: str
) -> None:
    with watching(web_server, globex, name, started[2]) as (answer, _):
        assert answer.status == 404


def test_stranger_gets_no_stream(web_server: str, started: tuple[World, UUID, str]) -> None:
    parts = urlsplit(web_server)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=30)
    connection.request("GET", started[2])
    assert connection.getresponse().status == 401
    connection.close()


def test_member_who_is_removed_stops_seeing(web_server: str, started: tuple[World, UUID, str]) -> None:
    from db.scope import tenant_scope
    from tenants.models import Membership

    world, run, stream = started
    with watching(web_server, world, "rita", f"{stream}?after=2") as (_, arriving):
        journals.append(world, run, journals.ask_model(1))
        assert rows(next(arriving)) == [3]
        with tenant_scope(world.tenant_id):
            Membership.objects.filter(user_id=world.rita.user_id).delete()
        journals.append(world, run, journals.model_answers(1, []))
        assert list(arriving) == []


def test_watching_holds_no_connection_to_the_database(web_server: str, started: tuple[World, UUID, str]) -> None:
    world, run, stream = started
    more_than_the_pool_has = settings.DATABASES["default"]["OPTIONS"]["pool"]["max_size"] + 5
    with ExitStack() as open_streams:
        watched = [
            open_streams.enter_context(watching(web_server, world, "alice", f"{stream}?after=2"))[1]
            for _ in range(more_than_the_pool_has)
        ]
        journals.append(world, run, journals.ask_model(1))
        assert [next(arriving)["id"] for arriving in watched] == ["3"] * more_than_the_pool_has
