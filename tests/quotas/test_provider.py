"""What the supplier takes at once: never more, whoever calls, and nothing stays taken."""

import json
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.db import connection

from db import embedded, session
from db.pool import Connection
from quotas import provider
from quotas.models import ModelCall
from quotas.provider import Gate
from tests.ops.processes import eventually

PROCESSES = 4
THREADS = 16


class Witness(socketserver.BaseRequestHandler):
    """The supplier: sees how many calls are in the air."""

    lock = threading.Lock()
    now = most = 0

    def handle(self) -> None:
        """Count the call from its beginning to its end."""
        with self.lock:
            Witness.now += 1
            Witness.most = max(Witness.most, Witness.now)
        self.request.sendall(b"x")
        self.request.recv(1)
        with self.lock:
            Witness.now -= 1
        self.request.sendall(b"x")


@pytest.fixture
def witness() -> Iterator[int]:
    """Serve one; its port."""
    Witness.now = Witness.most = 0
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Witness) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.fixture
def gate(database: None) -> Iterator[Gate]:
    """A gate of this process with three places and 1000 tokens; what was counted before is gone."""
    ModelCall.objects.all().delete()
    with connection.cursor() as cursor:  # the session of the test before may not have ended yet at the server
        cursor.execute(
            "SELECT pg_advisory_lock(%(places)s, n), pg_advisory_unlock(%(places)s, n) FROM generate_series(0, 2) AS n",
            {"places": provider.PLACES},
        )
    made = Gate(concurrency=3, tokens=1000)
    yield made
    made.close()


@contextmanager
def calling(environment: dict[str, str], **said: Any) -> Iterator["subprocess.Popen[str]"]:
    """Run a process of `tests.quotas.calling`."""
    command = [sys.executable, "-m", "tests.quotas.calling", json.dumps(said)]
    path = f"{settings.BASE_DIR}:{settings.BASE_DIR / 'platform'}"
    with subprocess.Popen(
        command, env=environment | {"PYTHONPATH": path}, cwd=settings.BASE_DIR, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def results(environment: dict[str, str], **said: Any) -> list[int]:
    """Run several processes of several threads at once, and return what each made."""
    with ExitStack() as running:
        processes = [running.enter_context(calling(environment, **said)) for _ in range(PROCESSES)]
        return [int(process.communicate()[0]) for process in processes]


def test_64_threads_of_4_processes_never_have_more_calls_in_the_air(
    witness: int, gate: Gate, process_environment: dict[str, str]
) -> None:
    made = results(
        process_environment, do="call", gate={"concurrency": 5, "tokens": 0}, threads=THREADS, calls=10, port=witness
    )

    assert made == [THREADS * 10] * PROCESSES
    assert 1 < Witness.most <= 5


def test_64_threads_of_4_processes_never_use_more_tokens(gate: Gate, process_environment: dict[str, str]) -> None:
    made = results(
        process_environment, do="charge", gate={"concurrency": 0, "tokens": 3000}, threads=THREADS, tokens=100
    )

    assert sum(made) == 30


def test_a_killed_worker_leaves_its_places(gate: Gate, process_environment: dict[str, str]) -> None:
    said = {"concurrency": 3, "tokens": 0}
    with calling(process_environment, do="hold", gate=said, places=4, tokens=0) as holder:
        assert holder.stdout is not None
        assert [holder.stdout.readline() for _ in range(4)] == ["True\n", "True\n", "True\n", "False\n"]
        assert gate.enter() is None
        holder.kill()
        assert eventually(lambda: gate.enter() is not None)


def test_what_a_killed_worker_might_have_used_counts_for_a_window_and_no_longer(
    gate: Gate, process_environment: dict[str, str]
) -> None:
    said = {"concurrency": 0, "tokens": 1000}
    brief = Gate(concurrency=0, tokens=1000, window_s=0.2)
    with calling(process_environment, do="hold", gate=said, places=1, tokens=1000) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "True\n"
        assert charge(brief, 1) > 0
        holder.kill()
    assert eventually(lambda: charge(brief, 1) == 0)
    brief.close()


def charge(gate: Gate, tokens: int) -> float:
    """Return what somebody is told who wants to make a call of so many tokens; 0: it was made."""
    place = gate.enter()
    if place is None:
        return gate.wait_s()
    wait_s = place.charge(tokens)
    place.leave(tokens)
    return wait_s


def test_what_was_not_used_is_free_again(gate: Gate) -> None:
    place = gate.enter()
    assert place is not None
    assert place.charge(900) == 0
    place.leave(100)

    assert charge(gate, 900) == 0


def test_who_is_told_to_wait_is_told_how_long(gate: Gate) -> None:
    assert charge(gate, 800) == 0
    first = charge(gate, 201)

    assert 0 < first <= provider.WINDOW_S
    assert gate.enter() is None  # nobody else need ask meanwhile
    assert 0 < gate.wait_s() <= provider.WINDOW_S


def test_a_call_larger_than_the_limit_goes_alone(gate: Gate) -> None:
    assert charge(gate, 5000) == 0
    assert charge(gate, 1) > 0


def test_places_are_given_back_once(gate: Gate) -> None:
    places = [gate.enter() for _ in range(3)]
    assert None not in places
    assert gate.enter() is None
    for _ in range(2):
        places[0].leave()  # type: ignore[union-attr]

    assert gate.enter() is not None
    assert gate.enter() is None


def test_places_outlive_the_session_that_they_were_taken_in(
    gate: Gate, embedded_server: embedded.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Gate(concurrency=3, tokens=0)
    held = [gate.enter() for _ in range(3)]
    cut_sessions(embedded_server)
    with pytest.raises(psycopg.OperationalError):
        gate.enter()

    assert gate.enter() is None  # it is not its own any more, so it took them anew
    assert other.enter() is None

    held[0].leave()  # type: ignore[union-attr]
    assert other.enter() is not None
    other.close()


def test_nobody_gets_a_new_place_while_others_may_not_have_taken_theirs_anew(
    gate: Gate, embedded_server: embedded.Server
) -> None:
    assert gate.enter() is not None
    cut_sessions(embedded_server)
    with pytest.raises(psycopg.OperationalError):
        gate.enter()

    assert gate.enter() is None
    assert gate.wait_s() > 0


def test_a_call_that_ends_while_the_database_is_away_is_no_failure(
    gate: Gate, embedded_server: embedded.Server
) -> None:
    place = gate.enter()
    assert place is not None
    assert place.charge(10) == 0
    cut_sessions(embedded_server)

    place.leave(10)


def test_who_waits_for_a_place_hears_of_one_that_came_free_while_the_database_is_away(
    gate: Gate, embedded_server: embedded.Server
) -> None:
    freed = []
    gate.freed = lambda: freed.append(1)
    for cut in (False, True):
        place = gate.enter()
        assert place is not None
        if cut:
            cut_sessions(embedded_server)
        place.leave()
    assert len(freed) == 2


def test_a_call_that_ends_while_the_database_is_away_gives_its_place_back(
    gate: Gate, embedded_server: embedded.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider, "QUIET_S", 0.0)
    places = [gate.enter() for _ in range(3)]
    for place in places:
        assert place is not None
        assert place.charge(10) == 0
    cut_sessions(embedded_server)
    places[0].leave(10)  # type: ignore[union-attr]

    assert gate.enter() is not None
    assert gate.enter() is None


def test_nobody_to_tell_of_a_place_that_came_free_is_no_failure_of_the_call(gate: Gate) -> None:
    def no_thread() -> None:
        raise RuntimeError("can't start new thread")

    gate.freed = no_thread
    places = [gate.enter() for _ in range(3)]

    places[0].leave()  # type: ignore[union-attr]

    assert gate.enter() is not None


def test_a_session_that_cannot_take_its_places_anew_is_closed(
    gate: Gate, embedded_server: embedded.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = gate.enter()
    assert place is not None
    cut_sessions(embedded_server)
    with pytest.raises(psycopg.OperationalError):
        gate.enter()
    made: list[Connection] = []
    connect = session.connect

    def noted() -> Connection:
        made.append(connect())
        return made[-1]

    monkeypatch.setattr(session, "connect", noted)
    with monkeypatch.context() as patched:
        patched.setattr(provider, "_RETAKE", "SELECT 1 / 0 -- %s %s")
        with pytest.raises(psycopg.errors.DivisionByZero):
            gate.enter()

    assert [each.closed for each in made] == [True]
    assert gate.enter() is None  # by a new one, and not before the others may have taken theirs anew
    assert [each.closed for each in made] == [True, False]


def cut_sessions(server: embedded.Server) -> None:
    """End every connection to this run's database."""
    database = str(connection.settings_dict["NAME"])
    with psycopg.connect(server.dsn(database=database), autocommit=True) as superuser:
        superuser.execute(
            "SELECT pg_terminate_backend(l.pid) FROM pg_locks l JOIN pg_database d ON d.oid = l.database "
            "WHERE d.datname = %s AND l.locktype = 'advisory' AND l.classid = %s",
            [database, provider.PLACES],
        )
