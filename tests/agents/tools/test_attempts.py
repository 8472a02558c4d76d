"""What a call asks of the platform: it waits for its database, whatever the kind, and gets nothing once it is over."""

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from agents.tools import attempts
from agents.tools.attempts import AWAY_PAUSE_S
from agents.tools.http.kind import HttpKind
from agents.tools.perform import Registry, perform
from agents.tools.python.functions import Functions
from agents.tools.python.kind import PythonKind
from agents.tools.seam import (
    DataSource,
    Failed,
    Finished,
    NoLongerOurs,
    Outcome,
    OutcomeUnknown,
    ToolCall,
    ToolContext,
)
from agents.tools.sql.kind import SqlKind
from egress.client import Client
from tests.agents.tools.contexts import Context, call_of
from tests.egress.servers import answer, says, serve

SECRET = "s3cret-t0ken"
READ: dict[str, Any] = {"effect": "read", "attempts": 5}
PLAIN_WRITE: dict[str, Any] = {"effect": "write"}
IDEMPOTENT_WRITE: dict[str, Any] = {"effect": "write", "idempotent": True}
ANY = pytest.mark.parametrize("spec", [READ, PLAIN_WRITE, IDEMPOTENT_WRITE], ids=["read", "write", "idempotent"])


def holding(**more: Any) -> Context:
    return Context(secrets={"key": SECRET}, sources={"shop": DataSource("sqlite", "shop.db")}, **more)


def made(
    call: ToolCall, registry: Registry, context: Context, sleep: Callable[[float], None] | None = None
) -> tuple[Outcome, list[float]]:
    pauses: list[float] = []
    return perform(call, context, registry=registry, sleep=sleep or pauses.append), pauses


def python(function: Callable[..., Any], context: Context, **spec: Any) -> tuple[Outcome, list[float]]:
    """Have `perform` call a function as a tool of the kind python."""
    functions = Functions(group=None)
    functions.add("f", function)
    sleep = spec.pop("sleep", None)
    call = call_of("python", {"function": "f"}, **spec)
    return made(call, {"python": PythonKind(functions)}, context, sleep)


class Paying:
    """A function that pays with a secret, if it gets one; ended: it is done, though nobody may wait for it."""

    def __init__(self) -> None:
        self.used: list[str] = []
        self.ended = threading.Event()

    def pay(self, context: ToolContext) -> None:
        try:
            self.used.append(context.secret("key"))
        finally:
            self.ended.set()


# --- waiting --------------------------------------------------------------------------------------------------------


@ANY
def test_a_python_tool_waits_for_the_platforms_database(spec: dict[str, Any]) -> None:
    used: list[str] = []

    def pay(context: ToolContext) -> str:
        used.append(context.secret("key"))
        return "paid"

    outcome, pauses = python(pay, holding(away=3), **spec)

    assert (outcome, used) == (Finished("paid"), [SECRET])
    assert pauses == [AWAY_PAUSE_S] * 3


@ANY
def test_an_http_tool_waits_for_it(spec: dict[str, Any]) -> None:
    with serve(says(answer(b'"done"', content_type="application/json"))) as server:
        config = {"method": "POST", "url": server.url, "headers": {"Authorization": "Bearer secret:key"}}
        registry = {"http": HttpKind(Client(frozenset({("127.0.0.1", server.port)})))}
        outcome, pauses = made(call_of("http", config, **spec), registry, holding(away=3))

    assert (outcome, len(server.requests)) == (Finished("done"), 1)
    assert pauses == [AWAY_PAUSE_S] * 3


def test_an_sql_tool_waits_for_it(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
        connection.execute("CREATE TABLE orders (id INTEGER)")
    call = call_of("sql", {"source": "shop"}, {"query": "SELECT count(*) AS n FROM orders"})
    outcome, pauses = made(call, {"sql": SqlKind(Client(), tmp_path)}, holding(away=3))

    assert outcome == Finished({"columns": ["n"], "rows": [[0]], "truncated": False})
    assert pauses == [AWAY_PAUSE_S] * 3


def test_a_function_that_asks_behind_its_effect_waits_too_and_acts_once() -> None:
    effects: list[str] = []

    def pay(context: ToolContext) -> str:
        effects.append("paid")
        return str(len(context.secret("key")))

    assert python(pay, holding(away=2), **PLAIN_WRITE)[0] == Finished("12")
    assert effects == ["paid"]


def test_a_wait_does_not_count_against_the_time_of_the_call() -> None:
    def pay(context: ToolContext) -> str:
        context.secret("key")
        return "paid"

    def slowly(_: float) -> None:
        threading.Event().wait(0.1)

    outcome, _ = python(pay, holding(away=4), sleep=slowly, timeout_s=0.15, **PLAIN_WRITE)

    assert outcome == Finished("paid")


def test_what_follows_a_wait_does_count() -> None:
    release = threading.Event()

    def hang(context: ToolContext) -> None:
        context.secret("key")
        release.wait(30)

    begun = time.monotonic()
    outcome, _ = python(hang, holding(away=1), sleep=lambda _: time.sleep(0.3), timeout_s=0.2)
    release.set()

    assert isinstance(outcome, Failed)
    assert outcome.code == "timeout"
    assert 0.5 <= time.monotonic() - begun < 5


def test_look_ups_that_are_answered_at_once_do_count() -> None:
    asked: list[str] = []

    def ask_for_ever(context: ToolContext) -> None:
        while True:
            asked.append(context.secret("key"))

    outcome, _ = python(ask_for_ever, holding(), timeout_s=0.2)
    after = len(asked)

    assert isinstance(outcome, Failed)
    assert outcome.code == "timeout"
    threading.Event().wait(0.1)
    assert len(asked) <= after + 1


def test_look_ups_that_overlap_count_unless_one_of_them_takes_long() -> None:
    class Brisk(Context):
        """Its database takes a while to answer, and not long."""

        def secret(self, name: str) -> str:
            time.sleep(attempts.LOOK_S / 4)
            return super().secret(name)

    over = threading.Event()

    def ask_in_turns(context: ToolContext) -> None:
        def ask() -> None:
            with suppress(NoLongerOurs):
                while not over.is_set():
                    context.secret("key")

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
            time.sleep(attempts.LOOK_S / 12)
        over.wait(10)

    begun = time.monotonic()
    outcome, _ = python(ask_in_turns, Brisk(secrets={"key": SECRET}), timeout_s=0.3)
    over.set()

    assert isinstance(outcome, Failed)
    assert outcome.code == "timeout"
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize(
    ("waits", "last", "expected"),
    [
        ([], (1.0, 2.0), [(1.0, 2.0)]),
        ([(1.0, 2.0)], (3.0, 4.0), [(1.0, 2.0), (3.0, 4.0)]),
        ([(1.0, 2.0), (3.0, 4.0)], (3.5, 5.0), [(1.0, 2.0), (3.0, 5.0)]),
        ([(1.0, 2.0), (3.0, 4.0)], (0.0, 5.0), [(0.0, 5.0)]),
        ([(1.0, 2.0), (3.0, 4.0)], (2.0, 4.0), [(1.0, 4.0)]),
    ],
    ids=["first", "apart", "overlaps", "covers", "touches"],
)
def test_what_was_waited_for_at_the_same_time_is_one_wait(
    waits: list[attempts.Wait], last: attempts.Wait, expected: list[attempts.Wait]
) -> None:
    assert attempts.joined(waits, last) == expected


def test_a_wait_is_two_warnings_in_the_log_and_no_error(caplog: pytest.LogCaptureFixture) -> None:
    def ask(context: ToolContext) -> int:
        return len(context.secret("key"))

    with caplog.at_level(logging.WARNING):
        python(ask, holding(away=9))

    told = [record.getMessage() for record in caplog.records if record.name.startswith("agents.tools")]
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert told[0] == "A call of the tool python_tool waits for the platform's database (PlatformAway)."
    assert told[1].startswith("A call of the tool python_tool waits no longer, after ")


# --- runs that are another worker's ---------------------------------------------------------------------------------


def loses(context: Context) -> Callable[[float], None]:
    """A pause in which the run becomes another worker's."""

    def sleep(_: float) -> None:
        context.lost = True

    return sleep


@ANY
def test_a_function_that_waits_until_the_run_is_anothers_gets_no_secret(spec: dict[str, Any]) -> None:
    used: list[str] = []

    def pay(context: ToolContext) -> None:
        used.append(context.secret("key"))

    context = holding(away=1)
    with pytest.raises(NoLongerOurs):
        python(pay, context, sleep=loses(context), **spec)
    assert used == []


def test_a_request_that_waited_until_the_run_is_anothers_is_not_sent() -> None:
    context = holding(away=1)
    with serve(says(answer(b""))) as server:
        config = {"method": "POST", "url": server.url, "headers": {"Authorization": "secret:key"}}
        registry = {"http": HttpKind(Client(frozenset({("127.0.0.1", server.port)})))}
        with pytest.raises(NoLongerOurs):
            made(call_of("http", config, **PLAIN_WRITE), registry, context, loses(context))
    assert server.connections == 0


@pytest.mark.parametrize("answers", [True, False], ids=["returns", "raises"])
def test_what_a_function_makes_of_that_is_no_outcome(answers: bool) -> None:
    def pay(context: ToolContext) -> str:
        try:
            context.secret("key")
        except Exception:
            if answers:
                return "no key today"
            raise ValueError("no key") from None
        return "paid"

    context = holding(away=1)
    with pytest.raises(NoLongerOurs):
        python(pay, context, sleep=loses(context), **PLAIN_WRITE)


def test_an_answer_that_came_when_the_run_was_anothers_is_not_handed_out() -> None:
    used: list[str] = []

    class Slow(Context):
        """Its database takes so long to answer that the lease runs out."""

        def secret(self, name: str) -> str:
            self.lost = True
            return super().secret(name)

    def pay(context: ToolContext) -> None:
        used.append(context.secret("key"))

    with pytest.raises(NoLongerOurs):
        python(pay, Slow(secrets={"key": SECRET}), **PLAIN_WRITE)
    assert used == []


def test_nobody_waits_for_a_look_up_that_hangs_once_the_run_is_anothers(monkeypatch: pytest.MonkeyPatch) -> None:
    release, asked = threading.Event(), threading.Event()

    class Hangs(Context):
        """Its database accepts the question and never answers."""

        def secret(self, name: str) -> str:
            asked.set()
            release.wait(30)
            return super().secret(name)

    paying = Paying()
    context = Hangs(secrets={"key": SECRET})

    def lose() -> None:
        asked.wait(10)
        time.sleep(0.3)
        context.lost = True

    threading.Thread(target=lose).start()
    monkeypatch.setattr(attempts, "LOOK_S", 0.02)
    begun = time.monotonic()
    with pytest.raises(NoLongerOurs):
        python(paying.pay, context, timeout_s=0.05, **PLAIN_WRITE)
    assert 0.3 <= time.monotonic() - begun < 10
    release.set()
    assert paying.ended.wait(10)
    assert paying.used == []


# --- attempts that are over -----------------------------------------------------------------------------------------


@pytest.fixture
def late() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


@pytest.mark.parametrize("ask", ["secret", "source", "begin"])
def test_a_call_that_was_abandoned_gets_nothing_any_more(late: threading.Event, ask: str) -> None:
    effects: list[str] = []
    ended = threading.Event()

    def pay(context: ToolContext) -> None:
        late.wait(30)
        try:
            context.begin() if ask == "begin" else getattr(context, ask)("key" if ask == "secret" else "shop")
            effects.append("paid")
        except NoLongerOurs:
            effects.append("refused")
        finally:
            ended.set()

    outcome, _ = python(pay, holding(), timeout_s=0.05, **PLAIN_WRITE)
    assert isinstance(outcome, OutcomeUnknown)
    late.set()

    assert ended.wait(10)
    assert effects == ["refused"]


def test_one_that_was_abandoned_in_a_look_up_gets_no_secret_either(late: threading.Event) -> None:
    """Its run is another's by then, and its outcome recorded; that the lease came back means nothing."""
    paying = Paying()
    context = holding(away=1)

    def sleep(_: float) -> None:
        context.lost = True
        late.wait(30)

    with pytest.raises(NoLongerOurs):
        python(paying.pay, context, sleep=sleep, timeout_s=0.05, **PLAIN_WRITE)
    context.lost = False
    late.set()

    assert paying.ended.wait(10)
    assert paying.used == []


def test_what_an_earlier_attempt_was_given_is_taken_out_of_the_result_of_a_later_one() -> None:
    tries: list[str] = []

    def ask(context: ToolContext) -> str:
        if not tries:
            tries.append(context.secret("key"))
            raise ValueError
        return f"it was {tries[0]}"

    assert python(ask, holding(), **IDEMPOTENT_WRITE)[0] == Finished("it was [redacted]")
