"""The journal as rows: CSV for spreadsheets, JSON Lines for programs, OCSF for whoever gathers security events.

They prove nothing; the bundle does. Another format: a function from a record to text, and its name in `FORMATS`.
"""

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from audit import journal, source
from audit.exports import ocsf
from audit.exports.bundle import LARGE, ONE
from audit.exports.period import Span
from audit.log import entries
from audit.stored import Row, execute
from db.scope import current_tenant_id

Json = Any

#: Records that are looked at at once.
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
    "v",
    "trace",
)

#: A page by the primary key, or by a run's own index; then what is wanted of it. The last id is told of an empty one
#: too, so that a search for what is rare goes on in steps that end.
_PAGE: Final = f"""
WITH page AS MATERIALIZED (
    SELECT r.* FROM audit_record r
    WHERE r.tenant_id = %(tenant)s AND r.id > %(after)s AND r.id < %(end)s
      AND (%(run)s::uuid IS NULL OR r.stream = %(run)s)
    ORDER BY r.id LIMIT %(limit)s
)
SELECT last.id, r.id, p.record_id IS NOT NULL, CASE WHEN octet_length(p.value) <= {LARGE} THEN p.value END,
       {entries.COLUMNS}
FROM (SELECT id FROM page ORDER BY id DESC LIMIT 1) AS last
LEFT JOIN page r ON (%(actor)s::text IS NULL OR r.actor = %(actor)s)
    AND (%(action)s::text IS NULL OR r.action = %(action)s) AND (%(subject)s::text IS NULL OR r.subject = %(subject)s)
LEFT JOIN audit_payload p ON p.record_id = r.id AND p.tenant_id = r.tenant_id AND %(payloads)s
ORDER BY r.id
"""  # noqa: S608 - constants only

#: What the first records of these runs say: the trace id of all that follows in them.
_TRACES: Final = """
SELECT stream::text, facts->>'trace' FROM audit_record
WHERE tenant_id = %(tenant)s AND stream = ANY (%(runs)s::uuid[]) AND seq = 1 AND id >= %(since)s
"""

#: What a spreadsheet takes for the beginning of a formula, at a cell's beginning, also behind blanks. Some take more
#: than the comma for the end of a cell, so what stands behind such a separator begins one too.
_FORMULA: Final = re.compile("(^|[,;|\"'\t\r\n])([ \t\r\n]*)(?=[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20])")

#: The same within JSON, whose strings say any character in another way; a number is no formula.
_JSON_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*"')
_IN_JSON: Final = re.compile("([\",;|'][ ]*|\\\\[trn][ ]*)([=+\\-@\uff1d\uff0b\uff0d\uff20])")


@dataclass(frozen=True, slots=True)
class Filter:
    """Which records; None does not narrow. actor, subject: opaque ids. action: event type. run: whose stream it is."""

    actor: str | None = None
    action: str | None = None
    subject: str | None = None
    run: UUID | None = None


@dataclass(slots=True)
class Page:
    """Some records of an export. last: the id that was looked at last; None when there are no more. count: of records.

    rows: as they are read, by `COLUMNS` but without their payloads' large ones.
    """

    last: UUID | None
    rows: list[dict[str, Json]] = field(default_factory=list)

    @property
    def count(self) -> int:
        """How many records there are in it."""
        return len(self.rows)


def page(span: Span, after: UUID | None, *, payloads: bool, wanted: Filter | None = None) -> Page:
    """Return the next records of a span, oldest first. after: where the page before ended; None at the beginning.

    To be called in the tenant's scope.
    """
    wanted = wanted or Filter()
    of = {
        "tenant": current_tenant_id(),
        "payloads": payloads,
        "limit": CHUNK,
        "end": span.end_id,
        "after": UUID(int=max(0, span.first_id.int - 1)) if after is None else after,
        "actor": wanted.actor,
        "action": wanted.action,
        "subject": wanted.subject,
        "run": wanted.run,
    }
    rows = execute(_PAGE, of)
    if not rows:
        return Page(None)
    return Page(rows[0][0], _traced([_values(row[2:], payloads=payloads) for row in rows if row[1] is not None]))


def text_of(page: Page, form: str, *, log: str = "") -> Iterator[str]:
    """Yield the page's text, a record at a time. form: of `FORMATS`. log: the log's origin, for formats that say it."""
    _, write = FORMATS[form]
    for row in page.rows:
        if row["payload"] is _LARGE:
            found = execute(ONE, {"record": row["id"], "tenant": current_tenant_id()})
            row |= {"payload": found[0][0] if found else None, "erased": not found}
        yield write(row, log)


def lines(span: Span, form: str, *, payloads: bool, wanted: Filter | None = None) -> Iterator[str]:
    """Yield the text of an export in parts, a chunk of the tenant's records at a time, oldest first.

    form: of `FORMATS`. To be called, and gone through, in the tenant's scope.
    """
    yield FORMATS[form][0]
    after: UUID | None = None
    while (some := page(span, after, payloads=payloads, wanted=wanted)).last is not None:
        yield "".join(text_of(some, form))
        after = some.last


#: Stands for a payload that is read when it is written.
_LARGE: Final = "(large)"


def _values(row: Row, *, payloads: bool) -> dict[str, Json]:
    """Return a record by `COLUMNS`; facts and payload as the JSON texts that they are."""
    there, value, record_id, v, at, stream, seq, action, actor, subject, outcome, commitment, facts = row
    erased = payloads and commitment is not None and not there
    shown = _LARGE if there and value is None else value
    found = (record_id, at, action, actor, subject, stream, seq, outcome, facts, commitment, shown, erased)
    trace = json.loads(facts).get("trace") if '"trace"' in facts else None
    return dict(zip(COLUMNS, (*found, v, trace), strict=True))


def _traced(rows: list[dict[str, Json]]) -> list[dict[str, Json]]:
    """Say of each step of a run the run's trace id, which its first record alone holds."""
    steps = [row for row in rows if row["seq"] is not None]
    runs = sorted({row["stream"] for row in steps})
    if runs:
        of = {"tenant": current_tenant_id(), "runs": runs, "since": journal.since_of(UUID(runs[0]))}  # they ascend
        found: dict[str, str | None] = dict(execute(_TRACES, of))
        for row in steps:
            row["trace"] = found.get(row["stream"]) or source.own_trace(UUID(row["stream"]))
    return rows


def _csv(row: dict[str, Json], _: str) -> str:
    text = io.StringIO()
    cells = [_json_cell(row[name]) if name in ("facts", "payload") else _cell(row[name]) for name in COLUMNS]
    csv.writer(text, lineterminator="\r\n").writerow(cells)
    return text.getvalue()


def _cell(value: Json) -> str:
    """Return a cell that no spreadsheet takes for a formula, in whole or in part."""
    if value is None:
        return ""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return _FORMULA.sub(r"\1'\2", text) if _FORMULA.search(text) else text


def _json_cell(text: str | None) -> str:
    """Return the same for a JSON text, which stays the JSON that it was: what is dangerous is written as an escape."""
    if text is None:
        return ""
    if _IN_JSON.search(text):
        text = _JSON_STRING.sub(lambda found: _IN_JSON.sub(_escaped, found[0]), text)
    return f"'{text}" if text.startswith("-") else text  # a number by itself


def _escaped(found: "re.Match[str]") -> str:
    return f"{found[1]}\\u{ord(found[2]):04x}"


def _json_line(row: dict[str, Json], _: str) -> str:
    head = {name: row[name] for name in COLUMNS if name not in ("facts", "payload", "erased")}
    return (
        f'{json.dumps(head, ensure_ascii=False, separators=(",", ":"))[:-1]},"facts":{row["facts"]},'
        f'"payload":{row["payload"] or "null"},"erased":{"true" if row["erased"] else "false"}}}\n'
    )


def _ocsf(row: dict[str, Json], log: str) -> str:
    return ocsf.line(row, log)


#: Name → what stands in front, and how a record is written.
FORMATS: Final[dict[str, tuple[str, Callable[[dict[str, Json], str], str]]]] = {
    "csv": (",".join(COLUMNS) + "\r\n", _csv),
    "jsonl": ("", _json_line),
    "ocsf": ("", _ocsf),
}
