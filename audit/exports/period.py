"""Which leaves a span of time is."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from audit.exports.errors import NothingSealed
from audit.stored import Signed, StoredLog, execute

#: Ids are UUIDv7: their order is that of time. Leaves are nearly in it, so the span takes in whatever lies between.
_LEAVES: Final = """
SELECT min(index), max(index) + 1 FROM audit_leaf
WHERE tenant_id = %(tenant)s AND generation = %(generation)s AND record_id >= %(since)s AND record_id < %(until)s
  AND index < %(size)s
"""


@dataclass(frozen=True, slots=True)
class Period:
    """Leaves `first` to before `end` of the tree of `head`; `before` is its checkpoint of `first` leaves, if not 0."""

    head: Signed
    before: Signed | None
    first: int
    end: int


@dataclass(frozen=True, slots=True)
class Span:
    """Ids of records, which hold their time: from `first_id` to before `end_id`."""

    first_id: UUID
    end_id: UUID


def span(*, since: datetime | None = None, until: datetime | None = None) -> Span:
    """Return the ids of a span of time; None leaves an end open."""
    first = UUID(int=0) if since is None else _first_id(since)
    return Span(first, UUID(int=2**128 - 1) if until is None else _first_id(until))


def of_time(log: StoredLog, *, since: datetime | None = None, until: datetime | None = None) -> Period:
    """Return the leaves of the records from `since` to before `until`, and what leads to them from a checkpoint.

    It begins where a checkpoint was signed, at or before the first of these records. Raises `NothingSealed`.
    """
    head = log.signed()
    if head is None:
        raise NothingSealed
    ids = span(since=since, until=until)
    of = {"tenant": log.tenant_id, "generation": log.generation, "since": ids.first_id, "until": ids.end_id}
    first, end = execute(_LEAVES, {**of, "size": head.head.size})[0]
    if first is None:
        first = end = head.head.size
    before = log.signed(at_most=first) if first else None
    return Period(head, before, before.head.size if before else 0, end)


def _first_id(at: datetime) -> UUID:
    return UUID(int=max(0, int(at.timestamp() * 1000)) << 80)
