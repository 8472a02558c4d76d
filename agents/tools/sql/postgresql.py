"""Queries on PostgreSQL servers.

The server's address passes the same check as every other call to the outside, and the connection goes to exactly the
checked address. The query is put inside a SELECT and sent by the extended protocol: so it is one statement, and one
that returns rows. The session's transactions are read-only besides. What functions of the database do is up to the
rights of the role in the URL: give it a role that may only read.
"""

import math
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, cast

import psycopg
from psycopg import conninfo, errors, sql
from psycopg.postgres import types

from agents.tools.results import read_json
from agents.tools.seam import Failed, Outcome
from agents.tools.sql.bounded import BoundedConnection, TooMuchError
from agents.tools.sql.rows import MAX_CELL_CHARS, result
from egress.addresses import Address, why_not_public
from egress.client import Client
from egress.errors import EgressError, EgressFailed
from egress.urls import read_port

Params = Sequence[Any] | Mapping[str, Any]
_TAKEN_FROM_URL = frozenset({"host", "port", "user", "password", "dbname", "sslmode", "application_name"})
# Values of these types are small whatever they hold; everything else is fetched as text cut by the server.
_SMALL = frozenset(
    types[name].oid
    for name in ("bool", "int2", "int4", "int8", "oid", "float4", "float8", "date", "time", "timetz", "timestamp")
) | {types[name].oid for name in ("timestamptz", "interval", "uuid")}

_STRUCTURED = frozenset({types["json"].oid, types["jsonb"].oid}) | {each.array_oid for each in types if each.array_oid}


def query(client: Client, url: str, text: str, params: Params, *, max_rows: int, timeout_s: float) -> Outcome:
    """Run one read-only query."""
    deadline = time.monotonic() + timeout_s
    try:
        connection = _connect(client, url, deadline)
    except EgressError as error:
        code = error.code if error.code in ("egress_denied", "timeout") else "unreachable"
        return Failed(code, f"The data source cannot be reached. {error.detail}", code != "egress_denied")
    except psycopg.ProgrammingError:
        return Failed("misconfigured", "The data source's URL is not of the form postgresql://user@host/database.")
    except psycopg.Error:
        return Failed("unreachable", "The data source did not accept a connection or its credentials.", True)
    with closing(connection):
        try:
            return _read(connection, text.strip().rstrip(";"), params, max_rows)
        except (errors.QueryCanceled, errors.LockNotAvailable):
            return Failed("timeout", f"The query did not finish within {timeout_s:g} seconds; make it smaller.", True)
        except (errors.ReadOnlySqlTransaction, errors.FeatureNotSupported) as error:
            return Failed("not_read_only", f"Only reading is allowed. {_told(error)}")
        except TooMuchError:
            return Failed("too_large", "The data source sends more than a result can hold; ask for less.")
        except (psycopg.OperationalError, psycopg.InterfaceError):
            if time.monotonic() >= deadline:
                return Failed("timeout", f"The data source did not answer within {timeout_s:g} seconds.", True)
            return Failed("unreachable", "The data source cut the connection.", True)
        except (psycopg.Error, ValueError, TypeError) as error:
            return Failed("sql_error", _told(error))


def _connect(client: Client, url: str, deadline: float) -> BoundedConnection:
    if not url.startswith(("postgresql://", "postgres://")):
        raise psycopg.ProgrammingError
    given = {key: str(value) for key, value in conninfo.conninfo_to_dict(url).items()}
    host, port = given.get("host", ""), given.get("port", "5432")
    if not given.keys() <= _TAKEN_FROM_URL or not host or not given.get("user") or "," in host or "/" in host:
        raise psycopg.ProgrammingError
    place = f"[{host}]" if ":" in host else host
    found = client.addresses(place, read_port(port), timeout_s=deadline - time.monotonic())
    failure = psycopg.OperationalError()
    for address in found:
        left = deadline - time.monotonic()
        if left <= 0:
            raise EgressFailed("timeout", f"{host} did not accept a connection in time.", sent=False)
        try:
            connection = BoundedConnection.connect(**_settings(given, host, port, address, left))
        except psycopg.OperationalError as error:
            failure = error
            continue
        connection.deadline = deadline
        connection.read_only = True
        return connection
    raise failure


def _settings(given: Mapping[str, str], host: str, port: str, address: Address, left_s: float) -> dict[str, Any]:
    """Everything that libpq would otherwise take from the environment or the process's home is said here."""
    waits = " ".join(f"-c {name}={max(1, int(left_s * 1000))}" for name in ("statement_timeout", "lock_timeout"))
    # Over the Internet in clear only if the URL says so; a URL that wants the name proven has it proven by the system's
    # certificates, for no file may be named.
    tls = {"sslmode": "require" if why_not_public(address) is None else "prefer"}
    if given.get("sslmode") == "verify-full":
        tls["sslrootcert"] = "system"
    return (
        tls
        | {"application_name": "countersign", "password": "", **given}
        | {
            "host": host,
            "hostaddr": str(address),
            "port": port,
            "dbname": given.get("dbname") or given["user"],
            "passfile": "/dev/null/none",
            "sslcert": "",
            "sslkey": "",
            "gssencmode": "disable",
            "connect_timeout": str(max(2, math.ceil(left_s))),
            "client_encoding": "UTF8",
            "options": f"-c default_transaction_read_only=on {waits} -c idle_in_transaction_session_timeout=60000"
            " -c DateStyle=ISO",
        }
    )


def _read(connection: BoundedConnection, text: str, params: Params, max_rows: int) -> Outcome:
    inner = sql.SQL("(\n{}\n)").format(sql.SQL(text))
    given = params or None
    with connection.cursor() as cursor:
        probe = sql.SQL("SELECT * FROM {} AS asked LIMIT 0").format(inner)
        cursor.execute(probe, given, binary=True)  # binary: the extended protocol, so one statement, params or not
        described = cursor.description or []
        names = [sql.Identifier(f"c{number}") for number in range(len(described))]
        pairs = zip(names, described, strict=True)
        values = [_bounded(name, column.type_code) for name, column in pairs]
        outer = sql.SQL("SELECT {} FROM {} AS asked({}) LIMIT {}").format(
            sql.SQL(", ").join(values) if values else sql.SQL("NULL"),
            inner,
            sql.SQL(", ").join(names),
            sql.Literal(max_rows + 1),
        )
        readers = [_read_as(column.type_code) for column in described]
        with closing(cast(Generator[Sequence[Any]], cursor.stream(outer, given))) as rows:
            return result([column.name for column in described], _read_rows(rows, readers), max_rows=max_rows)


def _read_rows(
    rows: Iterable[Sequence[Any]], readers: Sequence[Callable[[Any], Any] | None]
) -> Iterator[Sequence[Any]]:
    for row in rows:
        yield [read(value) if read else value for value, read in zip(row, readers, strict=True)]


def _read_as(oid: int) -> Callable[[Any], Any] | None:
    return _structure if oid in _STRUCTURED else None


def _structure(text: str | None) -> Any:
    """A structure as JSON, or its head as text when the server cut it."""
    if text is None or len(text) > MAX_CELL_CHARS:
        return text
    return read_json(text)


def _bounded(name: sql.Identifier, oid: int) -> sql.Composable:
    if oid in _SMALL:
        return name
    form = "left(to_jsonb({})::text, {})" if oid in _STRUCTURED else "left({}::text, {})"
    return sql.SQL(form).format(name, sql.Literal(MAX_CELL_CHARS + 1))


def _told(error: Exception) -> str:
    if not isinstance(error, psycopg.Error) or not error.diag.message_primary:
        return f"{error}."
    hint = f" {error.diag.message_hint}" if error.diag.message_hint else ""
    return f"{error.diag.message_primary}.{hint}"
