"""Makes the pages that records are searched by, a segment of the log at a time, behind the sealer's back.

Nobody who appends waits for it or writes for it. What it makes can be made again from the journal at any time: it does
so for the segments that a payload was erased from, whose words are to go too.
"""

import time
from typing import Any, Final
from uuid import UUID

from django.db import connection

from audit import terms
from audit.stored import execute
from audit.terms import LEAVES
from db import roles
from db.scope import current_tenant_id, tenant_scope

#: Segments of one look.
MOST: Final = 8

#: Seconds between two looks for what is due.
EVERY_S: Final = 5.0

#: Which segments have to be made anew, as a payload of theirs is gone; of records that are sealed.
_STALE: Final = """
SELECT DISTINCT s.tenant_id, f.generation, (f.index / %(leaves)s)::integer FROM audit_search_stale s
JOIN audit_leaf f ON f.record_id = s.record_id AND f.tenant_id = s.tenant_id
LIMIT %(most)s
"""

#: Of which logs a whole segment has no pages yet, and which one.
_NEW: Final = """
SELECT l.tenant_id, l.generation, coalesce(done.segment + 1, 0) FROM audit_log l
CROSS JOIN LATERAL (SELECT index + 1 AS size FROM audit_leaf f WHERE f.tenant_id = l.tenant_id
    AND f.generation = l.generation ORDER BY index DESC LIMIT 1) AS tree
LEFT JOIN LATERAL (SELECT segment FROM audit_search_segment s WHERE s.tenant_id = l.tenant_id
    AND s.generation = l.generation ORDER BY segment DESC LIMIT 1) AS done ON true
WHERE tree.size >= (coalesce(done.segment + 1, 0) + 1) * %(leaves)s
LIMIT %(most)s
"""

#: First key of the advisory locks; the second is a hash of the tenant's id. One makes a log's pages at a time.
_LOCK: Final = "SELECT pg_try_advisory_xact_lock(1129267202, hashtext(%(tenant)s::text))"

#: Before payloads are read: what is erased from here on makes its segment stale again.
_FRESH: Final = """
DELETE FROM audit_search_stale s USING audit_leaf l
WHERE s.tenant_id = %(tenant)s AND l.tenant_id = s.tenant_id AND l.record_id = s.record_id
AND l.generation = %(generation)s AND l.index >= %(first)s AND l.index < %(end)s
"""

_READ: Final = f"""
SELECT l.record_id, r.action, r.actor, r.subject, r.facts::text, left(p.value, {terms.TEXT})
FROM audit_leaf l
JOIN audit_record r ON r.tenant_id = l.tenant_id AND r.id = l.record_id
LEFT JOIN audit_payload p ON p.record_id = l.record_id AND p.tenant_id = l.tenant_id
WHERE l.tenant_id = %(tenant)s AND l.generation = %(generation)s AND l.index >= %(first)s AND l.index < %(end)s
ORDER BY l.index
"""  # noqa: S608 - constants only

_OF: Final = "tenant_id = %(tenant)s AND generation = %(generation)s AND segment = %(segment)s"
_DROP: Final = (
    f"DELETE FROM audit_search_segment WHERE {_OF}",  # noqa: S608 - constants only
    f"DELETE FROM audit_search_page WHERE bucket = ANY (%(buckets)s) AND {_OF}",  # noqa: S608 - constants only
)
_ADD_SEGMENT: Final = """
INSERT INTO audit_search_segment (tenant_id, generation, segment, first_id, last_id)
VALUES (%(tenant)s, %(generation)s, %(segment)s, %(first_id)s, %(last_id)s)
"""
_ADD_PAGES: Final = """
INSERT INTO audit_search_page (tenant_id, generation, bucket, segment, postings)
SELECT %(tenant)s, %(generation)s, bucket, %(segment)s, postings
FROM unnest(%(buckets)s::smallint[], %(pages)s::bytea[]) AS page(bucket, postings)
"""


class Maker:
    """Looks every few seconds, and again at once while there is something to do."""

    def __init__(self) -> None:
        self._next = 0.0

    def see_to(self) -> None:
        """Make what is due, if it is time to look."""
        if time.monotonic() >= self._next and not make_due():
            self._next = time.monotonic() + EVERY_S


def make_due(most: int = MOST) -> int:
    """Make the pages of what was sealed or erased since, some segments at a time; returns how many segments."""
    due: list[tuple[UUID, int, int]] = []
    with roles.seal():
        for statement in (_STALE, _NEW):  # what was erased is not to wait behind what is new
            due += execute(statement, {"leaves": LEAVES, "most": most - len(due)})
    made = 0
    for tenant_id, generation, segment in due:
        with tenant_scope(tenant_id):
            made += make(generation, segment)
    return made


def make(generation: int, segment: int) -> bool:
    """Make a segment's pages, anew if need be, in the tenant's scope; says False when another process is at it."""
    of: dict[str, Any] = {"tenant": current_tenant_id(), "generation": generation, "segment": segment}
    if not execute(_LOCK, of)[0][0]:
        return False
    span = {**of, "first": segment * LEAVES, "end": (segment + 1) * LEAVES}
    with connection.cursor() as cursor:
        cursor.execute(_FRESH, span)
        rows = execute(_READ, span)
        ids = [row[0] for row in rows]
        for statement in _DROP:
            cursor.execute(statement, {**of, "buckets": list(range(terms.BUCKETS))})
        if len(rows) == LEAVES:  # else a record is gone, and the verifier will say so: what is left is looked through
            pages = terms.pages(terms.of(*row[1:]) for row in rows)
            cursor.execute(_ADD_SEGMENT, {**of, "first_id": min(ids), "last_id": max(ids)})
            cursor.execute(_ADD_PAGES, {**of, "buckets": list(pages), "pages": list(pages.values())})
    return True
