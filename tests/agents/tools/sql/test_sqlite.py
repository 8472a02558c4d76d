"""Tools of the kind sql on SQLite files: they read, within bounds, and do nothing else."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from agents.tools.seam import DataSource, Failed, Finished, Outcome
from agents.tools.sql.kind import SqlKind
from egress.client import Client
from tests.agents.tools.contexts import TENANT, Context, call_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    sources = tmp_path / "sources"
    sources.mkdir()
    with closing(sqlite3.connect(sources / "sales.db")) as connection, connection:
        connection.execute("CREATE TABLE orders (id INTEGER, customer TEXT, amount REAL, raw BLOB)")
        connection.executemany(
            "INSERT INTO orders VALUES (?, ?, ?, ?)", [(n, f"C{n % 3}", n * 1.5, bytes([n])) for n in range(10)]
        )
    shutil.copy(sources / "sales.db", tmp_path / "outside.db")
    return sources


def perform(folder: Path, query: Any, params: Any = None, url: str = "sales.db", **spec: Any) -> Outcome:
    rows = spec.pop("max_rows", 1000)
    call = call_of("sql", {"source": "s", "max_rows": rows}, {"query": query, "params": params}, **spec)
    return SqlKind(Client(), folder).call(call, Context(sources={"s": DataSource("sqlite", url)}))


def failed(outcome: Outcome) -> Failed:
    assert isinstance(outcome, Failed), outcome
    return outcome


def test_rows_come_with_their_columns(folder: Path) -> None:
    outcome = perform(folder, "SELECT id, customer AS who, amount, raw, NULL FROM orders WHERE id < 2 ORDER BY id;")

    assert outcome == Finished(
        {
            "columns": ["id", "who", "amount", "raw", "NULL"],
            "rows": [[0, "C0", 0.0, "\\x00", None], [1, "C1", 1.5, "\\x01", None]],
            "truncated": False,
        }
    )


@pytest.mark.parametrize(("query", "params"), [("SELECT ?1 + ?2", [40, 2]), ("SELECT :a + :b", {"a": 40, "b": 2})])
def test_params_are_bound(folder: Path, query: str, params: Any) -> None:
    outcome = perform(folder, query, params)

    assert isinstance(outcome, Finished)
    assert outcome.result["rows"] == [[42]]


def test_params_are_values_and_never_sql(folder: Path) -> None:
    outcome = perform(folder, "SELECT count(*) FROM orders WHERE customer = ?", ["' OR 1=1 --"])

    assert isinstance(outcome, Finished)
    assert outcome.result["rows"] == [[0]]


def test_recursion_and_functions_are_allowed(folder: Path) -> None:
    query = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5) SELECT sum(i), upper('a') FROM n"
    )
    outcome = perform(folder, query)

    assert isinstance(outcome, Finished)
    assert outcome.result["rows"] == [[15, "A"]]


@pytest.mark.parametrize(
    "query",
    [
        "INSERT INTO orders VALUES (1, 'x', 1, NULL)",
        "UPDATE orders SET amount = 0",
        "DELETE FROM orders",
        "REPLACE INTO orders VALUES (1, 'x', 1, NULL)",
        "DROP TABLE orders",
        "CREATE TABLE x (a)",
        "CREATE TEMP TABLE x (a)",
        "CREATE VIRTUAL TABLE x USING fts5(a)",
        "CREATE TEMP TRIGGER t AFTER INSERT ON orders BEGIN SELECT 1; END",
        "ALTER TABLE orders ADD COLUMN x",
        "ATTACH DATABASE '{outside}' AS other",
        "ATTACH DATABASE 'file:{outside}?mode=rw' AS other",
        "DETACH DATABASE main",
        "VACUUM",
        "VACUUM INTO '{folder}/copy.db'",
        "REINDEX",
        "ANALYZE",
        "PRAGMA writable_schema = 1",
        "PRAGMA journal_mode",
        "PRAGMA query_only = 0",
        "SELECT * FROM pragma_database_list",
        "SELECT load_extension('/tmp/x.so')",
        "BEGIN IMMEDIATE",
        "COMMIT",
        "SAVEPOINT x",
        "SELECT 1; DELETE FROM orders",
        "SELECT 1; SELECT 2",
        "WITH x AS (SELECT 1) DELETE FROM orders",
        "-- nothing",
    ],
)
def test_anything_but_reading_is_refused(folder: Path, query: str) -> None:
    before = (folder / "sales.db").read_bytes()
    outcome = failed(perform(folder, query.format(outside=folder.parent / "outside.db", folder=folder)))

    assert outcome.code == "not_read_only"
    assert (folder / "sales.db").read_bytes() == before
    assert [path.name for path in folder.iterdir()] == ["sales.db"]


@pytest.mark.parametrize(
    "query", ["SELEC 1", "SELECT * FROM nowhere", "SELECT readfile('/etc/passwd')", "SELECT ?", "SELECT '\ud800'"]
)
def test_a_query_that_cannot_be_run_is_told(folder: Path, query: str) -> None:
    assert failed(perform(folder, query)).code == "sql_error"


@pytest.mark.parametrize(
    "url",
    [
        "../outside.db",
        "..",
        ".",
        "",
        "/etc/passwd",
        "sqlite:////etc/passwd",
        "sqlite:///../outside.db",
        "file:sales.db",
        "sales.db?mode=rw",
        "sub/sales.db",
        "link.db",
        ".hidden",
        "missing.db",
        "sales.db\0",
        "sales%2edb",
        "\uff0e\uff0e/outside.db",
        ":memory:",
    ],
)
def test_a_source_outside_the_folder_is_refused(folder: Path, url: str) -> None:
    (folder / "link.db").symlink_to(folder.parent / "outside.db")

    assert failed(perform(folder, "SELECT 1", url=url)).code == "misconfigured"
    assert not (folder / "missing.db").exists()


def test_a_source_may_be_written_as_a_url(folder: Path) -> None:
    assert isinstance(perform(folder, "SELECT 1", url="sqlite:///sales.db"), Finished)


def test_a_file_in_a_tenants_folder_is_that_tenants_alone(folder: Path) -> None:
    own, others = folder / str(TENANT), folder / "00000000-0000-0000-0000-000000000099"
    for place in (own, others):
        place.mkdir()
    shutil.copy(folder / "sales.db", own / "own.db")
    shutil.copy(folder / "sales.db", others / "theirs.db")

    assert isinstance(perform(folder, "SELECT 1", url="own.db"), Finished)
    assert failed(perform(folder, "SELECT 1", url="theirs.db")).code == "misconfigured"
    assert failed(perform(folder, "SELECT 1", url=f"{others.name}/theirs.db")).code == "misconfigured"


@pytest.mark.parametrize(
    "query",
    [
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
        "SELECT count(*) FROM orders a, orders b, orders c, orders d, orders e, orders f, orders g, orders h, orders i",
    ],
)
def test_a_query_without_end_is_stopped(folder: Path, query: str) -> None:
    outcome = failed(perform(folder, query, timeout_s=0.2))

    assert (outcome.code, outcome.retryable) == ("timeout", True)


def test_rows_are_cut_at_the_cap(folder: Path) -> None:
    outcome = perform(folder, "SELECT id FROM orders ORDER BY id", max_rows=3)

    assert isinstance(outcome, Finished)
    assert outcome.result == {"columns": ["id"], "rows": [[0], [1], [2]], "truncated": True}


def test_exactly_as_many_rows_as_the_cap_are_not_truncated(folder: Path) -> None:
    outcome = perform(folder, "SELECT id FROM orders", max_rows=10)

    assert isinstance(outcome, Finished)
    assert outcome.result["truncated"] is False


def test_bytes_are_cut_at_the_cap(folder: Path) -> None:
    query = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT hex(zeroblob(4500)) FROM n"
    outcome = perform(folder, query, max_rows=10_000)

    assert isinstance(outcome, Finished)
    assert outcome.result["truncated"] is True
    assert len(outcome.result["rows"]) < 30


def test_a_long_value_is_cut(folder: Path) -> None:
    outcome = perform(folder, "SELECT hex(zeroblob(50000))")

    assert isinstance(outcome, Finished)
    assert outcome.result["truncated"] is True
    assert len(outcome.result["rows"][0][0]) < 40_000


@pytest.mark.parametrize(
    "query",
    [
        "SELECT zeroblob(1000000000)",
        "SELECT printf('%.*c', 1000000000, 'x')",
        "SELECT format('%1000000000d', 1)",
        "SELECT printf('%,-+ 0!#.999999999c', 'x')",
    ],
)
def test_a_huge_value_is_refused_rather_than_made(folder: Path, query: str) -> None:
    assert failed(perform(folder, query)).code == "sql_error"


def test_numbers_are_formatted(folder: Path) -> None:
    outcome = perform(folder, "SELECT printf('%.2f', 1234.5), format('%05d|%-4s|%%', 42, 'ab'), printf('%Q', NULL)")

    assert isinstance(outcome, Finished)
    assert outcome.result["rows"] == [["1234.50", "00042|ab  |%", "NULL"]]


def test_numbers_that_json_has_not_become_text(folder: Path) -> None:
    outcome = perform(folder, "SELECT 9007199254740993, -9223372036854775808, 9e999")

    assert isinstance(outcome, Finished)
    assert outcome.result["rows"] == [["9007199254740993", "-9223372036854775808", "inf"]]


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"query": ""},
        {"query": 5},
        {"query": "SELECT 1\0"},
        {"query": "SELECT 1", "params": "x"},
        {"query": "SELECT ?", "params": [[1]]},
        {"query": "SELECT 1", "sql": "x"},
        {"query": "SELECT 1 " + " " * 50_000},
    ],
)
def test_arguments_that_do_not_fit_are_told(folder: Path, arguments: dict[str, Any]) -> None:
    call = call_of("sql", {"source": "s"}, arguments)
    outcome = SqlKind(Client(), folder).call(call, Context(sources={"s": DataSource("sqlite", "sales.db")}))

    assert failed(outcome).code == "bad_arguments"


@pytest.mark.parametrize("sources", [{}, {"s": DataSource("oracle", "x")}])
def test_a_source_that_is_not_there_is_a_fault_of_the_definition(folder: Path, sources: dict[str, DataSource]) -> None:
    call = call_of("sql", {"source": "s"}, {"query": "SELECT 1"})

    assert failed(SqlKind(Client(), folder).call(call, Context(sources=sources))).code == "misconfigured"


@pytest.mark.parametrize(
    ("config", "spec", "pointer"),
    [
        ({}, {}, "/source"),
        ({"source": "s", "max_rows": 0}, {}, "/max_rows"),
        ({"source": "s", "max_rows": True}, {}, "/max_rows"),
        ({"source": "s", "max_rows": 1_000_000}, {}, "/max_rows"),
        ({"source": "s", "url": "x"}, {}, "/url"),
        ({"source": "s"}, {"effect": "write"}, ""),
    ],
)
def test_a_fault_in_the_block_is_pointed_at(
    folder: Path, config: dict[str, Any], spec: dict[str, Any], pointer: str
) -> None:
    found = SqlKind(Client(), folder).problems(call_of("sql", config, **spec).definition)

    assert [problem.pointer for problem in found] == [pointer]
