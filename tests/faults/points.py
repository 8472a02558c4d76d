"""Kill points: every SQL statement and commit that a process makes, and the calls that it makes outside, by name.

A first run counts them: each is told as it is passed. In a later one the process kills itself at one of them, or
stops. A name says which (`lease 2: after step #1`), and is the same in each run of the same script.

All SQL goes one of three ways: `db.trip`, whose pipeline is driven here one statement at a time, so that a process can
die between two statements of one implicit transaction; psycopg's cursors, the ORM's included; psycopg's own BEGIN,
COMMIT and savepoints.
"""

import os
import re
import select
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol
from unittest import mock

import psycopg
from django.core.signals import request_started
from psycopg import pq
from psycopg.errors import InvalidSqlStatementName

from agents.engine import toolbox
from agents.engine.driver import Driver
from agents.engine.temporal.hands import Hands
from agents.providers.claude import ClaudeProvider
from agents.tools.breaker import Breakers
from agents.tools.perform import perform as perform_tool
from db import trip
from db.pool import Connection

#: Names that Django makes up for savepoints; they hold the thread's number.
_SAVEPOINT: Final = re.compile(r"s\d+_x\d+")

#: Threads that drive no run: they open connections, hand in counters, do chores, send webhooks, every so many seconds.
_BESIDE: Final = ("pool-", "totals", "chores", "webhook")

#: Of this thread: whether its last claim found nothing (`empty`), and whether it does what the clock asks (`beside`).
_local = threading.local()


def _is_beside() -> bool:
    """Whether what this thread does now is no point: it comes at any place of a run, by the clock."""
    return threading.current_thread().name.startswith(_BESIDE) or getattr(_local, "beside", False)


class Place(Protocol):
    """Says what a point is called where it is passed."""

    def name(self, point: str) -> str | None:
        """Return the point's whole name, or None where it is none."""

    def claimed(self, got: bool) -> None:
        """This thread asked for a run to claim."""


@dataclass(frozen=True)
class Plan:
    """What to do at points. tell: is told of each. die_at, freeze_at: names of points to be killed or stopped at.

    Of a stop, and of each time that a thread lets go of the run, tell is told when there is a freeze_at.
    """

    tell: Callable[[Any], None]
    count: bool = False
    die_at: str | None = None
    freeze_at: str | None = None


class Points:
    """The points of one process."""

    def __init__(self, place: Place, plan: Plan) -> None:
        self.place, self._plan = place, plan

    @property
    def stops(self) -> bool:
        """Whether the process stops somewhere, with all of its threads, wherever they are."""
        return self._plan.freeze_at is not None

    def at(self, point: str) -> None:
        """Pass a point."""
        name = self.place.name(point)
        if name is None:
            return
        if self._plan.count:
            self._plan.tell(name)
        if name == self._plan.die_at:
            os.kill(os.getpid(), signal.SIGKILL)
            while True:  # it takes effect when the kernel says so
                time.sleep(1)
        if name == self._plan.freeze_at:
            self._plan.tell("frozen")
            # To this thread: what the process gets, its main thread takes, and this one goes on until that has the CPU.
            signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)

    @contextmanager
    def around(self, what: str) -> Iterator[None]:
        """Pass the points before and after."""
        self.at(f"before {what}")
        yield
        self.at(f"after {what}")


class OfWorker:
    """A worker with one run to drive: `lease N` counts its claims of it, and names are numbered within each.

    What it does to look for work happens any number of times, so only the first is a point; and it is none while
    another of its threads drives the run, whose own points say where that one was.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lease = 0
        self._driving: set[int] = set()
        self._seen: Counter[str] = Counter()

    def name(self, point: str) -> str | None:
        thread = threading.current_thread()
        if _is_beside():
            return None
        with self._lock:
            if thread is threading.main_thread():
                return self._first(f"loop: {point}")
            looking = thread.name.startswith("run") and thread.ident not in self._driving
            if looking:
                idle = not self._driving and not getattr(_local, "empty", False)
                return self._first(f"claim {self._lease + 1}: {point}") if idle else None
            name = f"lease {self._lease}: {point}"
            self._seen[name] += 1
            return f"{name} #{self._seen[name]}"

    def _first(self, name: str) -> str | None:
        self._seen[name] += 1
        return name if self._seen[name] == 1 else None

    def claimed(self, got: bool) -> None:
        _local.empty = not got
        if got:
            with self._lock:
                self._lease += 1
                self._driving.add(threading.get_ident())

    def let_go(self) -> bool:
        """This thread is done with the run, or found none; says which."""
        _local.empty = False
        with self._lock:
            had = threading.get_ident() in self._driving
            self._driving.discard(threading.get_ident())
            return had


class OfTemporalWorker(OfWorker):
    """A worker of Temporal with one run to drive: it has the run from a claim until it lets go of it."""

    def name(self, point: str) -> str | None:
        thread = threading.current_thread().name
        if _is_beside():
            return None
        with self._lock:
            if thread.startswith(("take-up", "step", "tool")) and self._driving:
                name = f"lease {self._lease}: {point}"
                self._seen[name] += 1
                return f"{name} #{self._seen[name]}"
            kind = f"claim {self._lease + 1}" if thread.startswith("take-up") else "loop"
            return self._first(f"{kind}: {point}")

    def let_go(self) -> bool:
        with self._lock:
            had = bool(self._driving)
            self._driving.clear()
            return had


class OfWeb:
    """A web server that gets one request: all SQL after the request's arrival."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked = False
        self._seen: Counter[str] = Counter()
        request_started.connect(self._arrived)

    def _arrived(self, **_: Any) -> None:
        self._asked = True

    def name(self, point: str) -> str | None:
        if not self._asked or threading.current_thread().name.startswith("pool-"):
            return None
        with self._lock:
            self._seen[point] += 1
            return f"request: {point} #{self._seen[point]}"

    def claimed(self, got: bool) -> None:
        """Web servers claim nothing."""


def of_worker(plan: Plan) -> None:
    """Have this process, which is a worker, do so at its points."""
    place = OfWorker()
    points = Points(place, plan)
    _watch_sql(points)
    _watch_calls(points)
    drives = Driver._claim_and_drive

    def claim_and_drive(*arguments: Any) -> None:
        try:
            drives(*arguments)
        finally:
            if place.let_go() and plan.freeze_at is not None:
                plan.tell("let go")

    _replace(Driver, "_claim_and_drive", claim_and_drive)


def of_temporal_worker(plan: Plan) -> None:
    """Have this process, which is a worker of Temporal, do so at its points."""
    place = OfTemporalWorker()
    points = Points(place, plan)
    _watch_sql(points)
    _watch_calls(points)
    takes_up, lets_go = Hands.take_up, Hands._let_go

    def take_up(*arguments: Any, **more: Any) -> Any:
        try:
            return takes_up(*arguments, **more)
        except BaseException:  # it was lost before it came into the hands
            _is_let_go()
            raise

    def let_go(*arguments: Any) -> None:
        lets_go(*arguments)
        _is_let_go()

    def _is_let_go() -> None:
        if place.let_go() and plan.freeze_at is not None:
            plan.tell("let go")

    _replace(Hands, "take_up", take_up)
    _replace(Hands, "_let_go", let_go)


def of_web(plan: Plan) -> None:
    """Have this process, which is a web server, do so at its points."""
    _watch_sql(Points(OfWeb(), plan))


def _replace(where: Any, name: str, function: Any) -> None:
    """Put a function in another's place, for the life of this process."""
    mock.patch.object(where, name, function).start()


# --- where the points are -------------------------------------------------------------------------------------------


def _watch_calls(points: Points) -> None:
    answers, performs = ClaudeProvider.answer, perform_tool

    def answer(*arguments: Any, **more: Any) -> Any:
        with points.around("the model's call"):
            return answers(*arguments, **more)

    def perform(call: Any, *arguments: Any, **more: Any) -> Any:
        with points.around(f"the call of {call.definition.name}"):
            return performs(call, *arguments, **more)

    _replace(ClaudeProvider, "answer", answer)
    _replace(toolbox, "perform", perform)
    _look_once(Breakers._look)


def _look_once(looks: Callable[[Breakers], None]) -> None:
    """Have the first look at the breakers be points, which each process takes at its first call; the others it takes
    when a second has passed, if the run lasts so long."""
    taken = threading.Event()

    def look(breakers: Breakers) -> None:
        _local.beside = taken.is_set()
        try:
            looks(breakers)
            taken.set()
        finally:
            _local.beside = False

    _replace(Breakers, "_look", look)


def _watch_sql(points: Points) -> None:
    executes, commands = psycopg.Cursor.execute, psycopg.Connection._exec_command

    def execute(cursor: Any, query: Any, *arguments: Any, **more: Any) -> Any:
        if not query:  # the pool tries whether a connection still lives
            return executes(cursor, query, *arguments, **more)
        with points.around(_short(query, cursor.connection)):
            return executes(cursor, query, *arguments, **more)

    def exec_command(connection: Any, command: Any, *arguments: Any, **more: Any) -> Any:
        with points.around(_short(command, connection)):
            return (yield from commands(connection, command, *arguments, **more))

    _replace(psycopg.Cursor, "execute", execute)
    _replace(psycopg.Connection, "_exec_command", exec_command)
    _replace(trip, "_exchange", partial(_at_once if points.stops else _exchange, points, trip._exchange))


def _short(query: Any, connection: Any) -> str:
    if hasattr(query, "as_string"):
        query = query.as_string(connection)
    text = query.decode() if isinstance(query, bytes) else str(query)
    return _SAVEPOINT.sub("savepoint", " ".join(text.split()))[:100]


_Calls = Sequence[tuple[trip.Statement, Sequence[bytes | None]]]


def _at_once(points: Points, exchange: Any, connection: Connection, calls: _Calls) -> list[pq.abc.PGresult]:
    """Do `exchange` between two points. A process that stops has sent the whole of a pipeline: it goes out at once."""
    names, after = _named(connection, calls)
    points.at(f"before {names[0]}")
    results: list[pq.abc.PGresult] = exchange(connection, calls)
    for name, result in zip(names, results, strict=True):
        _see(points, name, result)
    points.at(after)
    return results


def _named(connection: Connection, calls: _Calls) -> tuple[list[str], str]:
    """Return the statements' names, and the name of the point after them."""
    names = [called.name.decode().removeprefix("trip_") for called, _ in calls]
    is_whole = connection.pgconn.transaction_status == pq.TransactionStatus.IDLE and names[0] != "begin"
    return names, f"after the commit of {names[-1]}" if is_whole else f"after {names[-1]}"


def _see(points: Points, name: str, result: pq.abc.PGresult) -> None:
    if name.startswith("claim"):
        points.place.claimed(result.ntuples > 0)


def _exchange(points: Points, _: Any, connection: Connection, calls: _Calls) -> list[pq.abc.PGresult]:
    """Do what `trip._exchange` does, waiting for each statement's result before the next one is sent.

    Points on the way are those at which the connection breaks when not all has been sent: `within, after …`.
    """
    wire, ready = connection.pgconn, trip._prepared.setdefault(connection, set())
    names, after = _named(connection, calls)
    points.at(f"before {names[0]}")
    results: list[pq.abc.PGresult] = []
    wire.enter_pipeline_mode()
    try:
        for name, (called, values) in zip(names, calls, strict=True):
            if called.name not in ready:
                wire.send_prepare(called.name, called.sql)
                results.append(_result(wire))
                if results[-1].status != pq.ExecStatus.COMMAND_OK:
                    break
                ready.add(called.name)
                results.pop()
            wire.send_query_prepared(called.name, values)
            results.append(_result(wire))
            if results[-1].status == pq.ExecStatus.FATAL_ERROR:
                break
            _see(points, name, results[-1])
            points.at(f"within, after {name}")
        wire.pipeline_sync()
        trip._send(wire)
        trip._receive(wire)
    finally:
        if wire.status == pq.ConnStatus.OK:
            wire.exit_pipeline_mode()
    error = trip._error(connection, results)
    if isinstance(error, InvalidSqlStatementName):
        ready.clear()
    if error is not None:
        raise error
    points.at(after)
    return results


def _result(wire: pq.abc.PGconn) -> pq.abc.PGresult:
    """Have the server answer at once, and return the result of the one statement that is under way."""
    wire.send_flush_request()
    trip._send(wire)
    poll = select.poll()
    poll.register(wire.socket, select.POLLIN)
    while wire.is_busy():
        poll.poll()
        wire.consume_input()
    result = wire.get_result()
    if result is None:
        raise psycopg.OperationalError("the connection to the database broke")
    while wire.get_result() is not None:
        pass
    return result
