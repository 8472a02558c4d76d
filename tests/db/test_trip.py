"""Several statements in one round trip: all of them or none, prepared once, and no broken state left behind."""

import threading
from collections.abc import Iterator

import psycopg
import pytest
from django.db import DataError, OperationalError, transaction
from django.db import connection as django
from django.db.transaction import TransactionManagementError

from db import trip
from db.pool import Connection, transaction_connection

SCOPE = trip.statement("test_scope", "SELECT set_config('app.tenant', %(tenant)s, true)", "tenant")
NOTE = trip.statement("test_note", "SELECT set_config('app.noted', %(text)s, false), NULL", "text")
TELL = trip.statement("test_tell", "SELECT current_setting('app.tenant', true), %(text)s::text", "text")
DIVIDE = trip.statement("test_divide", "SELECT 1 / %(by)s::integer", "by")
READ = trip.statement("test_read", "SELECT current_setting('app.noted')")
SLEEP = trip.statement("test_sleep", "SELECT pg_sleep(%(seconds)s::float)", "seconds")


@pytest.fixture
def connection(database: None) -> Iterator[Connection]:
    with transaction_connection() as raw:
        raw.execute("SELECT set_config('app.noted', 'nothing', false)")
        yield raw


def noted(connection: Connection) -> str:
    """Return what was noted last; like a row, it is gone when its transaction is undone."""
    row = connection.execute("SELECT current_setting('app.noted')").fetchone()
    assert row is not None
    return str(row[0])


def test_the_last_statements_rows_come_back_as_text(connection: Connection) -> None:
    assert trip.make(connection, (SCOPE, ["t"]), (NOTE, ["é"])) == [[(b"t",)], [("é".encode(), None)]]
    assert noted(connection) == "é"


def test_the_scope_holds_for_the_trip_and_no_longer(connection: Connection) -> None:
    assert trip.make(connection, (SCOPE, ["t"]), (TELL, ["a"]))[1] == [(b"t", b"a")]
    assert trip.make(connection, (TELL, ["b"])) == [[(b"", b"b")]]


def test_an_error_undoes_all_of_it_and_the_connection_goes_on(connection: Connection) -> None:
    for _ in range(2):
        with pytest.raises(psycopg.errors.DivisionByZero):
            trip.make(connection, (NOTE, ["lost"]), (DIVIDE, ["0"]))
    assert noted(connection) == "nothing"
    trip.make(connection, (NOTE, ["kept"]), (DIVIDE, ["1"]))
    assert noted(connection) == "kept"


def test_statements_that_were_dropped_are_prepared_again(connection: Connection) -> None:
    trip.make(connection, (SCOPE, ["t"]), (NOTE, ["one"]))
    connection.execute("DEALLOCATE ALL")
    trip.make(connection, (SCOPE, ["t"]), (TELL, ["x"]))
    trip.make(connection, (SCOPE, ["t"]), (NOTE, ["two"]))
    assert noted(connection) == "two"


def test_what_is_larger_than_the_sockets_buffers_gets_through(connection: Connection) -> None:
    ((row,),) = trip.make(connection, (NOTE, ["y" * 20_000_000]))
    assert row[0] is not None
    assert len(row[0]) == 20_000_000


def test_a_broken_connection_is_said_to_be_one(connection: Connection) -> None:
    pid = connection.info.backend_pid

    killer = threading.Timer(0.3, end, [pid])
    killer.start()
    with pytest.raises(psycopg.OperationalError):
        trip.make(connection, (SLEEP, ["30"]))
    killer.join()
    assert connection.closed


def test_a_transaction_of_several_trips_commits_or_is_undone(connection: Connection) -> None:
    with trip.transaction(connection, (SCOPE, ["t"]), (NOTE, ["one"])) as rows:
        assert rows == [[(b"t",)], [(b"one", None)]]
        assert trip.make(connection, (TELL, ["x"])) == [[(b"t", b"x")]]
    assert noted(connection) == "one"

    with pytest.raises(ZeroDivisionError), trip.transaction(connection, (NOTE, ["two"])):
        1 / len(trip.make(connection, (NOTE, ["three"]))[0][1:])
    with pytest.raises(psycopg.errors.DivisionByZero), trip.transaction(connection, (NOTE, ["four"])):
        trip.make(connection, (DIVIDE, ["0"]))
    with pytest.raises(psycopg.errors.DivisionByZero), trip.transaction(connection, (DIVIDE, ["0"])):
        pass
    assert noted(connection) == "one"


def test_a_transaction_begins_though_its_statements_were_dropped(connection: Connection) -> None:
    with trip.transaction(connection, (NOTE, ["one"])):
        pass
    connection.execute("DEALLOCATE ALL")
    with trip.transaction(connection, (NOTE, ["two"])):
        pass
    assert noted(connection) == "two"


def test_what_cannot_be_sent_is_refused_before_anything_is(connection: Connection) -> None:
    trip.make(connection, (NOTE, ["kept"]))
    with pytest.raises(psycopg.DataError):
        trip.make(connection, (NOTE, ["a"]), (NOTE, ["a\0b"]))
    with pytest.raises(UnicodeEncodeError):
        trip.make(connection, (NOTE, ["a"]), (NOTE, ["\ud800"]))
    assert noted(connection) == "kept"


def test_a_commit_that_the_server_made_a_rollback_is_not_taken_for_one(connection: Connection) -> None:
    with pytest.raises(psycopg.errors.InFailedSqlTransaction), trip.transaction(connection, (NOTE, ["lost"])):
        swallow(connection)
    assert noted(connection) == "nothing"


def swallow(connection: Connection) -> None:
    with pytest.raises(psycopg.errors.DivisionByZero):
        trip.make(connection, (DIVIDE, ["0"]))


def test_in_djangos_transaction_a_trip_is_a_part_of_it_and_its_errors_are_djangos(database: None) -> None:
    def divide() -> None:
        with transaction.atomic():
            assert trip.make_here((SCOPE, ["t"]), (TELL, ["x"]))[1] == [(b"t", b"x")]
            trip.make_here((DIVIDE, ["0"]))

    with pytest.raises(DataError):
        divide()


def test_a_connection_that_breaks_in_djangos_transaction_is_djangos_error(database: None) -> None:
    def break_off() -> None:
        with transaction.atomic():
            trip.make_here((TELL, ["x"]))
            end(django.connection.info.backend_pid)
            trip.make_here((TELL, ["x"]))

    with pytest.raises(OperationalError):
        break_off()
    django.close()


def end(pid: int) -> None:
    with transaction_connection() as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])


def test_a_django_transaction_is_begun_and_undone_with_what_was_in_it(database: None) -> None:
    trip.make_alone((NOTE, ["before"]))
    with transaction.atomic():
        trip.make_here((NOTE, ["lost"]))
        transaction.set_rollback(True)
    assert trip.make_alone((READ, [])) == [[(b"before",)]]
    with transaction.atomic():
        trip.make_here((NOTE, ["kept"]))
    assert trip.make_alone((READ, [])) == [[(b"kept",)]]


def test_nothing_is_done_in_a_transaction_that_django_will_undo(database: None) -> None:
    with transaction.atomic():
        transaction.set_rollback(True)
        with pytest.raises(TransactionManagementError):
            trip.make_here((NOTE, ["lost"]))


def test_what_is_to_be_alone_is_no_part_of_another_transaction(database: None) -> None:
    with transaction.atomic(), pytest.raises(RuntimeError):
        trip.make_alone((NOTE, ["lost"]))


def test_an_error_in_what_is_alone_leaves_no_transaction_behind(database: None) -> None:
    with pytest.raises(DataError):
        trip.make_alone((DIVIDE, ["0"]))
    assert trip.make_alone((DIVIDE, ["1"])) == [[(b"1",)]]
