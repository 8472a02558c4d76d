"""Exports as rows: a page of records a step."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from audit.exports import period, rows
from audit.stored import StoredLog
from exports import moments, parts
from exports.actions import exports
from exports.models import Export

Json = Any

_LANE: Final = 0


def step(export: Export) -> float:
    """Add the next page, and say where the one after begins; returns for how many seconds nothing is to be done."""
    moment = moments.moment(export)
    until = min(export.until, moment) if export.until else moment
    span = period.span(since=export.since, until=until)
    last = export.state.get("after")
    after = UUID(last) if last else None
    if after is None:
        _write(export, rows.FORMATS[export.format][0].encode())
    page = rows.page(span, after, payloads=export.payloads, wanted=exports.filter_of(export))
    if page.last is None:
        parts.place(export)
        exports.finished(export, {"filter": export.filter})
        return 0
    log = StoredLog.of(export.tenant_id)
    text = (each.encode() for each in rows.text_of(page, export.format, log=log.origin if log else ""))
    for _ in parts.add_all(export, _LANE, text):
        pass
    export.done += page.count
    export.state["after"] = str(page.last)
    export.state.setdefault("since", str(page.last))
    export.percent = _percent(UUID(export.state["since"]), page.last, until)
    return 0


def _write(export: Export, data: bytes) -> None:
    if data:
        parts.add(export, _LANE, data)


def _percent(first: UUID, last: UUID, until: datetime) -> int:
    """Return how far it is in time, which ids hold: nobody counts the records beforehand."""
    begun, at = first.int >> 80, last.int >> 80
    whole = int(until.timestamp() * 1000) - begun
    return max(0, min(99, (at - begun) * 100 // whole)) if whole > 0 else 99
