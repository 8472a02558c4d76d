"""Several statements as one transaction in one round trip: libpq's pipeline mode, driven by hand.

For the few statements that run at every step: psycopg's own pipeline costs four times the CPU. Without BEGIN, what
stands before the sync is one implicit transaction (PostgreSQL's documentation, "Pipeline Mode"): all of it is
committed, or none.
"""

import re
import select
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID
from weakref import WeakKeyDictionary

from django.db import connection as django
from psycopg import DataError, Error, OperationalError, pq
from psycopg.errors import InFailedSqlTransaction, InvalidSqlStatementName, error_from_result

from db.pool import Connection

#: The time of the transaction's start, for `moment` to read.
MICROSECONDS: Final = "(extract(epoch FROM now()) * 1000000)::bigint"
_DAWN: Final = datetime(1970, 1, 1, tzinfo=UTC)

_PARAMETER: Final = re.compile(r"%\((\w+)\)s")

#: Names of the statements that each connection has prepared.
_prepared: Final[WeakKeyDictionary[Connection, set[bytes]]] = WeakKeyDictionary()

Row = tuple[bytes | None, ...]


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement that is prepared once on each connection and takes only text parameters.

    name: of its own among all of them. sql: with `$1`, `$2`, …
    """

    name: bytes
    sql: bytes


def statement(name: str, query: str, *parameters: str) -> Statement:
    """Return `query`, whose parameters are written `%(name)s`, for values given in the order of `parameters`."""
    numbered = _PARAMETER.sub(lambda found: f"${parameters.index(found[1]) + 1}", query)
    return Statement(f"trip_{name}".encode(), numbered.encode())


#: A statement with its values; None is NULL.
Call = tuple[Statement, Sequence[str | None]]

_BEGIN: Final[Call] = (Statement(b"trip_begin", b"BEGIN"), ())
_COMMIT: Final[Call] = (Statement(b"trip_commit", b"COMMIT"), ())
_ROLLBACK: Final[Call] = (Statement(b"trip_rollback", b"ROLLBACK"), ())


def integer(value: bytes | None) -> int:
    """Read an integer of a row."""
    return int(value or b"")


def uuid(value: bytes | None) -> UUID:
    """Read a UUID of a row."""
    return UUID(str(value or b"", "ascii"))


def moment(value: bytes | None) -> datetime:
    """Read a time of a row, given as microseconds since 1970 (`MICROSECONDS`)."""
    return _DAWN + timedelta(microseconds=int(value or b""))


def make(connection: Connection, *calls: Call) -> list[list[Row]]:
    """Run `calls` in one round trip; returns the rows of each, as text.

    connection: in autocommit mode, where the trip is a transaction of its own, and commits; or in a transaction that
    `transaction` began, of which it is a part. Raises `psycopg.Error` as a cursor would; then nothing was written,
    unless it is an `OperationalError`: when the connection broke, nobody knows.
    """
    return [_rows(result) for result in _results(connection, calls)]


def _rows(result: pq.abc.PGresult) -> list[Row]:
    return [tuple(result.get_value(row, column) for column in range(result.nfields)) for row in range(result.ntuples)]


def make_here(*calls: Call) -> list[list[Row]]:
    """Do the same as a part of the Django transaction that this thread is in; raises Django's errors.

    As its first it is begun with them: Django leaves the BEGIN to psycopg, which would make a round trip of it. Raises
    `TransactionManagementError` when Django is going to undo the transaction whatever happens in it.
    """
    django.ensure_connection()
    django.validate_no_broken_transaction()
    with django.wrap_database_errors:
        idle = django.connection.info.transaction_status == pq.TransactionStatus.IDLE
        if django.in_atomic_block and idle:
            return make(django.connection, _BEGIN, *calls)[1:]
        return make(django.connection, *calls)


def make_alone(*calls: Call) -> list[list[Row]]:
    """Do the same as a transaction of its own over Django's connection, whose calls may hold SET LOCAL.

    Raises Django's errors, and `RuntimeError` inside another transaction, as Django does for durable ones.
    """
    if django.in_atomic_block:
        raise RuntimeError("This must be a transaction of its own; it was called in another one.")
    try:
        return make_here(_BEGIN, *calls, _COMMIT)[1:-1]
    except BaseException:
        if django.connection is not None:
            with django.wrap_database_errors:
                _undo(django.connection)
        raise


@contextmanager
def transaction(connection: Connection, *calls: Call) -> Iterator[list[list[Row]]]:
    """Begin a transaction with `calls`, in one round trip, and yield their rows; leaving commits, an error undoes."""
    try:
        yield begin(connection, *calls)
        if connection.info.transaction_status != pq.TransactionStatus.IDLE:  # else `make_last` has ended it
            make_last(connection)
    except BaseException:
        _undo(connection)
        raise


def begin(connection: Connection, *calls: Call) -> list[list[Row]]:
    """Begin a transaction with `calls`, in one round trip; returns their rows.

    For `transaction`, and inside of it behind `make_last`.
    """
    return make(connection, _BEGIN, *calls)[1:]


def make_last(connection: Connection, *calls: Call) -> list[list[Row]]:
    """End the block of `transaction` with `calls` and the COMMIT, in one round trip; returns their rows."""
    *results, ended = _results(connection, [*calls, _COMMIT])
    if ended.command_status != b"COMMIT":
        raise InFailedSqlTransaction("an error that nobody raised had undone this transaction")
    return [_rows(result) for result in results]


def _undo(connection: Connection) -> None:
    if connection.info.transaction_status in (pq.TransactionStatus.INTRANS, pq.TransactionStatus.INERROR):
        make(connection, _ROLLBACK)


def _results(connection: Connection, calls: Sequence[Call]) -> list[pq.abc.PGresult]:
    sent = [(called, [None if value is None else _encoded(value) for value in values]) for called, values in calls]
    try:
        return _exchange(connection, sent)
    except InvalidSqlStatementName:
        if connection.info.transaction_status != pq.TransactionStatus.IDLE:
            raise
        return _exchange(connection, sent)  # nothing was written, and what was missing is known now


def _encoded(value: str) -> bytes:
    if "\0" in value:
        raise DataError("text with the character NUL cannot be kept")  # libpq would cut it there
    return value.encode()


def _exchange(
    connection: Connection, calls: Sequence[tuple[Statement, Sequence[bytes | None]]]
) -> list[pq.abc.PGresult]:
    wire, ready = connection.pgconn, _prepared.setdefault(connection, set())
    new = list({called.name: called for called, _ in calls if called.name not in ready}.values())
    wire.enter_pipeline_mode()
    try:
        for called in new:
            wire.send_prepare(called.name, called.sql)
        for called, values in calls:
            wire.send_query_prepared(called.name, values)
        wire.pipeline_sync()
        _send(wire)
        results = _receive(wire)
    finally:
        if wire.status == pq.ConnStatus.OK:
            wire.exit_pipeline_mode()
    error = _error(connection, results)
    if isinstance(error, InvalidSqlStatementName):
        ready.clear()  # psycopg drops all prepared statements after some errors, ours with its own
    prepared = zip(new, results, strict=False)  # after a failure there may be fewer results
    ready.update(called.name for called, result in prepared if result.status == pq.ExecStatus.COMMAND_OK)
    if error is not None:
        raise error
    return results[len(new) :]


def _error(connection: Connection, results: Sequence[pq.abc.PGresult]) -> Error | None:
    failed = next((result for result in results if result.status == pq.ExecStatus.FATAL_ERROR), None)
    if failed is None:
        return None
    if connection.pgconn.status != pq.ConnStatus.OK:
        return OperationalError(f"the connection to the database broke: {failed.error_message.decode()}")
    return error_from_result(failed, connection.info.encoding)


def _send(wire: pq.abc.PGconn) -> None:
    while wire.flush():
        # The server may have answers to give before it takes more.
        poll = select.poll()
        poll.register(wire.socket, select.POLLIN | select.POLLOUT)
        if any(event & select.POLLIN for _, event in poll.poll()):
            wire.consume_input()


def _receive(wire: pq.abc.PGconn) -> list[pq.abc.PGresult]:
    """Return the results before the sync. It waits in `poll`: libpq's own waiting would stop all other threads."""
    poll = select.poll()
    poll.register(wire.socket, select.POLLIN)
    results: list[pq.abc.PGresult] = []
    while True:
        while wire.is_busy():
            poll.poll()
            wire.consume_input()
        result = wire.get_result()
        if result is None:  # between two statements
            if wire.status != pq.ConnStatus.OK:
                raise OperationalError("the connection to the database broke")
        elif result.status == pq.ExecStatus.PIPELINE_SYNC:
            return results
        else:
            results.append(result)
