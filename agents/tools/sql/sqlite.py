"""Queries on SQLite files of the installation.

Four fences, each enough alone against writing: the file is opened `mode=ro`; an authorizer lets a statement only
select, read, call harmless functions and recurse (no ATTACH, PRAGMA, transaction, virtual table); extensions stay
off; no second database may be attached. Time is bounded by the progress handler, memory by SQLite's own limits.
"""

import re
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID

from agents.tools.seam import Failed, Outcome
from agents.tools.sql.rows import MAX_CELL_CHARS, result

_NAME = re.compile(r"(?:sqlite:(?://)?/?)?(?P<file>[A-Za-z0-9_][A-Za-z0-9_. -]{0,126})")
_ALLOWED = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE})
# Functions of the command-line shell and of optional modules that reach files or pointers.
_FORBIDDEN_FUNCTIONS = frozenset(
    {"load_extension", "readfile", "writefile", "edit", "fts3_tokenizer", "fsdir", "lsdir"}
)
_TOO_WIDE = re.compile(r"%[^A-Za-z%]*(?:\*|[0-9]{4})")
_STEPS_BETWEEN_CHECKS = 1000
_LIMITS = (
    (sqlite3.SQLITE_LIMIT_LENGTH, 8 * MAX_CELL_CHARS),
    (sqlite3.SQLITE_LIMIT_SQL_LENGTH, 100_000),
    (sqlite3.SQLITE_LIMIT_ATTACHED, 0),
    (sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 256),
    (sqlite3.SQLITE_LIMIT_EXPR_DEPTH, 200),
    (sqlite3.SQLITE_LIMIT_COMPOUND_SELECT, 50),
)
Params = Sequence[Any] | Mapping[str, Any]


def find_file(sources_dir: Path, tenant_id: UUID, url: str) -> Path | None:
    """The file that `url` names, in the tenant's own folder or else in the shared one; None if there is none.

    url: a file's name without folders, also as `sqlite:///name`. Links that lead out of the folder are not followed.
    """
    named = _NAME.fullmatch(url)
    if named is None:
        return None
    for folder in (sources_dir / str(tenant_id), sources_dir):
        path = (folder / named["file"]).resolve()
        if path.parent == folder.resolve() and path.is_file():
            return path
    return None


def query(path: Path, sql: str, params: Params, *, max_rows: int, timeout_s: float) -> Outcome:
    """Run one read-only statement."""
    deadline = time.monotonic() + timeout_s
    try:
        with _opened(path, deadline) as connection:
            cursor = connection.execute(sql, params)
            if cursor.description is None:
                return Failed("not_read_only", "Write one SELECT; other statements are not run.")
            return result([each[0] for each in cursor.description], cursor, max_rows=max_rows)
    except (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError, UnicodeError) as error:
        return _failure(error, deadline, timeout_s)


@contextmanager
def _opened(path: Path, deadline: float) -> Iterator[sqlite3.Connection]:
    uri = f"file:{quote(str(path))}?mode=ro"
    with (
        closing(sqlite3.connect(uri, uri=True, timeout=1.0, isolation_level=None)) as connection,
        closing(sqlite3.connect(":memory:")) as formatter,
    ):
        for limit, value in _LIMITS:
            connection.setlimit(limit, value)
        connection.text_factory = lambda data: data.decode("utf-8", "replace")
        connection.set_progress_handler(lambda: int(time.monotonic() > deadline), _STEPS_BETWEEN_CHECKS)
        for name in ("printf", "format"):
            connection.create_function(name, -1, partial(_printf, formatter), deterministic=True)
        connection.set_authorizer(_authorize)
        yield connection


def _printf(formatter: sqlite3.Connection, form: Any, *values: Any) -> Any:
    """SQLite's own printf, but for widths over which it would compute for minutes without looking at the clock."""
    if _TOO_WIDE.search(str(form)):
        raise ValueError
    marks = ", ".join("?" * (1 + len(values)))
    return formatter.execute(f"SELECT printf({marks})", (form, *values)).fetchone()[0]


def _authorize(action: int, first: str | None, second: str | None, database: str | None, trigger: str | None) -> int:
    if action in _ALLOWED:
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_FUNCTION and str(second).lower() not in _FORBIDDEN_FUNCTIONS:
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY


def _failure(error: Exception, deadline: float, timeout_s: float) -> Failed:
    text = str(error)
    if time.monotonic() > deadline and "interrupted" in text:
        return Failed("timeout", f"The query did not finish within {timeout_s:g} seconds; make it smaller.", True)
    if any(told in text for told in ("not authorized", "authorization denied", "prohibited")):
        return Failed("not_read_only", "Only reading is allowed: write one SELECT on the tables of this source.")
    if "one statement" in text:
        return Failed("not_read_only", "Write one statement, without a second after a semicolon.")
    retryable = isinstance(error, sqlite3.OperationalError) and "locked" in text
    return Failed("sql_error", f"{text}.", retryable)
