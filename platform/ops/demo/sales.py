"""The sales that the data analyst reads: a SQLite file, made up but always the same."""

import os
import random
import sqlite3
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from typing import Final

NAME: Final = "sales.db"
YEAR: Final = 2025
LINES: Final = 720

_PRODUCTS: Final = (
    ("Desk lamp", "Lighting", 1_800, 4_990),
    ("Floor lamp", "Lighting", 4_100, 10_900),
    ("Office chair", "Seating", 11_000, 24_500),
    ("Stool", "Seating", 2_300, 5_900),
    ("Standing desk", "Desks", 21_000, 42_900),
    ("Side table", "Desks", 3_900, 8_900),
    ("Headphones", "Audio", 3_200, 7_900),
    ("Speaker", "Audio", 5_600, 13_900),
)
_REGIONS: Final = ("North", "South", "East", "West")
_SCHEMA: Final = """
CREATE TABLE products (
  id INTEGER PRIMARY KEY, name TEXT NOT NULL, category TEXT NOT NULL, unit_cost_minor INTEGER NOT NULL
);
CREATE TABLE order_lines (
  id INTEGER PRIMARY KEY, ordered_on TEXT NOT NULL, region TEXT NOT NULL,
  product_id INTEGER NOT NULL REFERENCES products (id), quantity INTEGER NOT NULL, unit_price_minor INTEGER NOT NULL
);
CREATE INDEX order_lines_by_day ON order_lines (ordered_on);
"""


def write(path: Path, tenant: str) -> bool:
    """Make the tenant's file unless it is there; return whether it was made."""
    if path.exists():
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    unfinished.unlink(missing_ok=True)
    with closing(sqlite3.connect(unfinished)) as connection, connection:
        connection.executescript(_SCHEMA)
        connection.executemany(
            "INSERT INTO products VALUES (?, ?, ?, ?)",
            [(number, name, category, cost) for number, (name, category, cost, _) in enumerate(_PRODUCTS, start=1)],
        )
        connection.executemany("INSERT INTO order_lines VALUES (?, ?, ?, ?, ?, ?)", _lines(tenant))
    os.replace(unfinished, path)
    return True


def _lines(tenant: str) -> list[tuple[int, str, str, int, int, int]]:
    """Return order lines over one year; later months sell more, and July less."""
    chance = random.Random(f"sales of {tenant}")  # noqa: S311 - figures to look at, nothing to guard
    days = [date(YEAR, 1, 1) + timedelta(days=number) for number in range(365)]
    weights = [(20 + day.month) * (0.5 if day.month == 7 else 1.0) for day in days]
    chosen = sorted(chance.choices(days, weights, k=LINES))
    lines = []
    for number, day in enumerate(chosen, start=1):
        product = chance.randrange(len(_PRODUCTS))
        price = _PRODUCTS[product][3]
        lines.append(
            (number, day.isoformat(), chance.choice(_REGIONS), product + 1, chance.choice((1, 1, 1, 2, 2, 3)), price)
        )
    return lines
