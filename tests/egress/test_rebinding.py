"""Names that change their mind, with a live name server: one question a hop, and only what was checked is called."""

import socket

import pytest

from egress.client import Client
from egress.errors import EgressDenied, EgressError, EgressFailed
from egress.messages import Request
from tests.egress.names import name_server
from tests.egress.servers import answer, says, serve

PUBLIC, INSIDE = "93.184.215.14", "127.0.0.1"


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Every TCP connection that is attempted; those to the outside are refused here rather than made."""
    attempts: list[tuple[str, int]] = []
    connect = socket.socket.connect

    def spy(self: socket.socket, address: tuple[str, int]) -> None:
        if self.type == socket.SOCK_STREAM:
            attempts.append(address[:2])
            if address[0] != INSIDE:
                raise ConnectionRefusedError
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", spy)
    return attempts


def test_a_name_that_turns_inward_after_the_check_leads_nowhere(called: list[tuple[str, int]]) -> None:
    with (
        serve(says(answer(b"inside"))) as trap,
        name_server(lambda name, nth: [PUBLIC] if nth == 0 else [INSIDE]) as names,
    ):
        client = Client(resolver=names.resolve)
        with pytest.raises(EgressFailed):
            client.send(Request("GET", f"http://rebind.example:{trap.port}/"))

    assert names.asked == ["rebind.example"]
    assert called == [(PUBLIC, trap.port)]
    assert trap.connections == 0


@pytest.mark.parametrize("turns", range(1, 5))
def test_however_often_it_turns_nothing_inside_is_called(called: list[tuple[str, int]], turns: int) -> None:
    with (
        serve(says(answer(b"inside"))) as trap,
        name_server(lambda name, nth: [PUBLIC] if nth % turns == 0 else [INSIDE]) as names,
    ):
        client = Client(resolver=names.resolve)
        for _ in range(12):
            with pytest.raises(EgressError):
                client.send(Request("GET", f"http://rebind.example:{trap.port}/"))

    assert len(names.asked) == 12
    assert {place for place, _ in called} == {PUBLIC}
    assert trap.connections == 0


@pytest.mark.parametrize(
    "answers",
    [
        [PUBLIC, INSIDE],
        [INSIDE, PUBLIC],
        [PUBLIC, "10.0.0.1"],
        [PUBLIC, "::1"],
        [PUBLIC, "64:ff9b::7f00:1"],
        ["intranet.example.", "192.168.0.1"],
        ["www.example.", "cdn.example.", "169.254.169.254"],
    ],
)
def test_an_answer_that_leads_inside_as_well_or_by_an_alias_is_denied(
    called: list[tuple[str, int]], answers: list[str]
) -> None:
    """All of them: whoever answers so could answer with the private one alone the next time."""
    with (
        serve(says(answer(b"inside"))) as trap,
        name_server(lambda name, nth: answers) as names,
        pytest.raises(EgressDenied),
    ):
        Client(resolver=names.resolve).send(Request("GET", f"http://mixed.example:{trap.port}/"))

    assert called == []
    assert trap.connections == 0


def test_an_alias_of_a_public_place_is_called_there(called: list[tuple[str, int]]) -> None:
    with name_server(lambda name, nth: ["www.example.", PUBLIC]) as names, pytest.raises(EgressFailed):
        Client(resolver=names.resolve).send(Request("GET", "https://alias.example/"))

    assert called == [(PUBLIC, 443)]


def test_each_hop_of_a_redirect_is_resolved_and_checked_by_itself(called: list[tuple[str, int]]) -> None:
    """The name was public for the first hop; the server there sends the client back to it, and it is no more."""
    with serve(says(answer(b"inside"))) as trap:
        again = f"http://rebind.example:{trap.port}/again"
        with (
            serve(says(answer(b"", "302 Found", location=again))) as front,
            name_server(lambda name, nth: [INSIDE]) as names,
        ):
            client = Client(frozenset({("front.example", front.port)}), resolver=names.resolve)
            with pytest.raises(EgressDenied) as denied:
                client.send(Request("GET", f"http://front.example:{front.port}/"))

    assert denied.value.sent
    assert names.asked == ["front.example", "rebind.example"]
    assert called == [(INSIDE, front.port)]
    assert trap.connections == 0


def test_a_name_with_a_thousand_addresses_is_not_called_at_all_of_them(called: list[tuple[str, int]]) -> None:
    many = [f"93.184.{each}.14" for each in range(200)]
    with name_server(lambda name, nth: many) as names, pytest.raises(EgressFailed):
        Client(resolver=names.resolve).send(Request("GET", "http://many.example/"))

    assert len(called) == 8
