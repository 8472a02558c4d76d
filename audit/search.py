"""Find records of the tenant in scope. Whoever reads the log leaves a record of it.

The indexes this stands on: the primary key (tenant, id) gives a tenant's records in their order; three partial ones
find what an actor other than the engine did, what kind of thing happened beyond runs, and whom it concerned. The steps
of runs, which are nearly all records, are in none of the three; a run's are found by its stream. Words, types of step,
and several of these at once are found by pages that are made behind the sealer (`audit.finding`).
"""

from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any
from uuid import UUID

from audit import journal
from audit.finding import FIRST_ID, LAST, Sought, find, looked_through
from audit.models import Payload, Record
from db.scope import current_tenant_id

if TYPE_CHECKING:
    from django.db.models import QuerySet

Json = Any

#: Who performs the steps of runs; see the index `audit_record_actor`.
ENGINE = "engine"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which records; None does not narrow.

    actor, subject: opaque ids. action: event type. beyond_runs: whether that type never is a step of a run.
    run: the run, or other object, whose stream it is. since: the earliest time. until: the time before which. text:
    words of the facts and the payload (`audit.terms.words`), all of which it has.
    """

    actor: str | None = None
    action: str | None = None
    beyond_runs: bool = False
    subject: str | None = None
    run: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None
    text: tuple[str, ...] = ()

    def facts(self) -> dict[str, Json]:
        """Return what narrows, for the record that the log was read. What words were looked for may be of a person."""
        given = {
            "actor": self.actor,
            "action": self.action,
            "subject": self.subject,
            "run": str(self.run) if self.run else None,
            "from": self.since.isoformat() if self.since else None,
            "to": self.until.isoformat() if self.until else None,
            "words": len(self.text) or None,
        }
        return {name: value for name, value in given.items() if value is not None}


def records(wanted: Wanted) -> "QuerySet[Record]":
    """Return the records wanted, to be ordered by id."""
    rows = Record.objects.all()
    if wanted.actor is not None:
        rows = rows.filter(actor=wanted.actor)
        if wanted.actor != ENGINE:
            rows = rows.exclude(actor=ENGINE)  # what the partial index needs to be told
    if wanted.action is not None:
        rows = rows.filter(action=wanted.action)
        if wanted.beyond_runs:
            rows = rows.filter(seq=None)
    if wanted.subject is not None:
        rows = rows.filter(subject=wanted.subject)
    if wanted.run is not None:
        rows = rows.filter(stream=wanted.run)
    if wanted.since is not None:
        rows = rows.filter(id__gte=_first_id(wanted.since), at__gte=wanted.since)
    if wanted.until is not None:
        rows = rows.filter(id__lt=_first_id(wanted.until, 1), at__lt=wanted.until)
    return rows


def page(wanted: Wanted, *, before: UUID | None, limit: int) -> list[Record]:
    """Return the newest records wanted, before that id, at most `limit`.

    Pages follow each other by the last record's id: what is recorded meanwhile moves nothing.
    """
    fields = (("actor", wanted.actor), ("action", wanted.action), ("subject", wanted.subject))
    given = tuple((name, value) for name, value in fields if value is not None)
    rows = records(wanted)
    if wanted.run is not None or not (wanted.text or len(given) > 1 or (wanted.action and not wanted.beyond_runs)):
        if not wanted.text:
            return list((rows.filter(id__lt=before) if before else rows).order_by("-id")[:limit])
        return list(islice(looked_through(Sought(given, wanted.text, before=before or LAST), rows), limit))
    since = _first_id(wanted.since) if wanted.since else FIRST_ID
    until = _first_id(wanted.until, 1) if wanted.until else LAST
    return find(Sought(given, wanted.text, since, min(until, before or LAST)), rows, limit=limit)


def payload_of(record: Record) -> Payload | None:
    """Return what the record commits to; None when it was erased, or when there never was anything."""
    return Payload.objects.filter(record_id=record.id).first()


def leave_record(*, actor: str, facts: dict[str, Json]) -> None:
    """Record that `actor` read the log: once for each page or record that was shown. facts: what was asked for."""
    journal.record("log.read", stream=current_tenant_id(), actor=actor, facts=facts)


def leave_export_record(*, actor: str, facts: dict[str, Json]) -> None:
    """Record that `actor` took a part of the log away. facts: which part, in which format."""
    journal.record("log.exported", stream=current_tenant_id(), actor=actor, facts=facts)


def _first_id(at: datetime, later_ms: int = 0) -> UUID:
    """Return an id that no record of `at` or later is below; `later_ms` milliseconds later."""
    return UUID(int=max(0, int(at.timestamp() * 1000) + later_ms) << 80)
