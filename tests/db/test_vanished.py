"""A server whose machine is gone says nothing: who waits for it is told within the time that the URL has."""

import ctypes
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

import psycopg
import pytest
from django.db import connection
from django.db.backends.postgresql.base import DatabaseWrapper
from django.db.utils import ConnectionHandler

from config.database import parse_database_url
from db import session, trip
from db.pool import Connection

SHORT = {"keepalives_idle": "1", "keepalives_interval": "1", "keepalives_count": "1", "tcp_user_timeout": "1500"}
PATIENCE_S = 20.0
ASK = trip.statement("test_vanished", "SELECT 1")


@dataclass
class Server:
    """The run's server, reached over TCP by way of a proxy."""

    port: int
    ends: list[socket.socket] = field(default_factory=list)

    def vanish(self) -> None:
        """Drop all that comes from clients, unacknowledged, as when the machine or the way there is gone."""
        drop_all = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0))  # BPF: return 0
        for end in self.ends:
            program = struct.pack("HL", 1, ctypes.addressof(drop_all))
            end.setsockopt(socket.SOL_SOCKET, 26, program)  # SO_ATTACH_FILTER

    def wrapper(self, **parameters: str) -> DatabaseWrapper:
        """The database as an operator's URL with these parameters gives it."""
        ours = connection.get_connection_params()
        login = f"{quote(ours['user'])}:{quote(ours.get('password', ''))}"
        url = f"postgresql://{login}@127.0.0.1:{self.port}/{quote(ours['dbname'])}?{urlencode(parameters)}"
        handler = ConnectionHandler({"default": parse_database_url("DATABASE_URL", url)})
        made = handler["default"]
        assert isinstance(made, DatabaseWrapper)
        return made


@pytest.fixture
def server(database: None) -> Iterator[Server]:
    ours = connection.get_connection_params()
    listener = socket.create_server(("127.0.0.1", 0))
    made = Server(listener.getsockname()[1])
    inner: list[socket.socket] = []

    def pump(source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            return  # the test is over

    def accept() -> None:
        while True:
            try:
                outer, _ = listener.accept()
            except OSError:
                return  # the test is over
            made.ends.append(outer)
            inner.append(socket.socket(socket.AF_UNIX))
            inner[-1].connect(f"{ours['host']}/.s.PGSQL.{ours['port']}")
            for source, sink in ((outer, inner[-1]), (inner[-1], outer)):
                threading.Thread(target=pump, args=(source, sink), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield made
    listener.shutdown(socket.SHUT_RDWR)
    for each in (listener, *made.ends, *inner):
        each.close()


@pytest.fixture
def kept(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:
    """A connection with short times."""
    monkeypatch.setattr(session, "connection", server.wrapper(**SHORT))
    with session.connect() as made:
        yield made


def told(wait: Callable[[], object]) -> float:
    """Return how many seconds it takes until who waits is told."""
    begun = time.monotonic()
    with pytest.raises(psycopg.OperationalError):
        wait()
    return time.monotonic() - begun


def test_a_trip_to_a_server_that_is_gone_breaks(server: Server, kept: Connection) -> None:
    assert trip.make(kept, (ASK, ())) == [[(b"1",)]]
    server.vanish()

    assert told(lambda: trip.make(kept, (ASK, ()))) < PATIENCE_S


def test_so_does_a_query(server: Server, kept: Connection) -> None:
    server.vanish()

    assert told(lambda: kept.execute("SELECT 1")) < PATIENCE_S


def test_who_listens_to_a_server_that_is_gone_is_told(server: Server, kept: Connection) -> None:
    kept.execute("LISTEN nothing")
    server.vanish()

    assert told(lambda: list(kept.notifies(timeout=2 * PATIENCE_S))) < PATIENCE_S


def test_a_server_that_accepts_and_says_nothing_is_given_up(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        server.port = silent.getsockname()[1]
        monkeypatch.setattr(session, "connection", server.wrapper(connect_timeout="2"))

        assert told(session.connect) < PATIENCE_S
