"""Terms of retention, kept by workers a batch at a time: each class goes round what there is once a day.

A batch is one transaction, with one record of how much went. What a hold is over, or has not ended, is passed by and
met again in the next round. Records stay for ever; only payloads go, and rows of tables that have a term of their own.
"""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import connection

from agents.actions.runs import transaction_time
from audit import journal
from db.roles import dispatch
from db.scope import current_tenant_id, tenant_scope
from exports.actions import exports
from retention import families, places
from retention.actions import orders
from retention.classes import CONFIGURATION, DECISIONS, PLACES, RUNS, SIGN_IN
from retention.erasing import ACTOR
from retention.models import Term

log = logging.getLogger(__name__)

#: Of one batch: runs that are looked at, trees of them that are erased, records that are looked at, and payloads that
#: go, or rows that are looked at.
LOOKED: Final = 2000
TREES: Final = 50
RECORDS: Final = 5000
PAYLOADS: Final = 2000
TERMS: Final = 20

#: Between two rounds of a class, and how long one rests that could not be seen to.
ROUND: Final = timedelta(days=1)
RESTS: Final = timedelta(minutes=10)

#: A count stops here: whoever asks wants to know whether it is none, some or many.
MOST_COUNTED: Final = 10_000

_NOTHING: Final = UUID(int=0)

#: Where a round over rows by time has come to is kept as microseconds since then.
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_DUE: Final = "SELECT tenant_id, kind FROM retention_term WHERE look_at <= now() ORDER BY look_at LIMIT %s"

#: By the runs' own order, which is that of their beginning: some are looked at, whatever they are, and the last of them
#: is told beside each that is due. One whose payloads are gone has its row in `audit_erased`.
_ROOTS: Final = """
WITH looked AS MATERIALIZED (
    SELECT r.id, r.parent_id, r.ended_at FROM agents_run r
    WHERE r.tenant_id = %(tenant)s AND r.id > %(after)s AND r.id < %(bound)s ORDER BY r.id LIMIT %(looked)s
), due AS (
    SELECT r.id FROM looked r
    WHERE r.parent_id IS NULL AND r.ended_at < now() - make_interval(days => %(days)s)
    AND NOT EXISTS (SELECT FROM audit_erased e WHERE e.tenant_id = %(tenant)s AND e.stream = r.id AND e.why = 'term')
    ORDER BY r.id LIMIT %(limit)s
)
SELECT (SELECT id FROM looked ORDER BY id OFFSET %(looked)s - 1), due.id
FROM (VALUES (1)) AS always LEFT JOIN due ON true ORDER BY due.id
"""
_TREE: Final = "SELECT id FROM retention_tree(%s) AS t (id) ORDER BY id DESC"
_EXPIRE_RUN: Final = "SELECT retention_expire_run(%s, %s)"
_EXPIRE_RECORDS: Final = "SELECT gone, upto FROM retention_expire_records(%s, %s, %s)"
_ASKED_ABOUT: Final = """
SELECT count(*) FROM (
    SELECT FROM agents_run r WHERE r.tenant_id = %(tenant)s AND r.id < %(bound)s AND r.parent_id IS NULL
    AND r.ended_at < now() - make_interval(days => %(days)s)
    AND %(asked)s = EXISTS (SELECT FROM escalations_escalation e WHERE e.tenant_id = %(tenant)s AND e.run_id = r.id)
    AND NOT EXISTS (SELECT FROM audit_erased e WHERE e.tenant_id = %(tenant)s AND e.stream = r.id AND e.why = 'term')
    LIMIT %(limit)s) AS due
"""
_OLD_RECORDS: Final = """
SELECT count(*) FROM (
    SELECT FROM audit_record r JOIN audit_payload p ON p.tenant_id = r.tenant_id AND p.record_id = r.id
    WHERE r.tenant_id = %(tenant)s AND r.seq IS NULL AND r.id < %(bound)s
    AND split_part(r.action, '.', 1) NOT IN ('decision', 'appeal')
    AND %(sign_in)s = (split_part(r.action, '.', 1) IN (
        'access', 'account', 'identity', 'login', 'password', 'recovery_codes', 'second_factor', 'session'))
    LIMIT %(limit)s) AS due
"""


@dataclass(frozen=True, slots=True)
class Batch:
    """What one did. upto: how far it came; None when the round is over."""

    payloads: int
    runs: int
    upto: UUID | None


def see_to_all() -> None:
    """Do a batch of every class of every tenant whose round has come."""
    with dispatch(), connection.cursor() as cursor:
        cursor.execute(_DUE, [TERMS])
        found: list[tuple[UUID, str]] = cursor.fetchall()
    for tenant_id, kind in found:
        try:
            with tenant_scope(tenant_id):
                advance(kind)
        except Exception:
            log.exception("a term of retention cannot be kept", extra={"kind": kind})
            with tenant_scope(tenant_id):
                Term.objects.filter(kind=kind).update(look_at=transaction_time() + RESTS)


def advance(kind: str) -> Batch | None:
    """Do one batch of a class, in its tenant's scope; None when it has no term, or its round has not come."""
    orders.one_at_a_time()
    term = Term.objects.select_for_update().filter(kind=kind, look_at__lte=transaction_time()).first()
    if term is None:
        return None
    batch = _batch(term)
    if batch.payloads and term.kind not in PLACES:  # what was exported before is not to give it out again
        exports.withdraw_payloads(acting_as=ACTOR, before=transaction_time() - timedelta(days=term.days))
    if batch.payloads or batch.runs:
        facts = {"class": kind, "days": term.days, "runs": batch.runs, "count": batch.payloads}
        journal.record("retention.applied", stream=current_tenant_id(), actor=ACTOR, facts=facts)
    over = batch.upto is None
    look_at = transaction_time() + (ROUND if over else timedelta())
    Term.objects.filter(kind=kind).update(upto=batch.upto, look_at=look_at)
    return batch


def due(kind: str, days: int) -> int:
    """Return how much of a class would go by a term of so many days, at most `MOST_COUNTED`.

    Of runs, trees are counted; else payloads or rows. What a hold is over is counted as well.
    """
    parameters = {"days": days, "bound": _bound(days), "limit": MOST_COUNTED}
    if kind in (RUNS, DECISIONS):
        return int(_rows(_ASKED_ABOUT, asked=kind == DECISIONS, **parameters)[0][0])
    if kind in (SIGN_IN, CONFIGURATION):
        return int(_rows(_OLD_RECORDS, sign_in=kind == SIGN_IN, **parameters)[0][0])
    table, column, condition = PLACES[kind]
    statement = (
        f'SELECT count(*) FROM (SELECT FROM "{table}" WHERE tenant_id = %(tenant)s AND {condition}'  # noqa: S608
        f" AND {column} < now() - make_interval(days => %(days)s) LIMIT %(limit)s) AS due"
    )
    return int(_rows(statement, **parameters)[0][0])


def _batch(term: Term) -> Batch:
    if term.kind in (RUNS, DECISIONS):
        return _trees(term)
    if term.kind in (SIGN_IN, CONFIGURATION):
        with connection.cursor() as cursor:
            cursor.execute(_EXPIRE_RECORDS, [term.kind, term.upto or _NOTHING, RECORDS])
            gone, upto = cursor.fetchone()
            return Batch(gone, 0, upto)
    return _table(term)


def _trees(term: Term) -> Batch:
    after = term.upto or _NOTHING
    found = _rows(_ROOTS, after=after, bound=_bound(term.days), days=term.days, limit=TREES, looked=LOOKED)
    upto, roots = found[0][0], [root for _, root in found if root is not None]
    payloads = runs = 0
    for root in roots:
        gone, whole = _tree(root, PAYLOADS - payloads)
        payloads += sum(gone.values())
        runs += len(gone)
        if not whole:
            return Batch(payloads, runs, after)  # the rest of this tree is the next batch's
        after = root
    return Batch(payloads, runs, after if len(roots) == TREES else upto)


def _tree(root: UUID, at_most: int) -> tuple[dict[UUID, int], bool]:
    """Erase what a tree holds if all of it is past its term, the root last: its row in `audit_erased` ends it.

    Returns how many payloads of each run went, and whether the tree is done with.
    """
    gone: dict[UUID, int] = {}
    with connection.cursor() as cursor:
        cursor.execute(_TREE, [root])
        tree = [run for (run,) in cursor.fetchall() if run != root]
        families.lock([*tree, root])
        for run in [*tree, root]:
            cursor.execute(_EXPIRE_RUN, [run, at_most - sum(gone.values())])
            (count,) = cursor.fetchone()
            if count is None:
                return gone, True
            gone[run] = count
            if sum(gone.values()) >= at_most:
                return gone, False
    places.erase([*tree, root])
    return gone, True


def _table(term: Term) -> Batch:
    """Delete rows in the order of their time, some at a time: those that were made at one moment together."""
    table, column, condition = PLACES[term.kind]
    held = "AND NOT EXISTS (SELECT FROM retention_holds_of(run_id))" if table in _of_runs() else ""
    looked = (
        f'SELECT max(at), count(*) FROM (SELECT {column} AS at FROM "{table}" WHERE tenant_id = %(tenant)s'  # noqa: S608
        f" AND {column} > %(after)s AND {column} < now() - make_interval(days => %(days)s)"
        f" ORDER BY {column} LIMIT %(limit)s) AS looked"
    )
    after = _EPOCH if term.upto is None else _EPOCH + timedelta(microseconds=term.upto.int)
    last, count = _rows(looked, after=after, days=term.days, limit=PAYLOADS)[0]
    if last is None:
        return Batch(0, 0, None)
    statement = (
        f'DELETE FROM "{table}" WHERE tenant_id = %(tenant)s AND {condition} {held}'  # noqa: S608 - names of our own
        f" AND {column} > %(after)s AND {column} <= %(last)s"
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, {"tenant": current_tenant_id(), "after": after, "last": last})
        gone = int(cursor.rowcount)
    upto = UUID(int=(last - _EPOCH) // timedelta(microseconds=1))
    return Batch(gone, 0, upto if count == PAYLOADS else None)


def _of_runs() -> set[str]:
    return {table.name for table, _ in places.places()}


def _bound(days: int) -> UUID:
    """Return an id that nothing which is as old as that is above."""
    moment = transaction_time() - timedelta(days=days)
    return UUID(int=max(0, int(moment.timestamp() * 1000)) << 80)


def _rows(statement: str, **parameters: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, {"tenant": current_tenant_id(), **parameters})
        found: list[tuple[Any, ...]] = cursor.fetchall()
        return found
