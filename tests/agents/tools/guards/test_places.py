"""How many calls of a tool are made at once, over all workers."""

from typing import Any

import pytest
from django.db import connection
from psycopg import OperationalError

from agents.engine import leases, toolbox
from agents.engine.leases import LostLease
from agents.tools import attempts
from agents.tools.kept import kept
from agents.tools.places import places
from agents.tools.seam import Failed, Finished
from tests.agents.tools.guards.office import Desk, Office, spec
from tests.ops.processes import eventually
from tests.trips import trips


def desk(of: Office, many: int, **more: Any) -> Desk:
    return Desk(spec(of, concurrency=many, breaker=None, **more))


def in_line() -> int:
    """How many calls of this process have a place or wait for one."""
    return sum(turns.users for turns in places._turns.values())


def test_no_more_calls_than_that_are_made_at_once_and_all_are_made(bureau: Office) -> None:
    made = desk(bureau, 2)
    bureau.open.clear()
    asked = [made.asks(f"{number}") for number in range(6)]
    bureau.came(2)
    assert eventually(lambda: in_line() == 6)

    bureau.open.set()

    assert all(isinstance(each.result(), Finished) for each in asked)
    assert (bureau.calls, bureau.most_at_work) == (6, 2)


def test_who_gets_no_place_in_time_is_told_that_the_tool_is_busy(bureau: Office) -> None:
    made = desk(bureau, 1)
    run, late = made.run(), made.run()
    bureau.open.clear()
    first = made.asks(run=run)
    bureau.came(1)
    object.__setattr__(late.spec.tools["ask"].definition, "timeout_s", 0.2)

    told = made.ask(run=late)

    assert isinstance(told, Failed)
    assert (told.code, told.retryable) == ("busy", True)
    assert bureau.calls == 1
    bureau.open.set()
    assert isinstance(first.result(), Finished)


def test_the_places_of_a_tool_are_one_tenants_own(bureau: Office) -> None:
    mine, theirs = desk(bureau, 1), desk(bureau, 1)
    bureau.open.clear()

    asked = [mine.asks(), theirs.asks()]

    bureau.came(2)
    bureau.open.set()
    assert all(isinstance(each.result(), Finished) for each in asked)


def test_a_place_is_taken_for_all_processes_and_comes_back_when_its_worker_is_killed(
    bureau: Office, process_environment: dict[str, str]
) -> None:
    made = desk(bureau, 1)
    bureau.open.clear()
    with made.elsewhere(bureau, process_environment) as other:
        bureau.came(1)
        here = made.asks()
        assert eventually(lambda: in_line() == 1)
        assert bureau.calls == 1

        other.kill()

        bureau.came(2)
        bureau.open.set()
        assert isinstance(here.result(), Finished)


def test_a_failed_call_gives_its_place_back(bureau: Office) -> None:
    made = desk(bureau, 1, http={"method": "GET", "url": "http://127.0.0.1:1/{key}"})

    assert [type(made.ask()) for _ in range(3)] == [Failed] * 3


def test_who_loses_the_run_while_waiting_makes_no_call(bureau: Office) -> None:
    made = desk(bureau, 1)
    bureau.open.clear()
    first = made.asks()
    bureau.came(1)
    run = made.run()
    second = made.asks(run=run)

    run.given_back = True

    with pytest.raises(LostLease):
        second.result()
    bureau.open.set()
    assert isinstance(first.result(), Finished)
    assert bureau.calls == 1


def test_what_waited_for_a_place_has_its_whole_time_from_then_on(
    bureau: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = desk(bureau, 1)
    run = made.run()
    began: list[float] = []
    monkeypatch.setattr(toolbox.Context, "waited", lambda context: began.append(leases.lease_clock()))
    bureau.open.clear()
    first = made.asks()
    bureau.came(1)
    second = made.asks(run=run)
    assert eventually(lambda: in_line() == 2)
    opened = leases.lease_clock()

    bureau.open.set()

    assert all(isinstance(each.result(), Finished) for each in (first, second))
    assert began[0] < opened < began[1]


def test_a_place_costs_a_round_trip_and_one_to_give_it_back(bureau: Office) -> None:
    made = desk(bureau, 3)
    made.ask()
    run = made.run()

    with trips() as made_trips:
        made.ask(run=run)

    assert made_trips == [["tool_place"], ["kept_give_back"]]


def test_a_call_waits_for_the_database_to_come_back_and_is_made_then(
    bureau: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = desk(bureau, 1)
    run = made.run()
    monkeypatch.setattr(attempts, "AWAY_PAUSE_S", 0.01)
    real, away = kept._connect, [3]
    kept.close()

    def connect() -> Any:
        if away[0]:
            away[0] -= 1
            raise OperationalError("the server is starting up")
        return real()

    monkeypatch.setattr(kept, "_connect", connect)

    assert isinstance(made.ask(run=run), Finished)
    assert away == [0]


def test_after_its_session_broke_a_worker_has_the_places_of_its_calls_anew(
    bureau: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = desk(bureau, 2)
    bureau.open.clear()
    first = made.asks("a")
    bureau.came(1)
    assert kept._connection is not None
    pid = kept._connection.info.backend_pid
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 10000)", [pid])
    monkeypatch.setattr("agents.tools.kept.QUIET_S", 0.1)

    second = made.asks("b")
    bureau.came(2)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = %s", [_pid()])
        assert cursor.fetchone() == (2,)

    bureau.open.set()
    assert all(isinstance(each.result(), Finished) for each in (first, second))
    assert eventually(lambda: in_line() == 0)


def _pid() -> int:
    assert kept._connection is not None
    return kept._connection.info.backend_pid
