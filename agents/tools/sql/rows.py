"""Rows as JSON, within bounds. Pure but for the iterator it reads."""

import json
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from math import isfinite
from typing import Any

from agents.tools.results import SAFE_INTEGER
from agents.tools.seam import Finished

#: Bytes of JSON kept of all rows, and characters kept of one value.
MAX_BYTES = 200 * 1024
MAX_CELL_CHARS = 32 * 1024


def result(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, max_rows: int) -> Finished:
    """Return `{columns, rows, truncated}`, reading no more of `rows` than is kept and one more."""
    kept: list[list[Any]] = []
    size, truncated = 0, False
    for row in rows:
        if len(kept) == max_rows:
            truncated = True
            break
        values = [_cut(as_json(value)) for value in row]
        truncated = truncated or any(cut for _, cut in values)
        line = [value for value, _ in values]
        size += len(json.dumps(line, ensure_ascii=False).encode("utf-8", "replace"))
        if size > MAX_BYTES:
            truncated = True
            break
        kept.append(line)
    return Finished({"columns": list(columns), "rows": kept, "truncated": truncated})


def as_json(value: Any) -> Any:
    """One value of a database as JSON that every reader reads alike (RFC 7493).

    Decimals, and integers beyond 2^53 - 1, become strings; dates and times ISO 8601; bytes `\\x` and hexadecimal
    digits; numbers that JSON has not (`NaN`, `Infinity`) their names.
    """
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, int):
        return value if abs(value) <= SAFE_INTEGER else str(value)
    if isinstance(value, float):
        return value if isfinite(value) else str(value)
    if isinstance(value, Decimal):
        return format(value, "f") if value.is_finite() else str(value)
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, timedelta):
        return _duration(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return "\\x" + bytes(value).hex()
    if isinstance(value, dict):
        return {str(key): as_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_json(item) for item in value]
    return str(value)


def _duration(value: timedelta) -> str:
    sign, value = ("-", -value) if value < timedelta(0) else ("", value)
    seconds = Decimal(value.seconds) + Decimal(value.microseconds) / 1_000_000
    return f"{sign}P{value.days}DT{seconds.normalize():f}S"


def _cut(value: Any) -> tuple[Any, bool]:
    if isinstance(value, str) and len(value) > MAX_CELL_CHARS:
        return value[:MAX_CELL_CHARS] + "…", True
    return value, False
