"""Finds records by their words and fields, newest first, out of the pages that `audit.indexing` makes.

What is not in a page yet, the newest records, is looked through. The pages find too much now and then, so each record
is looked at before it is shown; what is shown is in the journal at that moment.
"""

import heapq
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from audit import terms
from audit.models import Payload, Record
from audit.stored import StoredLog, execute
from audit.terms import LEAVES, Term
from db.scope import current_tenant_id

if TYPE_CHECKING:
    from django.db.models import QuerySet

#: Segments whose pages are read at once: few, as what is common is in the newest one, then more.
FIRST: Final = 1
MORE: Final = 512

#: Records that are looked at at once.
BATCH: Final = 100

#: How much older than the newest record in a page one may be that is in none: it was recorded long before its
#: transaction ended. Milliseconds.
LATE_MS: Final = 15_000

_SEGMENTS: Final = """
SELECT segment, last_id FROM audit_search_segment
WHERE tenant_id = %(tenant)s AND generation = %(generation)s AND first_id < %(before)s AND last_id >= %(since)s
ORDER BY last_id DESC
"""
_PAGES: Final = """
SELECT segment, postings FROM audit_search_page
WHERE tenant_id = %(tenant)s AND generation = %(generation)s AND bucket = %(bucket)s AND segment = ANY (%(segments)s)
"""
_IDS: Final = """
SELECT record_id FROM audit_leaf
WHERE tenant_id = %(tenant)s AND generation = %(generation)s AND index = ANY (%(indexes)s)
  AND record_id < %(before)s AND record_id >= %(since)s
"""
#: Where what is in no page begins: the oldest of the records that are sealed and in none.
_REST: Final = """
SELECT min(record_id::text)::uuid FROM (
    SELECT record_id FROM audit_leaf WHERE tenant_id = %(tenant)s AND generation = %(generation)s AND index >= %(end)s
    ORDER BY index LIMIT 20000) AS rest
"""
_END: Final = """
SELECT segment, last_id FROM audit_search_segment WHERE tenant_id = %(tenant)s AND generation = %(generation)s
ORDER BY segment DESC LIMIT 1
"""

#: Of records that are looked through: whether a word may be in one.
_MAY_HAVE: Final = """
strpos(lower(audit_record.facts::text), %s) > 0 OR EXISTS (
    SELECT FROM audit_payload p WHERE p.record_id = audit_record.id AND p.tenant_id = audit_record.tenant_id
      AND strpos(lower(p.value), %s) > 0)
"""

#: Beyond all ids, and before them.
LAST: Final = UUID(int=2**128 - 1)
FIRST_ID: Final = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Sought:
    """fields: (`actor`, `action`, `subject`) with values. words: as `terms.words` has them. All of it has to be there.

    since, before: ids of records, from the one to before the other.
    """

    fields: tuple[tuple[str, str], ...]
    words: tuple[str, ...] = ()
    since: UUID = FIRST_ID
    before: UUID = LAST

    def terms(self) -> list[Term]:
        """Return its terms, those first that are likely to be rare."""
        written = [*sorted(self.words, key=len, reverse=True), *(terms.field(*each) for each in self.fields)]
        return [terms.term(text) for text in written]

    def has(self, record: Record, payload: str | None) -> bool:
        """Say whether the record is wanted. payload: its JSON text."""
        if any(getattr(record, name) != value for name, value in self.fields):
            return False
        return not self.words or set(self.words) <= terms.of(
            record.action, record.actor, record.subject, json.dumps(record.facts, ensure_ascii=False), payload
        )


def find(sought: Sought, rows: "QuerySet[Record]", *, limit: int) -> list[Record]:
    """Return the newest records that are wanted, at most `limit`, in the tenant's scope.

    rows: the tenant's records of these fields, for what is in no page yet.
    """
    log = StoredLog.of(current_tenant_id())
    of = {"tenant": current_tenant_id(), "generation": log.generation if log else 0}
    rest = _rest(of)
    newest = rows.filter(id__gte=max(rest, sought.since), id__lt=sought.before)
    streams = (looked_through(sought, newest), _in_pages(sought, of, rows))
    found: dict[UUID, Record] = {}
    for record in heapq.merge(*streams, key=lambda each: each.id, reverse=True):
        found[record.id] = record
        if len(found) == limit:
            break
    return list(found.values())


def _rest(of: dict[str, Any]) -> UUID:
    """Return the id from which on records may be in no page."""
    end = execute(_END, of)
    if not end:
        return FIRST_ID
    segment, last = end[0]
    oldest = execute(_REST, {**of, "end": (segment + 1) * LEAVES})[0][0]
    first = min(last, oldest) if oldest else last
    return UUID(int=max(0, (first.int >> 80) - LATE_MS) << 80)


def looked_through(sought: Sought, rows: "QuerySet[Record]") -> Iterator[Record]:
    """Yield what is wanted of these records, newest first."""
    before = sought.before
    for word in sought.words:
        if word.isascii():  # the database says sooner which ones cannot have it
            rows = rows.extra(where=[_MAY_HAVE], params=[word, word])  # noqa: S610 - a constant
    while some := list(rows.filter(id__lt=before).order_by("-id")[:BATCH]):
        yield from _wanted(sought, some)
        before = some[-1].id


def _in_pages(sought: Sought, of: dict[str, Any], rows: "QuerySet[Record]") -> Iterator[Record]:
    """Yield what is wanted of the records in pages, newest first: segments overlap a little in time."""
    segments = execute(_SEGMENTS, {**of, "before": sought.before, "since": sought.since})
    waiting: list[UUID] = []  # ids of candidates, ascending
    at, count = 0, FIRST
    while at < len(segments) or waiting:
        some = [segment for segment, _ in segments[at : at + count]]
        at += count
        if some:
            waiting = sorted({*waiting, *_candidates(sought, of, some)})
        beyond = segments[at][1] if at < len(segments) else FIRST_ID
        while waiting and waiting[-1] > beyond:
            ids = [each for each in waiting[-BATCH:] if each > beyond]
            del waiting[-len(ids) :]
            yield from _wanted(sought, list(rows.filter(id__in=ids, id__gte=ids[0], id__lte=ids[-1]).order_by("-id")))
        count = min(MORE, count * 4)


def _candidates(sought: Sought, of: dict[str, Any], segments: Sequence[int]) -> list[UUID]:
    """Return the ids of records in these segments that may be wanted."""
    found: dict[int, set[int]] = {}
    left = list(segments)
    for number, term in enumerate(sought.terms()):
        pages: dict[int, bytes] = dict(execute(_PAGES, {**of, "bucket": term.bucket, "segments": left}))
        there = {segment: terms.places(page, term.kept) for segment, page in pages.items()}
        found = {
            segment: both
            for segment, places in there.items()
            if (both := places if number == 0 else places & found.get(segment, set()))
        }
        left = list(found)
        if not left:
            return []
    indexes = [segment * LEAVES + place for segment, places in found.items() for place in places]
    return [row[0] for row in execute(_IDS, {**of, "indexes": indexes, "before": sought.before, "since": sought.since})]


def _wanted(sought: Sought, records: Sequence[Record]) -> Iterator[Record]:
    """Yield those of the records that are wanted."""
    payloads: dict[UUID, str] = {}
    if sought.words:
        ids = [record.id for record in records if record.commitment is not None]
        bounds = {"record_id__gte": min(ids), "record_id__lte": max(ids)} if ids else {}
        payloads = dict(Payload.objects.filter(record_id__in=ids, **bounds).values_list("record_id", "value"))
    for record in records:
        if sought.has(record, payloads.get(record.id)):
            yield record
