"""Steps of several runs in one transaction: each is fenced, checked and numbered by itself, whatever the others are."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.db import connection

from agents.actions.runs import Request, submit
from agents.core.decide import CallModel, Command, Perform
from agents.engine import executor, in_line, leases, store
from agents.engine.executor import Means, RunExecutor, Stopped
from agents.engine.leases import Claimed, LostLease
from agents.models import Run
from db import trip
from db.pool import Connection
from db.scope import tenant_scope
from tests.agents.engine.conftest import PATIENCE_S
from tests.agents.engine.test_grants import TWICE, developer, give, revoke
from tests.agents.engine.test_leases import claim_and_begin, expire, means
from tests.agents.engine.test_lost_commits import cut
from tests.ops.processes import eventually
from tests.worlds import LOOKUP, World

__all__ = ["means"]

ASKED = ["model.answered", "tool.requested"]

Commit = Callable[[], Command | Stopped]


class Crowd:
    """Makes steps wait for each other: the first is held back until all others stand in line behind it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sizes: list[int] = []
        self._patch = monkeypatch

    def commit(self, first: Commit, *others: Commit) -> list[Future[Command | Stopped]]:
        """Do all of it, each in a thread of its own; returns when all have ended."""
        whole, held = in_line.LINE._write, threading.Event()

        def write(tenant_id: UUID, ready: Sequence[Any]) -> Any:
            self.sizes.append(len(ready))
            if len(self.sizes) == 1:
                assert held.wait(PATIENCE_S)
            return whole(tenant_id, ready)

        self._patch.setattr(in_line.LINE, "_write", write)
        with ThreadPoolExecutor(1 + len(others)) as threads:
            made = [threads.submit(_in_thread, first)]
            assert eventually(lambda: bool(self.sizes))
            made += [threads.submit(_in_thread, other) for other in others]
            assert eventually(lambda: sum(map(len, in_line.LINE._lines.values())) == len(others))
            held.set()
        return made


def _in_thread(commit: Commit) -> Command | Stopped:
    try:
        return commit()
    finally:
        connection.close()


@pytest.fixture
def crowd(monkeypatch: pytest.MonkeyPatch) -> Crowd:
    monkeypatch.setattr(executor, "RETRY_S", 0.01)
    return Crowd(monkeypatch)


def looks(acme: World, count: int) -> list[Run]:
    acme.define("looker", role=TWICE, tool_specs={"lookup": LOOKUP})
    return [acme.submit("looker", {"a": f"a{number}", "b": f"b{number}"}) for number in range(count)]


def claimed(means: Means, runs: Sequence[Run]) -> tuple[list[RunExecutor], list[Commit]]:
    """Each run in the hands of a worker, and the commit of its first answer: a call of a tool."""
    mine = [claim_and_begin(means, run) for run in runs]
    return mine, [partial(each._commit, [each._call_model(CallModel(1))]) for each in mine]


def check(acme: World, mine: RunExecutor, *last: str) -> None:
    """The journal ends with these, numbered without a gap, and the run's row and its worker know as much."""
    assert acme.actions(mine.run.id)[-len(last) :] == list(last)
    numbers = [event.seq for event in acme.events(mine.run.id)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert acme.run(mine.run.id).seq == mine.state.seq == len(numbers)


def transactions(acme: World, runs: Sequence[RunExecutor], action: str) -> int:
    """In how many transactions the runs' records of this type were written."""
    with tenant_scope(acme.tenant_id), connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(DISTINCT xmin::text), count(*) FROM audit_record WHERE stream = ANY(%s) AND action = %s",
            [[each.run.id for each in runs], action],
        )
        found, records = cursor.fetchone()
    assert records == len(runs)
    return int(found)


def test_steps_that_wait_for_each_other_are_one_transaction(acme: World, means: Means, crowd: Crowd) -> None:
    mine, commits = claimed(means, looks(acme, 4))
    results = crowd.commit(*commits)
    assert all(isinstance(each.result(), Perform) for each in results)
    assert crowd.sizes == [1, 3]
    assert transactions(acme, mine, "model.answered") == 2
    ids = [event.id for each in mine for event in acme.events(each.run.id)]
    assert len(set(ids)) == len(ids)
    for each in mine:
        check(acme, each, *ASKED)
        in_order = [event.id for event in acme.events(each.run.id)]
        assert in_order == sorted(in_order)


def test_a_lost_lease_is_one_runs_alone(acme: World, means: Means, crowd: Crowd) -> None:
    mine, commits = claimed(means, looks(acme, 4))
    with tenant_scope(acme.tenant_id):
        Run.objects.filter(id=mine[2].run.id).update(epoch=7)
    before = acme.actions(mine[2].run.id)
    results = crowd.commit(*commits)
    with pytest.raises(LostLease):
        results[2].result()
    assert acme.actions(mine[2].run.id) == before
    assert crowd.sizes == [1, 3]
    for each in (mine[0], mine[1], mine[3]):
        check(acme, each, *ASKED)


def test_whoever_lost_a_run_does_not_take_its_next_holders_step_for_its_own(
    acme: World, means: Means, crowd: Crowd
) -> None:
    second, first = looks(acme, 2)
    stale = claim_and_begin(means, second)
    expire(acme, second)
    leases.sweep_and_next()
    fresh, other = claim_and_begin(means, second), claim_and_begin(means, first)
    commits = [partial(each._commit, [each._call_model(CallModel(each.state.turn))]) for each in (other, stale, fresh)]
    stale.run.lease_until = 0.0

    results = crowd.commit(*commits)

    assert crowd.sizes == [1, 2]
    with pytest.raises(LostLease):
        results[1].result()
    assert not stale.run.has_lease()
    check(acme, fresh, *ASKED)


def test_a_row_that_is_locked_holds_up_its_own_run_alone(acme: World, means: Means, crowd: Crowd) -> None:
    mine, commits = claimed(means, looks(acme, 4))
    locked, done = mine[2], threading.Event()

    def release_when_the_others_are_through() -> None:
        with tenant_scope(acme.tenant_id):
            Run.objects.select_for_update().get(id=locked.run.id)
            holding.set()
            others = [each.run.id for each in mine if each is not locked]
            assert eventually(lambda: all(acme.actions(run)[-2:] == ASKED for run in others))
            done.set()
        connection.close()

    holding = threading.Event()
    with ThreadPoolExecutor(1) as thread:
        ended = thread.submit(release_when_the_others_are_through)
        assert holding.wait(PATIENCE_S)
        crowd.commit(*commits)
        ended.result(PATIENCE_S)
    assert done.is_set()
    assert crowd.sizes == [1, 3]
    for each in mine:
        check(acme, each, *ASKED)
        with tenant_scope(acme.tenant_id), connection.cursor() as cursor:
            cursor.execute("SELECT clock_timestamp()")
            (now,) = cursor.fetchone()
        assert abs((each.run.now() - now).total_seconds()) < 0.1  # its clock is the database's, whatever it waited for


def test_a_grant_that_is_missing_is_one_runs_alone(acme: World, means: Means, crowd: Crowd) -> None:
    first, second, third = looks(acme, 3)
    dev = developer(acme, "dev", "looker")
    give(acme, "lookup", dev)
    theirs = submit(Request(agent="looker", input={"a": "a", "b": "b"}), acting_as=dev).run
    mine, commits = claimed(means, [first, second, third, theirs])
    revoke(acme, "lookup")
    crowd.commit(*commits)
    assert crowd.sizes[:2] == [1, 3]
    for each in mine[:3]:
        check(acme, each, *ASKED)
    assert acme.actions(theirs.id).count("tool.denied") == 1
    assert "tool.requested" not in acme.actions(theirs.id)


def test_a_step_that_needs_no_grant_goes_with_those_that_do(acme: World, means: Means, crowd: Crowd) -> None:
    mine, commits = claimed(means, looks(acme, 3))
    third = mine[2]
    asked = commits[2]()
    assert isinstance(asked, Perform)
    made = [third._outcome(call, third.means.perform(third.run, call, f"key-{call.index}")) for call in asked.calls]
    crowd.commit(commits[0], commits[1], partial(third._commit, made))
    assert crowd.sizes == [1, 2]
    check(acme, mine[1], *ASKED)
    check(acme, mine[2], "tool.finished", "model.requested")


def test_what_the_database_refuses_of_one_does_not_hold_up_the_others(
    acme: World, means: Means, crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, commits = claimed(means, looks(acme, 4))
    values = store._values

    def wrong(run: Claimed, *arguments: Any, **more: Any) -> tuple[str, str]:
        return ('{"tenant":"nobody"}', "[]") if run is mine[2].run else values(run, *arguments, **more)

    monkeypatch.setattr(store, "_values", wrong)
    results = crowd.commit(*commits)
    with pytest.raises(psycopg.DataError):
        results[2].result()
    assert crowd.sizes == [1, 3]
    for each in (mine[0], mine[1], mine[3]):
        check(acme, each, *ASKED)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_connection_that_breaks_leaves_each_step_written_once(
    acme: World, means: Means, crowd: Crowd, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    mine, commits = claimed(means, looks(acme, 4))
    whole, broken = trip._results, list[str]()

    def breaking(raw: Connection, calls: Sequence[trip.Call]) -> Any:
        if broken or not any(called.name.startswith(b"trip_steps") for called, _ in calls):
            return whole(raw, calls)
        broken.append(when)
        if when == "before":
            cut(raw)
            return whole(raw, calls)
        whole(raw, calls)
        raw.close()
        raise psycopg.OperationalError("the server closed the connection")

    monkeypatch.setattr(trip, "_results", breaking)
    results = crowd.commit(*commits)
    assert broken == [when]
    assert all(isinstance(each.result(), Perform) for each in results)
    for each in mine:
        check(acme, each, *ASKED)
        assert acme.run(each.run.id).model_calls == 1
