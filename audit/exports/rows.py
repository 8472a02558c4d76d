"""The journal as rows: CSV for spreadsheets, JSON Lines for programs. They prove nothing; the bundle does.

Another format: a function from records to text here, and its name in `FORMATS`.
"""

import csv
import io
import json
from collections.abc import Callable, Iterator
from typing import Any, Final
from uuid import UUID

from audit.exports.period import Span
from audit.log import entries
from audit.stored import Row, execute
from db.scope import current_tenant_id

Json = Any

#: Records that are read at once.
CHUNK: Final = 2000

COLUMNS: Final = (
    "id",
    "at",
    "action",
    "actor",
    "subject",
    "stream",
    "seq",
    "outcome",
    "facts",
    "commitment",
    "payload",
    "erased",
)

_ROWS: Final = f"""
SELECT p.value, {entries.COLUMNS} FROM audit_record r
LEFT JOIN audit_payload p ON p.record_id = r.id AND p.tenant_id = r.tenant_id AND %(payloads)s
WHERE r.tenant_id = %(tenant)s AND r.id > %(after)s AND r.id < %(end)s
ORDER BY r.id LIMIT %(limit)s
"""  # noqa: S608 - constants only

#: What a spreadsheet takes for the beginning of a formula; also behind blanks.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def lines(span: Span, form: str, *, payloads: bool) -> Iterator[str]:
    """Yield the text of an export in parts, a chunk of the tenant's records at a time, oldest first.

    form: of `FORMATS`. To be called, and gone through, in the tenant's scope.
    """
    head, write = FORMATS[form]
    yield head
    of = {"tenant": current_tenant_id(), "payloads": payloads, "limit": CHUNK, "end": span.end_id}
    after: object = UUID(int=max(0, span.first_id.int - 1))
    while rows := execute(_ROWS, {**of, "after": after}):
        yield write([_values(row, payloads=payloads) for row in rows])
        after = rows[-1][1]


def _values(row: Row, *, payloads: bool) -> dict[str, Json]:
    """Return a record by `COLUMNS`; facts and payload as the JSON texts that they are."""
    value, record_id, _, at, stream, seq, action, actor, subject, outcome, commitment, facts = row
    erased = payloads and commitment is not None and value is None
    found = (record_id, at, action, actor, subject, stream, seq, outcome, facts, commitment, value, erased)
    return dict(zip(COLUMNS, found, strict=True))


def _csv(rows: list[dict[str, Json]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows([_cell(value) for value in row.values()] for row in rows)
    return text.getvalue()


def _cell(value: Json) -> str:
    """Return a cell that no spreadsheet takes for a formula."""
    if value is None:
        return ""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA) else text


def _json_lines(rows: list[dict[str, Json]]) -> str:
    return "".join(_json_line(row) for row in rows)


def _json_line(row: dict[str, Json]) -> str:
    parsed = {name: None if row[name] is None else json.loads(row[name]) for name in ("facts", "payload")}
    return json.dumps(row | parsed, ensure_ascii=False, separators=(",", ":")) + "\n"


#: Name → what stands in front, and how records are written.
FORMATS: Final[dict[str, tuple[str, Callable[[list[dict[str, Json]]], str]]]] = {
    "csv": (",".join(COLUMNS) + "\r\n", _csv),
    "jsonl": ("", _json_lines),
}
