"""What a worker of the Temporal engine does with its runs when it stops, and that it ends."""

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from agents.core.model import ModelAnswer
from agents.engine import leases
from agents.engine.temporal import worker as serving
from agents.engine.temporal.messages import MODEL, TOOLS
from agents.engine.temporal.worker import TemporalWorker
from agents.management.commands import temporal_worker as command
from agents.models import Run
from tests.agents.engine.conftest import PATIENCE_S
from tests.agents.engine.temporal.test_hands import Made, lookups, made, stepped
from tests.worlds import LEDGER, PAY, World

__all__ = ["made"]


def test_it_makes_no_call_that_nobody_asked_for(acme: World, made: Made) -> None:
    stop: list[bool] = []
    hands, run = made("one", stopping=lambda: bool(stop)), lookups(acme)
    at = hands.take_up(run.id, lost=0)
    stop.append(True)

    with ThreadPoolExecutor(1) as threads:
        told = hands.wind_down(threads)

    assert [each.id for each in told] == [run.id]
    assert len(hands) == 0
    (failed,) = [event for event in acme.events(run.id) if event.action == "model.failed"]
    assert failed.facts["code"] == "withdrawn"
    other = made("two")
    again = other.take_up(run.id, lost=at.epoch)
    assert (again.kind, acme.run(run.id).cost_nano) == (MODEL, 0)
    assert stepped(other, run, again).kind == TOOLS


def test_what_waits_for_nothing_goes_before_what_is_in_its_step(acme: World, made: Made) -> None:
    acme.define("payer", role="You pay.", tool_specs={"pay": PAY | {"approval": {"when": "false"}}})
    stop: list[bool] = []
    hands = made("one", stopping=lambda: bool(stop))
    in_steps = [lookups(acme) for _ in range(3)]
    for run in in_steps:
        hands.take_up(run.id, lost=0)
        hands._held[run.id].lock.acquire()  # it is in its step for as long as this test says
    paying = acme.submit("payer", {"to": acme.slug})
    assert stepped(hands, paying, hands.take_up(paying.id, lost=0)).kind == TOOLS
    stop.append(True)

    with ThreadPoolExecutor(1) as threads:
        hands.wind_down(threads)
        until(lambda: acme.run(paying.id).worker is None)
        for run in in_steps:
            hands._held[run.id].lock.release()

    assert LEDGER.effects[f"pay 500 to {acme.slug}"] == 1
    assert "tool.unknown" not in acme.actions(paying.id)


def until(seen: Callable[[], object]) -> None:
    patience = time.monotonic() + PATIENCE_S
    while not seen():
        assert time.monotonic() < patience
        time.sleep(0.02)


def test_one_refusal_of_the_database_leaves_no_lease_to_run_out(
    acme: World, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    hands, runs = made("one"), [lookups(acme) for _ in range(3)]
    for run in runs:
        hands.take_up(run.id, lost=0)
    whole, refused = leases._dispatch, list[int]()

    @contextmanager
    def once() -> Iterator[Any]:
        with whole() as connection:
            yield connection
            if not refused:
                refused.append(1)
                raise psycopg.errors.DeadlockDetected("once")

    monkeypatch.setattr(leases, "_dispatch", once)
    hands.give_back()

    assert refused
    for run in runs:
        left = acme.run(run.id)
        assert (left.worker, left.ready_at, left.tries) == (None, left.created_at, 0)


# --- that it ends in time ------------------------------------------------------------------------------------


class Stuck:
    """Hands that cannot give back what they hold before they are let."""

    def __init__(self) -> None:
        self.asked, self.let = threading.Event(), threading.Event()

    def __len__(self) -> int:
        return 1

    def wind_down(self, threads: object) -> list[Any]:
        return []

    def give_back(self) -> None:
        self.asked.set()
        self.let.wait(PATIENCE_S)


@pytest.fixture
def stuck() -> Iterator[Stuck]:
    made = Stuck()
    yield made
    made.let.set()


def nobody(*_: Any, **__: Any) -> ModelAnswer:
    raise AssertionError("the model was called")


def worker_of(hands: Any) -> TemporalWorker:
    worker = TemporalWorker(nobody)
    worker.hands = hands
    return worker


def test_a_database_that_does_not_answer_holds_up_no_stop(stuck: Stuck, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "LAST_S", 0.2)
    worker = worker_of(stuck)

    async def wind_down() -> float:
        begun = time.monotonic()
        await worker._wind_down(None, begun + 0.1)  # type: ignore[arg-type]
        return time.monotonic() - begun

    took_s = asyncio.run(wind_down())
    stuck.let.set()
    worker.close()

    assert took_s < PATIENCE_S / 2


def test_what_is_kept_and_hangs_takes_no_thread_from_the_stop(stuck: Stuck) -> None:
    worker = worker_of(stuck)

    async def wind_down() -> bool:
        asyncio.get_running_loop().set_default_executor(keeping := ThreadPoolExecutor(1))
        keeping.submit(stuck.let.wait, PATIENCE_S)
        winding = asyncio.ensure_future(worker._wind_down(None, time.monotonic()))  # type: ignore[arg-type]
        asked = await asyncio.get_running_loop().run_in_executor(ThreadPoolExecutor(1), stuck.asked.wait, 5.0)
        stuck.let.set()
        await winding
        return asked

    assert asyncio.run(wind_down())
    worker.close()


class Refused:
    """A worker that Temporal refuses in mid-service, with a step that does not end."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def serve(self, told: asyncio.Event) -> None:
        raise self.error


class Exited(BaseException):
    """In place of the process's end."""


@pytest.mark.parametrize(
    ("error", "says"), [(RuntimeError("permission denied"), "permission denied"), (ValueError("a bug"), "")]
)
def test_a_worker_that_is_refused_in_mid_service_ends_whatever_its_threads_do(
    error: Exception, says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def end(code: int) -> None:
        raise Exited(code)

    monkeypatch.setattr(command, "refuse_unsafe_start", lambda: None)
    monkeypatch.setattr(command, "TemporalWorker", lambda *_, **__: Refused(error))
    monkeypatch.setattr(os, "_exit", end)
    monkeypatch.setattr(logging, "shutdown", lambda: None)

    with pytest.raises(Exited) as exited:
        command.Command().handle()

    assert exited.value.args == (1,)
    assert says in capsys.readouterr().err
    for thread in threading.enumerate():
        if thread.name == "sealer":
            thread.join(30)
            assert not thread.is_alive()


# --- what else one worker sees to -------------------------------------------------------------------------------------


def test_a_sign_of_life_that_fails_keeps_back_no_other(acme: World, made: Made) -> None:
    hands, runs, given = made("one"), [lookups(acme) for _ in range(3)], list[Run]()
    for run in runs:
        hands.take_up(run.id, lost=0)

    def fails() -> None:
        raise RuntimeError("not in an activity")

    first, *others = hands._all()
    first.signs.append(fails)
    for held in others:
        held.signs.append(lambda: given.append(run))

    hands.give_signs()

    assert len(given) == len(others)
