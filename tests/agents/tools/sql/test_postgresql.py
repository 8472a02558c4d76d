"""Tools of the kind sql on a real PostgreSQL server, as a role that owns what it reads: only the platform stops it."""

import socket
import threading
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import conninfo

from agents.tools.seam import DataSource, Failed, Finished, Outcome
from agents.tools.sql import postgresql as source
from agents.tools.sql.kind import SqlKind
from egress.client import Client
from tests.agents.tools.contexts import Context, call_of
from tests.egress.names import name_server


def perform(port: int, query: str, params: Any = None, *, url: str | None = None, **spec: Any) -> Outcome:
    config = {"source": "s", "max_rows": spec.pop("max_rows", 1000)}
    kind = SqlKind(Client(frozenset({("127.0.0.1", port)})), Path("/nowhere"))
    source = DataSource("postgresql", url or f"postgresql://reader:s3cret-pass@127.0.0.1:{port}/shop")
    call = call_of("sql", config, {"query": query, "params": params}, **spec)
    return kind.call(call, Context(sources={"s": source}))


def failed(outcome: Outcome) -> Failed:
    assert isinstance(outcome, Failed), outcome
    return outcome


def fingerprint(port: int) -> Any:
    with psycopg.connect(host="127.0.0.1", port=port, user="reader", dbname="shop") as connection:
        tables = connection.execute("SELECT count(*) FROM pg_class").fetchone()
        rows = connection.execute("SELECT count(*), sum(amount) FROM orders").fetchone()
        numbers = connection.execute("SELECT last_value, is_called FROM numbers").fetchone()
        return tables, rows, numbers


def test_rows_come_with_their_columns_as_json(postgresql: int) -> None:
    outcome = perform(
        postgresql,
        "SELECT id, customer AS who, amount, at AT TIME ZONE 'UTC' AS at, at::date, NULL, id FROM orders "
        "WHERE id < 2 ORDER BY id; ",
    )

    assert outcome == Finished(
        {
            "columns": ["id", "who", "amount", "at", "at", "?column?", "id"],
            "rows": [
                [0, "C0", "0.00", "2026-01-02T03:04:05", "2026-01-02", None, 0],
                [1, "C1", "1.50", "2026-01-02T03:04:05", "2026-01-02", None, 1],
            ],
            "truncated": False,
        }
    )


def test_every_type_becomes_json(postgresql: int) -> None:
    outcome = perform(
        postgresql,
        """SELECT true, 9007199254740993::int8, 'NaN'::float8, 'Infinity'::numeric, 1e30::numeric, '\\x00ff'::bytea,
        '{"a": [1, 9007199254740993]}'::jsonb, array[1, 2], array['a', null], '1 day 2 seconds'::interval,
        '12:30'::time, '00000000-0000-0000-0000-000000000001'::uuid, '10.0.0.1'::inet, row(1, 'x'), 'x'::char(3)""",
    )

    assert isinstance(outcome, Finished)
    assert outcome.result["rows"] == [
        [
            True,
            "9007199254740993",
            "nan",
            "Infinity",
            "1" + "0" * 30,
            "\\x00ff",
            {"a": [1, "9007199254740993"]},
            [1, 2],
            ["a", None],
            "P1DT2S",
            "12:30:00",
            "00000000-0000-0000-0000-000000000001",
            "10.0.0.1/32",
            "(1,x)",
            "x",
        ]
    ]


@pytest.mark.parametrize(
    ("query", "params"),
    [
        ("SELECT %s::int + %s::int", [40, 2]),
        ("SELECT %(a)s::int + %(b)s::int", {"a": 40, "b": 2}),
        ("WITH x AS (SELECT 42 AS n) SELECT n FROM x -- the end", None),
        ("VALUES (42)", None),
        ("SELECT 42 WHERE 'a' LIKE 'a%'", None),
    ],
)
def test_queries_of_every_form_are_run(postgresql: int, query: str, params: Any) -> None:
    outcome = perform(postgresql, query, params)

    assert isinstance(outcome, Finished), outcome
    assert outcome.result["rows"] == [[42]]


def test_params_are_values_and_never_sql(postgresql: int) -> None:
    outcome = perform(postgresql, "SELECT count(*) FROM orders WHERE customer = %s", ["' OR 1=1 --"])

    assert isinstance(outcome, Finished)
    assert outcome.result["rows"] == [[0]]


@pytest.mark.parametrize(
    "query",
    [
        "INSERT INTO orders VALUES (99)",
        "UPDATE orders SET amount = 0",
        "DELETE FROM orders RETURNING *",
        "TRUNCATE orders",
        "DROP TABLE orders",
        "CREATE TABLE x (a int)",
        "CREATE TEMP TABLE x (a int)",
        "SELECT 1 INTO x",
        "SELECT * FROM orders FOR UPDATE",
        "SELECT nextval('numbers')",
        "SELECT setval('numbers', 5)",
        "WITH gone AS (DELETE FROM orders RETURNING *) SELECT * FROM gone",
        "COPY orders TO STDOUT",
        "COPY orders TO PROGRAM 'true'",
        "DO $$ BEGIN DELETE FROM orders; END $$",
        "SET default_transaction_read_only = off",
        "SET TRANSACTION READ WRITE",
        "SELECT set_config('transaction_read_only', 'off', true)",
        "BEGIN READ WRITE",
        "COMMIT",
        "EXPLAIN ANALYZE DELETE FROM orders",
        "PREPARE x AS DELETE FROM orders",
        "LISTEN x",
        "LOCK TABLE orders",
        "SELECT 1; DELETE FROM orders",
        "SELECT 1) AS a; COMMIT; SET default_transaction_read_only = off; DELETE FROM orders; SELECT * FROM (SELECT 1",
        "SELECT 1) AS a; DROP TABLE orders; --",
        "SELECT 1) AS a LIMIT 0; DELETE FROM orders; SELECT (1",
        "DELETE FROM orders; --",
        "",
        ")",
    ],
)
def test_nothing_is_ever_changed(postgresql: int, query: str) -> None:
    before = fingerprint(postgresql)
    outcome = failed(perform(postgresql, query))

    assert outcome.code in ("sql_error", "not_read_only", "bad_arguments")
    assert fingerprint(postgresql) == before


def test_a_write_inside_a_function_is_told_as_such(postgresql: int) -> None:
    assert failed(perform(postgresql, "SELECT nextval('numbers')")).code == "not_read_only"


def test_an_error_is_told_in_the_servers_words(postgresql: int) -> None:
    outcome = failed(perform(postgresql, "SELECT nowhere FROM orders"))

    assert outcome.code == "sql_error"
    assert "nowhere" in outcome.message


@pytest.mark.parametrize("query", ["SELECT pg_sleep(30)", "SELECT count(*) FROM generate_series(1, 100000000000)"])
def test_a_query_without_end_is_stopped(postgresql: int, query: str) -> None:
    outcome = failed(perform(postgresql, query, timeout_s=0.5))

    assert (outcome.code, outcome.retryable) == ("timeout", True)


def test_rows_are_cut_at_the_cap(postgresql: int) -> None:
    outcome = perform(postgresql, "SELECT generate_series(1, 1000000000) AS n", max_rows=3)

    assert isinstance(outcome, Finished)
    assert outcome.result == {"columns": ["n"], "rows": [[1], [2], [3]], "truncated": True}


def test_bytes_are_cut_at_the_cap(postgresql: int) -> None:
    outcome = perform(postgresql, "SELECT repeat('x', 9000) FROM generate_series(1, 100000)", max_rows=10_000)

    assert isinstance(outcome, Finished)
    assert outcome.result["truncated"] is True
    assert len(outcome.result["rows"]) < 30


@pytest.mark.parametrize(
    "value", ["repeat('x', 100000000)", "to_jsonb(repeat('x', 100000000))", "array_fill(1, array[1000000])"]
)
def test_a_huge_value_is_cut_by_the_server(postgresql: int, value: str) -> None:
    outcome = perform(postgresql, f"SELECT {value}")

    assert isinstance(outcome, Finished)
    assert outcome.result["truncated"] is True
    assert len(outcome.result["rows"][0][0]) < 40_000


# Connections


@pytest.mark.parametrize(
    "url",
    [
        "postgresql:///shop",
        "postgresql://reader@/shop",
        "postgresql://reader@%2Ftmp/shop",
        "postgresql://reader@127.0.0.1,10.0.0.1/shop",
        "postgresql://127.0.0.1/shop",
        "postgresql://reader@127.0.0.1/shop?options=-c%20x%3Dy",
        "postgresql://reader@127.0.0.1/shop?service=x",
        "postgresql://reader@127.0.0.1/shop?hostaddr=10.0.0.1",
        "postgresql://reader@127.0.0.1/shop?passfile=/etc/passwd",
        "postgresql://reader@127.0.0.1/shop?sslkey=/etc/passwd",
        "host=127.0.0.1 user=reader",
        "mysql://reader@127.0.0.1/shop",
        "not a url",
    ],
)
def test_a_url_that_says_more_than_where_is_refused(postgresql: int, url: str) -> None:
    assert failed(perform(postgresql, "SELECT 1", url=url)).code == "misconfigured"


@pytest.mark.parametrize("host", ["10.0.0.1", "127.0.0.2", "169.254.169.254", "2130706433", "[::1]", "127.1"])
def test_a_private_server_nobody_allowed_is_denied(postgresql: int, host: str) -> None:
    outcome = failed(perform(postgresql, "SELECT 1", url=f"postgresql://reader@{host}:{postgresql}/shop"))

    assert outcome.code == "egress_denied"


def test_another_database_or_role_is_refused_without_the_password(postgresql: int) -> None:
    url = f"postgresql://nobody:hunter2-hunter2@127.0.0.1:{postgresql}/nowhere"
    outcome = failed(perform(postgresql, "SELECT 1", url=url))

    assert (outcome.code, outcome.retryable) == ("unreachable", True)
    assert "hunter2" not in outcome.message


def test_nothing_is_taken_from_the_environment(postgresql: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "PGOPTIONS": "-c default_transaction_read_only=off",
        "PGHOST": "10.0.0.1",
        "PGPORT": "1",
    }.items():
        monkeypatch.setenv(name, value)
    outcome = perform(postgresql, "SELECT current_setting('transaction_read_only'), current_user")

    assert isinstance(outcome, Finished)
    assert outcome.result["rows"] == [["on", "reader"]]


def test_a_server_that_says_nothing_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        held: list[socket.socket] = []
        accepting = threading.Thread(target=lambda: held.append(listener.accept()[0]))
        accepting.start()
        outcome = failed(perform(listener.getsockname()[1], "SELECT 1", timeout_s=1))
        accepting.join()
        held[0].close()

    assert (outcome.code, outcome.retryable) == ("unreachable", True)


# Where it is


def through(client: Client, url: str, query: str = "SELECT 1", **spec: Any) -> Outcome:
    kind = SqlKind(client, Path("/nowhere"))
    context = Context(sources={"s": DataSource("postgresql", url)})
    return kind.call(call_of("sql", {"source": "s"}, {"query": query}, **spec), context)


def test_a_name_is_resolved_once_and_only_what_was_checked_is_connected_to(postgresql: int) -> None:
    with socket.create_server(("127.0.0.2", postgresql)) as trap:
        trap.setblocking(False)
        with name_server(lambda name, nth: ["127.0.0.1"] if nth == 0 else ["127.0.0.2"]) as names:
            client = Client(frozenset({("db.example", postgresql)}), resolver=names.resolve)
            outcome = through(client, f"postgresql://reader@db.example:{postgresql}/shop")
        with pytest.raises(BlockingIOError):
            trap.accept()

    assert isinstance(outcome, Finished)
    assert names.asked == ["db.example"]


@pytest.mark.parametrize("answers", [["127.0.0.1"], ["10.0.0.5"], ["93.184.215.14", "127.0.0.1"], ["::ffff:127.0.0.1"]])
def test_a_name_that_leads_inside_is_denied(answers: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as trap:
        trap.setblocking(False)
        port = trap.getsockname()[1]
        with name_server(lambda name, nth: answers) as names:
            url = f"postgresql://reader@db.example:{port}/shop"
            outcome = failed(through(Client(resolver=names.resolve), url))
        with pytest.raises(BlockingIOError):
            trap.accept()

    assert outcome.code == "egress_denied"


def test_each_address_of_a_name_is_tried_in_the_time_of_one(postgresql: int) -> None:
    with name_server(lambda name, nth: ["127.0.0.3", "127.0.0.2", "127.0.0.1"]) as names:
        client = Client(frozenset({("db.example", postgresql)}), resolver=names.resolve)
        outcome = through(client, f"postgresql://reader@db.example:{postgresql}/shop")

    assert isinstance(outcome, Finished)


@pytest.mark.parametrize(
    ("address", "query", "mode", "roots"),
    [
        ("10.0.0.5", "", "prefer", None),
        ("93.184.215.14", "", "require", None),
        ("93.184.215.14", "?sslmode=disable", "disable", None),
        ("93.184.215.14", "?sslmode=verify-full", "verify-full", "system"),
    ],
)
def test_over_the_internet_nothing_goes_in_clear_unasked(
    address: str, query: str, mode: str, roots: str | None
) -> None:
    given = conninfo.conninfo_to_dict(f"postgresql://reader@db.example/shop{query}")

    settings = source._settings(given, "db.example", "5432", ip_address(address), 5)  # type: ignore[arg-type]

    assert (settings["sslmode"], settings.get("sslrootcert")) == (mode, roots)
    assert settings["hostaddr"] == address
