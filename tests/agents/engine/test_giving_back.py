"""Leases are renewed and given back all together, and what else a driver does is no reason to lose them."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from agents.engine import driver as module
from agents.engine import leases
from agents.engine.driver import Driver
from agents.engine.executor import Means
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


@pytest.mark.parametrize("does", [leases.heartbeat, lambda runs: leases.release(*runs)], ids=["renewed", "given back"])
def test_they_are_locked_in_the_order_of_their_runs(
    does: Callable[[list[Claimed]], object], acme: World, means: Means
) -> None:
    first, last = two(acme, means)
    leases.heartbeat([first])  # which writes its row behind the other's
    with ThreadPoolExecutor(1) as thread:
        with tenant_scope(acme.tenant_id):
            Run.objects.select_for_update().get(id=first.id)
            done = thread.submit(does, [last, first])
            until_waited_for()
            assert Run.objects.select_for_update(nowait=True).get(id=last.id)
        done.result(PATIENCE_S)


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


def test_a_worker_that_ends_gives_back_all_its_leases_although_the_database_refuses_once(
    acme: World, means: Means, refuse: Refuse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STOP_S", 0.0)
    handed_in: list[int] = []
    monkeypatch.setattr(module, "flush", lambda: handed_in.append(1))
    left = two(acme, means)
    driver = Driver(lambda: None, stopping=lambda: True)
    driver._active = {run.id: run for run in left}
    refuse(1)

    with session.connect() as listener:
        driver.serve(listener, seconds=60)

    driver.close()
    for run in left:
        row = acme.run(run.id)
        assert (row.worker, row.ready_at) == (None, row.created_at)
    assert handed_in


def test_a_worker_whose_leases_cannot_be_given_back_hands_its_counters_in_all_the_same(
    acme: World, means: Means, refuse: Refuse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STOP_S", 0.0)
    handed_in: list[int] = []
    monkeypatch.setattr(module, "flush", lambda: handed_in.append(1))
    driver = Driver(lambda: None, stopping=lambda: True)
    driver._active = {run.id: run for run in two(acme, means)}
    refuse(1000)

    with session.connect() as listener:
        driver.serve(listener, seconds=60)

    driver.close()
    refuse(0)
    assert handed_in


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
