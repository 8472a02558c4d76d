"""The sales file: the same at every making, another for each tenant."""

import sqlite3
from contextlib import closing
from pathlib import Path

from ops.demo import sales


def dump(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


def test_it_is_always_the_same_and_another_for_each_tenant(tmp_path: Path) -> None:
    for name, tenant in (("one", "acme"), ("two", "acme"), ("three", "globex")):
        assert sales.write(tmp_path / name / sales.NAME, tenant)

    assert dump(tmp_path / "one" / sales.NAME) == dump(tmp_path / "two" / sales.NAME)
    assert dump(tmp_path / "one" / sales.NAME) != dump(tmp_path / "three" / sales.NAME)


def test_it_is_made_once(tmp_path: Path) -> None:
    path = tmp_path / sales.NAME
    assert sales.write(path, "acme")
    before = path.stat().st_mtime_ns

    assert not sales.write(path, "acme")
    assert path.stat().st_mtime_ns == before


def test_a_half_made_file_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "sales.unfinished").write_bytes(b"half")

    assert sales.write(tmp_path / sales.NAME, "acme")
    with closing(sqlite3.connect(tmp_path / sales.NAME)) as connection:
        assert connection.execute("SELECT COUNT(*) FROM order_lines").fetchone() == (sales.LINES,)
        months = connection.execute("SELECT COUNT(DISTINCT substr(ordered_on, 1, 7)) FROM order_lines").fetchone()
    assert months == (12,)
