"""Which runs belong together: those about somebody with all that read or repeated them; the tree that a run is in."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import connection

from db.scope import current_tenant_id

#: `down` begins with the runs that were found, and has what they started, and what repeats or undoes them or is itself
#: repeated or undone by them. `up` has what started those, which read their results, and what repeats or undoes that;
#: its other children are others' affair.
_ABOUT: Final = """
WITH RECURSIVE down AS (
    SELECT s.run_id AS id FROM agents_runsubject s
    JOIN agents_run r ON r.tenant_id = s.tenant_id AND r.id = s.run_id
    WHERE s.tenant_id = %(tenant)s AND s.digest = ANY(%(digests)s)
    AND (r.created_at <= %(until)s OR r.id = ANY(%(also)s) OR r.parent_id = ANY(%(also)s))
    UNION
    SELECT next.id FROM down CROSS JOIN LATERAL (
        SELECT r.id FROM agents_run r WHERE r.parent_id = down.id AND r.tenant_id = %(tenant)s
        UNION ALL
        SELECT r.id FROM agents_run r WHERE r.tenant_id = %(tenant)s AND r.retry_of_id = down.id
        UNION ALL
        SELECT r.id FROM agents_run r WHERE r.tenant_id = %(tenant)s AND r.reverses_id = down.id
        UNION ALL
        SELECT unnest(ARRAY[r.retry_of_id, r.reverses_id]) FROM agents_run r
        WHERE r.tenant_id = %(tenant)s AND r.id = down.id) AS next
    WHERE next.id IS NOT NULL
), up AS (
    SELECT r.parent_id AS id FROM down JOIN agents_run r ON r.tenant_id = %(tenant)s AND r.id = down.id
    WHERE r.parent_id IS NOT NULL
    UNION
    SELECT next.id FROM up CROSS JOIN LATERAL (
        SELECT unnest(ARRAY[r.parent_id, r.retry_of_id, r.reverses_id]) AS id FROM agents_run r
        WHERE r.tenant_id = %(tenant)s AND r.id = up.id
        UNION ALL
        SELECT r.id FROM agents_run r WHERE r.tenant_id = %(tenant)s AND r.retry_of_id = up.id
        UNION ALL
        SELECT r.id FROM agents_run r WHERE r.tenant_id = %(tenant)s AND r.reverses_id = up.id) AS next
    WHERE next.id IS NOT NULL)
SELECT id FROM down UNION SELECT id FROM up
"""

#: What repeats or undoes one of these runs, or repeats or undoes that.
_REPEATS: Final = """
WITH RECURSIVE again AS (
    SELECT r.id FROM agents_run r WHERE r.tenant_id = %(tenant)s AND r.retry_of_id = ANY(%(runs)s)
    UNION SELECT r.id FROM agents_run r WHERE r.tenant_id = %(tenant)s AND r.reverses_id = ANY(%(runs)s)
    UNION SELECT next.id FROM again CROSS JOIN LATERAL (
        SELECT r.id FROM agents_run r WHERE r.tenant_id = %(tenant)s AND r.retry_of_id = again.id
        UNION ALL
        SELECT r.id FROM agents_run r WHERE r.tenant_id = %(tenant)s AND r.reverses_id = again.id) AS next)
SELECT id FROM again
"""

#: A run with a question of its own that is open, or whose answer has not taken effect, is still worked with: an appeal
#: comes after the run's end.
_LIVE: Final = """
SELECT r.id FROM agents_run r WHERE r.tenant_id = %(tenant)s AND r.id = ANY(%(runs)s) AND (
    r.ended_at IS NULL OR EXISTS (
        SELECT FROM escalations_escalation e WHERE e.tenant_id = %(tenant)s AND e.run_id = r.id
        AND (e.status = 'open' OR e.answer_seq IS NOT NULL)))
ORDER BY r.id
"""

_HOLDS: Final = """
SELECT DISTINCT h FROM unnest(%(runs)s::uuid[]) AS run(id), retention_holds_of(run.id) AS h ORDER BY h
"""

#: By the journal's index of streams; escalations have streams of their own.
_PAYLOADS: Final = """
SELECT count(*) FROM (
    SELECT unnest(%(runs)s::uuid[]) AS id UNION ALL
    SELECT e.id FROM escalations_escalation e WHERE e.tenant_id = %(tenant)s AND e.run_id = ANY(%(runs)s)) AS stream
JOIN audit_record r ON r.tenant_id = %(tenant)s AND r.stream = stream.id
JOIN audit_payload p ON p.tenant_id = %(tenant)s AND p.record_id = r.id
"""

#: In one order, so that of two who do this one waits.
_LOCK: Final = """
SELECT FROM agents_run r WHERE r.tenant_id = %(tenant)s AND r.id = ANY(%(runs)s) ORDER BY r.id FOR NO KEY UPDATE
"""

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """Runs about a subject. live: those that have not ended or are asked about. holds: what holds any of them."""

    runs: tuple[UUID, ...]
    live: tuple[UUID, ...]
    holds: tuple[UUID, ...]


def about(digests: Sequence[str], *, until: datetime) -> Found:
    """Return the runs about whom these hashes stand for that were there at `until`, and all that belong to them."""
    runs = [row[0] for row in _rows(_ABOUT, digests=list(digests), until=until, also=[])]
    return Found(tuple(sorted(runs)), tuple(live(runs)), tuple(holds(runs)))


def repeating(runs: Sequence[UUID], digests: Sequence[str], *, until: datetime) -> set[UUID]:
    """Return what belongs to the subject as `about` says, and what repeats one of these runs, whenever it began."""
    again = [row[0] for row in _rows(_REPEATS, runs=list(runs))]
    return {*again, *(row[0] for row in _rows(_ABOUT, digests=list(digests), until=until, also=again))}


def live(runs: Sequence[UUID]) -> list[UUID]:
    """Return those of these runs that have not ended, or that somebody is asked about."""
    return [row[0] for row in _rows(_LIVE, runs=list(runs))]


def lock(runs: Sequence[UUID]) -> None:
    """Keep others from adding to these runs until the transaction ends; what they have added by now is seen after it.

    Appeals are made and cases kept under the same lock: an erasure comes before them, and they refuse, or after.
    """
    with connection.cursor() as cursor:
        cursor.execute(_LOCK, {"tenant": current_tenant_id(), "runs": list(runs)})


def holds(runs: Sequence[UUID]) -> list[UUID]:
    """Return the holds in force over any of these runs, or over any run of the families that they are in."""
    return [row[0] for row in _rows(_HOLDS, runs=list(runs))]


def payloads(runs: Sequence[UUID]) -> int:
    """Return how many payloads the journal has of these runs."""
    return int(_rows(_PAYLOADS, runs=list(runs))[0][0])


def _rows(statement: str, **parameters: Any) -> list[Row]:
    with connection.cursor() as cursor:
        cursor.execute(statement, {"tenant": current_tenant_id(), **parameters})
        found: list[Row] = cursor.fetchall()
        return found
