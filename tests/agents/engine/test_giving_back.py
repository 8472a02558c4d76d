"""Leases are renewed and given back all together, and what else a driver does is no reason to lose them."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from agents.core.decide import CallModel
from agents.engine import driver as module
from agents.engine import executor, leases, store
from agents.engine.driver import Driver
from agents.engine.executor import Means, Stopped
from agents.engine.leases import Claimed
from agents.models import Run
from db import session
from db.scope import tenant_scope
from tests.agents.engine.conftest import PATIENCE_S
from tests.agents.engine.serving import serving
from tests.agents.engine.test_leases import claim_and_begin, lookup_run, means
from tests.locks import until_waited_for
from tests.worlds import World

__all__ = ["means"]

Refuse = Callable[[int], None]


@pytest.fixture
def refuse(monkeypatch: pytest.MonkeyPatch) -> Refuse:
    """Has the database refuse what is asked across tenants so many times, as after a deadlock."""
    whole, left = leases._dispatch, [0]

    @contextmanager
    def refusing() -> Any:
        with whole() as connection:
            yield connection
            if left[0]:
                left[0] -= 1
                raise psycopg.errors.DeadlockDetected("once")

    def times(count: int) -> None:
        left[0] = count

    monkeypatch.setattr(leases, "_dispatch", refusing)
    return times


def eventually(seen: Callable[[], object]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not seen():
        assert time.monotonic() < until
        time.sleep(0.02)


def two(acme: World, means: Means) -> tuple[Claimed, Claimed]:
    """Two runs in the hands of this worker."""
    first, last = sorted((claim_and_begin(means, lookup_run(acme)).run for _ in range(2)), key=lambda run: run.id)
    return first, last


def test_they_are_locked_in_the_order_of_their_runs(acme: World, means: Means) -> None:
    first, last = two(acme, means)
    leases.heartbeat([first])  # which writes its row behind the other's
    with ThreadPoolExecutor(1) as thread:
        with tenant_scope(acme.tenant_id):
            Run.objects.select_for_update().get(id=first.id)
            done = thread.submit(leases.release, last, first)
            until_waited_for()
            assert Run.objects.select_for_update(nowait=True).get(id=last.id)
        done.result(PATIENCE_S)


def test_a_heartbeat_waits_for_nobody_who_has_a_run_locked(acme: World, means: Means) -> None:
    first, last = two(acme, means)
    believed = first.lease_until, last.lease_until
    with ThreadPoolExecutor(1) as thread, tenant_scope(acme.tenant_id):
        Run.objects.select_for_update().get(id=first.id)
        kept = thread.submit(leases.heartbeat, [last, first]).result(PATIENCE_S)

    assert kept == {first.id, last.id}
    assert first.lease_until == believed[0]
    assert last.lease_until > believed[1]
    locked_due, due = acme.run(first.id).due_at, acme.run(last.id).due_at
    assert locked_due
    assert due
    assert due > locked_due


def test_a_heartbeat_revives_no_lease_that_was_given_back_meanwhile(
    acme: World, means: Means, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = claim_and_begin(means, lookup_run(acme)).run
    whole, beaten, go = leases._dispatch, threading.Event(), threading.Event()

    @contextmanager
    def slow() -> Any:
        with whole() as connection:
            yield connection
        beaten.set()
        go.wait(PATIENCE_S)

    with ThreadPoolExecutor(1) as thread:
        with monkeypatch.context() as patched:
            patched.setattr(leases, "_dispatch", slow)
            beat = thread.submit(leases.heartbeat, [mine])
            beaten.wait(PATIENCE_S)
        leases.release(mine)
        go.set()
        beat.result(PATIENCE_S)

    assert not mine.has_lease()
    assert leases.heartbeat([mine]) == set()


def test_a_lease_whose_giving_back_nobody_heard_of_is_given_back_once(
    acme: World, means: Means, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = lookup_run(acme)
    for _ in range(2):
        mine = claim_and_begin(means, run).run
        with tenant_scope(acme.tenant_id):
            Run.objects.filter(id=run.id).update(ready_at=run.created_at)
    mine = claim_and_begin(means, run).run
    whole, times = leases._dispatch, list[int]()

    @contextmanager
    def unheard() -> Any:
        with whole() as connection:
            yield connection
        times.append(1)
        if len(times) == 1:
            raise psycopg.OperationalError("the server closed the connection")

    monkeypatch.setattr(leases, "_dispatch", unheard)
    leases.release_at_last([mine])

    assert len(times) == 2
    row = acme.run(run.id)
    assert (row.worker, row.tries, row.ready_at) == (None, 2, row.created_at)


@pytest.fixture
def handed_in(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Has an item for each time that counters were handed in."""
    handed_in: list[int] = []
    monkeypatch.setattr(module, "flush", lambda: handed_in.append(1))
    return handed_in


def end(holding: tuple[Claimed, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop a worker that holds these runs and waits for none of their steps, but for as long as it takes otherwise."""
    monkeypatch.setattr(module, "STOP_S", 0.0)
    monkeypatch.setattr(module, "LAST_S", PATIENCE_S)
    driver = Driver(lambda: None, stopping=lambda: True)
    driver._active = {run.id: run for run in holding}
    with session.connect() as listener:
        driver.serve(listener, seconds=60)
    driver.close()


def test_a_worker_that_ends_gives_back_all_its_leases_although_the_database_refuses_once(
    acme: World, means: Means, refuse: Refuse, handed_in: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    left = two(acme, means)
    refuse(1)

    end(left, monkeypatch)

    for run in left:
        row = acme.run(run.id)
        assert (row.worker, row.ready_at) == (None, row.created_at)
    assert handed_in


def test_a_worker_whose_leases_cannot_be_given_back_hands_its_counters_in_all_the_same(
    acme: World, means: Means, refuse: Refuse, handed_in: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    left = two(acme, means)
    refuse(1000)

    end(left, monkeypatch)

    refuse(0)
    assert handed_in


def test_a_worker_ends_although_somebody_keeps_the_row_of_a_run_that_it_gives_back(
    acme: World, means: Means, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = two(acme, means)
    with ThreadPoolExecutor(1) as thread, tenant_scope(acme.tenant_id):
        Run.objects.select_for_update().get(id=left[1].id)

        thread.submit(end, left, monkeypatch).result(PATIENCE_S)

    assert all(acme.run(run.id).worker == "test" for run in left)


@pytest.mark.parametrize("lost", [False, True], ids=["answered", "its commit's answer lost"])
@pytest.mark.parametrize("refused", [1, 2])
def test_a_step_that_ends_in_a_worker_that_stops_gives_its_run_back_unless_the_database_refuses_twice(
    refused: int, lost: bool, acme: World, means: Means, refuse: Refuse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor, "RETRY_S", 0.01)
    run = lookup_run(acme)
    mine = claim_and_begin(means, run)
    mine.means = replace(means, stopping=lambda: True)
    happened = [mine._call_model(CallModel(1))]
    whole = store.append

    def append(*arguments: Any, **more: Any) -> None:
        whole(*arguments, **more)
        if lost:
            raise psycopg.OperationalError("the server closed the connection")

    monkeypatch.setattr(store, "append", append)
    refuse(refused)

    assert mine._commit(happened) == Stopped()
    row = acme.run(run.id)
    assert (row.worker is None) == (row.ready_at is not None) == (refused == 1)
    assert acme.actions(run.id)[-1] == "model.answered"


def test_what_is_counted_while_counters_are_handed_in_is_handed_in_when_the_worker_ends(
    database: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted, handed_in = [1], list[int]()
    begun, go = threading.Event(), threading.Event()

    def flush() -> None:
        now = sum(counted)
        begun.set()
        go.wait(PATIENCE_S)
        handed_in.append(now)

    monkeypatch.setattr(module, "flush", flush)
    driver = Driver(lambda: None, stopping=lambda: True)
    driver._hand_in()
    begun.wait(PATIENCE_S)
    counted.append(1)
    threading.Timer(0.1, go.set).start()

    with session.connect() as listener:
        driver.serve(listener, seconds=60)

    driver.close()
    assert handed_in == [1, 2]


def test_counters_that_are_not_handed_in_at_the_end_are_told_of(
    database: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    go = threading.Event()
    monkeypatch.setattr(module, "flush", lambda: go.wait(PATIENCE_S))
    monkeypatch.setattr(module, "LAST_S", 0.01)
    driver = Driver(lambda: None, stopping=lambda: True)

    with session.connect() as listener:
        driver.serve(listener, seconds=60)

    go.set()

    driver.close()
    assert "stopped before the counters were handed in" in caplog.messages


def test_a_worker_whose_last_step_ends_in_time_after_all_says_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "STOP_S", 0.0)
    driver = Driver(lambda: None, stopping=lambda: True)
    driver._wind_down()

    driver.close()
    assert caplog.messages == []


def fails() -> None:
    raise RuntimeError("no totals today")


def hangs() -> None:
    time.sleep(PATIENCE_S)


@pytest.mark.parametrize("flush", [fails, hangs])
def test_leases_are_renewed_whatever_becomes_of_the_counters(
    flush: Callable[[], None], database: None, model_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "flush", flush)
    monkeypatch.setattr(module, "HEARTBEAT_S", 0.1)
    beats: list[int] = []
    monkeypatch.setattr(Driver, "_heartbeat", lambda _: beats.append(1))

    with serving(model_url):
        eventually(lambda: len(beats) >= 3)
