"""Connections to data sources are looked after, each by itself: none takes in more than it may."""

import errno
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from agents.tools.seam import Finished, Outcome
from agents.tools.sql import bounded
from tests.agents.tools.sql.test_postgresql import failed, perform

READY = b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I"
GIGABYTE = (1 << 30).to_bytes(4, "big")
IN_HELLO = b"R\0\0\0\x08\0\0\0\0N" + GIGABYTE
IN_ANSWER = READY + b"D" + GIGABYTE


@dataclass
class Flood:
    """A server that answers with a message of a gigabyte. sent: bytes of it that were taken."""

    port: int
    sent: int = 0

    def ask(self) -> Outcome:
        """Query it as a data source."""
        return perform(self.port, "SELECT 1", url=f"postgresql://reader@127.0.0.1:{self.port}/shop", timeout_s=60)


@contextmanager
def flooding(hello: bytes) -> Iterator[Flood]:
    """Serve one client, who gets `hello` and then as much as it takes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        flood = Flood(listener.getsockname()[1])

        def serve() -> None:
            sock, _ = listener.accept()
            with sock:
                assert len(sock.recv(8)) == 8  # asks for TLS
                sock.sendall(b"N")
                sock.recv(65536)
                try:
                    sock.sendall(hello)
                    while flood.sent < 1 << 30:
                        flood.sent += sock.send(bytes(1 << 20))
                except OSError:
                    return  # the client had enough

        serving = threading.Thread(target=serve)
        serving.start()
        yield flood
        serving.join()


@pytest.mark.parametrize(("hello", "code"), [(IN_HELLO, "unreachable"), (IN_ANSWER, "too_large")])
def test_a_message_of_a_gigabyte_is_not_taken_in(hello: bytes, code: str) -> None:
    with flooding(hello) as flood:
        assert failed(flood.ask()).code == code
    assert flood.sent < 128 << 20


@pytest.fixture
def uncounted(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """Ports of servers for whose connections the system does not say how much was received."""
    ports: set[int] = set()
    received = bounded._received

    def count(sock: socket.socket) -> int:
        if sock.getpeername()[1] in ports:
            raise OSError(errno.ENOPROTOOPT, "Protocol not available")
        return received(sock)

    monkeypatch.setattr(bounded, "_received", count)
    return ports


def test_a_connection_that_cannot_be_counted_is_cut(uncounted: set[int], caplog: pytest.LogCaptureFixture) -> None:
    with flooding(IN_ANSWER) as flood:
        uncounted.add(flood.port)
        assert failed(flood.ask()).code == "unreachable"
    assert flood.sent < 128 << 20
    assert "A data source's connection is cut" in caplog.text


def test_the_others_are_looked_after_all_the_same(postgresql: int, uncounted: set[int]) -> None:
    told: list[Outcome] = []
    with flooding(IN_ANSWER) as first, flooding(IN_ANSWER) as second:
        uncounted.add(first.port)
        asking = [threading.Thread(target=lambda f=flood: told.append(f.ask())) for flood in (first, second)]
        for each in asking:
            each.start()
        for each in asking:
            each.join()
    assert sorted(failed(each).code for each in told) == ["too_large", "unreachable"]
    assert second.sent < 128 << 20

    with flooding(IN_ANSWER) as third:  # nor is the watch gone since
        assert failed(third.ask()).code == "too_large"
    assert third.sent < 128 << 20
    assert isinstance(perform(postgresql, "SELECT 1"), Finished)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_the_watch_begins_anew_when_its_thread_was_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    def die(_: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patched, flooding(IN_ANSWER) as flood:
        patched.setattr(bounded._Watched, "look", die)
        dying = threading.Thread(target=flood.ask)
        dying.start()
        while any(thread.name == "sql-watch" for thread in threading.enumerate()) or not flood.sent:
            threading.Event().wait(0.01)
        patched.undo()
        with flooding(IN_ANSWER) as next_one:
            assert failed(next_one.ask()).code == "too_large"
        dying.join()
    assert next_one.sent < 128 << 20
