"""Budgets under many at once: never above the limit, and nothing stays reserved."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any

import psycopg
import pytest
from django.db import connection

from db.pool import transaction_connection
from db.scope import tenant_scope
from quotas import reservations
from quotas.models import Budget, Window
from quotas.reservations import Change, reservation
from tests.locks import WAITED_FOR
from tests.worlds import World, world

pytestmark = pytest.mark.usefixtures("database")

TODAY = date(2026, 11, 22)
MONTH = date(2026, 11, 1)
ONE = reservation(1, 0, on=TODAY)


@pytest.fixture
def here() -> World:
    return world()


def limited(here: World, usd_nano: int | None, tokens: int | None) -> None:
    with tenant_scope(here.tenant_id):
        Budget.objects.update_or_create(of="tenant", defaults={"usd_nano": usd_nano, "tokens": tokens})


def in_scope(here: World, work: Callable[[psycopg.Connection[Any]], Any]) -> Any:
    """Do it as the engine does: on a connection of the pool, in one transaction."""
    with transaction_connection() as raw, raw.transaction():
        raw.execute("SELECT set_config('app.tenant', %s, true)", [str(here.tenant_id)])
        return work(raw)


def reserve(here: World, usd_nano: int = 0, tokens: int = 0, today: date = TODAY) -> Change | None:
    """Return what the run holds now, or None when there was no room."""
    change = reservation(usd_nano, tokens, on=today)
    reserved = in_scope(here, lambda raw: reservations.reserve(raw, change, tenant_id=here.tenant_id))
    return change if reserved else None


def settle(here: World, held: Change, usd_nano: int = 0, tokens: int = 0) -> None:
    change = held.settled(usd_nano=usd_nano, tokens=tokens)
    in_scope(here, lambda raw: reservations.make(raw, change, tenant_id=here.tenant_id))


def window(here: World, month: date = MONTH) -> tuple[int, int, int, int]:
    """Return reserved and spent: nano-USD, tokens, nano-USD, tokens."""
    with tenant_scope(here.tenant_id):
        found = Window.objects.get(starts_on=month)
    return found.reserved_usd_nano, found.reserved_tokens, found.spent_usd_nano, found.spent_tokens


def at_once(count: int, work: Callable[[int], Any]) -> list[Any]:
    """Do it in so many threads, which start together."""
    barrier = threading.Barrier(count)

    def run(number: int) -> Any:
        try:
            barrier.wait()
            return work(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def test_without_a_budget_there_is_no_limit_but_it_is_counted(here: World) -> None:
    held = reserve(here, 10**15, 10**12)

    assert held == reservation(10**15, 10**12, on=MONTH)
    assert window(here) == (10**15, 10**12, 0, 0)


@pytest.mark.parametrize(
    ("usd_nano", "tokens", "allowed"),
    [(100, 50, True), (101, 50, False), (100, 51, False), (0, 0, True), (101, 51, False)],
)
def test_both_amounts_must_fit_or_neither_is_reserved(here: World, usd_nano: int, tokens: int, allowed: bool) -> None:
    limited(here, 100, 50)

    held = reserve(here, usd_nano, tokens)

    assert (held is not None) is allowed
    assert window(here) == ((usd_nano, tokens, 0, 0) if allowed else (0, 0, 0, 0))


def test_what_was_spent_counts_and_what_was_not_comes_back(here: World) -> None:
    limited(here, 100, None)
    held = reserve(here, 80)
    assert held is not None
    assert reserve(here, 30) is None

    settle(here, held, 10, 7)

    assert window(here) == (0, 0, 10, 7)
    assert reserve(here, 90) is not None
    assert reserve(here, 1) is None


def test_an_exhausted_budget_says_no_again_and_again(here: World) -> None:
    limited(here, 0, 0)

    assert [reserve(here, 1) for _ in range(3)] == [None] * 3
    assert reserve(here, 0, 0) is not None


def test_settling_twice_is_refused(here: World) -> None:
    held = reserve(here, 5)
    assert held is not None
    settle(here, held, 5)

    with pytest.raises(psycopg.errors.CheckViolation):
        settle(here, held, 5)

    assert window(here) == (0, 0, 5, 0)


def test_months_are_apart_and_a_run_over_the_month_settles_where_it_reserved(here: World) -> None:
    limited(here, 100, None)
    november = reserve(here, 100, today=date(2026, 11, 30))
    december = reserve(here, 100, today=date(2026, 12, 1))
    january = reserve(here, 100, today=date(2027, 1, 31))
    assert november is not None
    assert december is not None
    assert january is not None
    assert [each.window_on for each in (november, december, january)] == [
        date(2026, 11, 1),
        date(2026, 12, 1),
        date(2027, 1, 1),
    ]

    settle(here, november, 60)

    assert window(here, date(2026, 11, 1)) == (0, 0, 60, 0)
    assert window(here, date(2026, 12, 1)) == (100, 0, 0, 0)
    assert window(here, date(2027, 1, 1)) == (100, 0, 0, 0)


def test_32_at_once_never_pass_the_limit(here: World) -> None:
    """Each tries four times; the limit allows 50 in all."""
    limited(here, 500, 10**9)

    held = [each for found in at_once(32, lambda _: [reserve(here, 10, 1) for _ in range(4)]) for each in found]

    assert sum(each is not None for each in held) == 50
    assert window(here) == (500, 50, 0, 0)


def test_reserved_returns_to_nothing_and_what_was_spent_adds_up(here: World) -> None:
    limited(here, 320, None)

    def run(number: int) -> int:
        done = 0
        for _ in range(5):
            held = reserve(here, 10, 3)
            if held is not None:
                settle(here, held, number % 3, 1)
                done += number % 3
        return done

    spent = sum(at_once(32, run))

    assert window(here)[0:3] == (0, 0, spent)
    assert 0 < spent <= 320


def test_the_first_runs_of_a_month_at_once_all_get_the_one_window(here: World) -> None:
    """None of them is told that the budget is exhausted because another opened the window first."""
    limited(here, 1000, None)

    held = at_once(16, lambda _: reserve(here, 10))

    assert held == [reservation(10, 0, on=MONTH)] * 16
    assert window(here) == (160, 0, 0, 0)


def test_so_do_the_very_first_runs_of_a_tenant(here: World) -> None:
    held = at_once(16, lambda _: reserve(here, 10))

    assert held == [reservation(10, 0, on=MONTH)] * 16
    with tenant_scope(here.tenant_id):
        assert (Budget.objects.count(), Window.objects.count()) == (1, 1)


def test_a_run_that_waits_for_anothers_opening_is_not_told_no(here: World) -> None:
    """The race, made certain: the window is opened in a transaction that commits while the second one waits for it."""
    opened, answers = threading.Event(), list[Change | bool | None]()

    def first(raw: psycopg.Connection[Any]) -> None:
        answers.append(reservations.reserve(raw, ONE, tenant_id=here.tenant_id))
        opened.set()
        while raw.execute(WAITED_FOR).fetchone() == (False,):
            raw.execute("SELECT pg_sleep(0.01)")

    def second() -> None:
        opened.wait()
        answers.append(reserve(here, 1))
        connection.close()

    thread = threading.Thread(target=second)
    thread.start()
    in_scope(here, first)
    thread.join()

    assert answers == [True, ONE]


def test_a_reservation_goes_with_its_transaction(here: World) -> None:
    reserve(here, 1)

    def reserve_and_fail(raw: psycopg.Connection[Any]) -> None:
        reservations.reserve(raw, ONE, tenant_id=here.tenant_id)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        in_scope(here, reserve_and_fail)

    assert window(here) == (1, 0, 0, 0)


def test_tenants_do_not_share_a_budget(here: World) -> None:
    there = world()
    limited(here, 10, None)
    limited(there, 10, None)

    assert reserve(here, 10) is not None
    assert reserve(there, 10) is not None
    assert reserve(here, 1) is None
