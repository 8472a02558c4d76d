"""The session whose locks a process shares with others: what goes wrong in it costs no call's lock but its own."""

from collections.abc import Iterator
from typing import Final

import psycopg
import pytest
from django.db import connection

from agents.tools.kept import BEGIN, COMMIT, Kept
from db import session, trip
from db.pool import Connection

TAKE: Final = trip.statement("test_take", "SELECT pg_try_advisory_lock(%(key)s::bigint)", "key")
DIVIDE: Final = trip.statement("test_divide", "SELECT 1 / %(by)s::int", "by")

#: Keys as long as they come, of both signs.
OWN, OTHERS = -(2**62) - 4242, 2**62 + 4243


@pytest.fixture
def mine(database: None) -> Iterator[Kept]:
    """This process's session, with two locks."""
    made = Kept()
    for key in (OWN, OTHERS):
        take(made, key)
    yield made
    made.close()


@pytest.fixture
def elsewhere(database: None) -> Iterator[Connection]:
    """Another process's session."""
    with session.connect() as other:
        yield other


def take(of: Kept, key: int, *more: trip.Call) -> None:
    of.ask(lambda held: [(TAKE, [str(key)]), *more], lambda rows: key if rows[0] == [(b"t",)] else None)


def is_free(key: int, elsewhere: Connection) -> bool:
    """Whether somebody else gets the lock, which it gives back."""
    found = elsewhere.execute("SELECT pg_try_advisory_lock(%s) AND pg_advisory_unlock(%s)", [key, key]).fetchone()
    return found == (True,)


@pytest.mark.parametrize(
    "before",
    [
        [BEGIN, (DIVIDE, ["0"]), COMMIT],
        [(DIVIDE, ["0"])],
        [BEGIN, (DIVIDE, ["\0"]), COMMIT],
        [(DIVIDE, ["\ud800"])],
    ],
)
def test_what_cannot_be_written_costs_no_other_lock(mine: Kept, elsewhere: Connection, before: list[trip.Call]) -> None:
    mine.give_back(OWN, *before)

    assert is_free(OWN, elsewhere)
    assert not is_free(OTHERS, elsewhere)
    mine.give_back(OTHERS, BEGIN, (DIVIDE, ["1"]), COMMIT)
    assert is_free(OTHERS, elsewhere)


def test_a_lock_taken_by_a_trip_that_failed_is_free_again(mine: Kept, elsewhere: Connection) -> None:
    third = 4244

    with pytest.raises(psycopg.errors.DivisionByZero):
        take(mine, third, (DIVIDE, ["0"]))

    assert is_free(third, elsewhere)
    assert not is_free(OWN, elsewhere)
    assert not is_free(OTHERS, elsewhere)


def test_a_session_that_breaks_is_made_anew_at_once_with_its_locks(mine: Kept, elsewhere: Connection) -> None:
    assert mine._connection is not None
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 10000)", [mine._connection.info.backend_pid])
    assert is_free(OTHERS, elsewhere)

    mine.give_back(OWN)

    assert is_free(OWN, elsewhere)
    assert not is_free(OTHERS, elsewhere)
