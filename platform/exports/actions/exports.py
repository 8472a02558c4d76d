"""Ask for an export, take it away, let it go."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models import Sum

from access.acting import acting
from agents.actions.runs import transaction_time
from audit import journal
from audit.exports.rows import FORMATS, Filter
from db.scope import current_tenant_id
from exports.errors import (
    BadPeriod,
    BundleIsWhole,
    Gone,
    NotReady,
    TooManyExports,
    TooManyKept,
    TooMuchKept,
    UnknownExport,
)
from exports.models import Export, Part
from tenants.principal import Principal

Json = Any

BUNDLE: Final = "bundle"
ALL_FORMATS: Final = (BUNDLE, *FORMATS)

#: Who makes exports and lets them go.
MAKER: Final = "system:exports"

#: For how long one is kept, and how many of a tenant are made at a time.
KEPT: Final = timedelta(days=7)
MAX_OPEN: Final = 10
MAX_KEPT: Final = 50

#: Whoever counts a tenant's exports to add one is alone, until the transaction ends.
_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtext('countersign.exports'), hashtext(%s))"

OPEN: Final = ("queued", "running")


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be in an export. since: the earliest time; until: the time before which; None leaves it open."""

    format: str
    since: datetime | None = None
    until: datetime | None = None
    filter: Filter = field(default_factory=Filter)
    payloads: bool = True

    def facts(self) -> dict[str, Json]:
        """Return it for the record."""
        return {
            "format": self.format,
            "from": self.since.isoformat() if self.since else None,
            "to": self.until.isoformat() if self.until else None,
            "filter": filter_json(self.filter),
            "payloads": self.payloads,
        }


def filter_json(wanted: Filter) -> dict[str, str]:
    """Return what narrows."""
    given = {
        "actor": wanted.actor,
        "action": wanted.action,
        "subject": wanted.subject,
        "run": str(wanted.run) if wanted.run else None,
    }
    return {name: value for name, value in given.items() if value is not None}


def filter_of(export: Export) -> Filter:
    """Return what narrows the export."""
    run = export.filter.get("run")
    rest = {name: export.filter.get(name) for name in ("actor", "action", "subject")}
    return Filter(**rest, run=UUID(run) if run else None)


def ask(asked: Asked, *, acting_as: Principal) -> Export:
    """Have an export made; a worker begins within a second or two.

    Raises `BadPeriod`, `BundleIsWhole` for a bundle with a filter, `TooManyExports`, `TooManyKept`, `AccessDenied`.
    """
    with acting(acting_as, "audit:export") as actor:
        if asked.since and asked.until and asked.since >= asked.until:
            raise BadPeriod
        if asked.format == BUNDLE and asked.filter != Filter():
            raise BundleIsWhole
        with connection.cursor() as cursor:
            cursor.execute(_LOCK, [str(current_tenant_id())])
        if Export.objects.filter(status__in=OPEN).count() >= MAX_OPEN:
            raise TooManyExports
        if Export.objects.filter(status__in=(*OPEN, "ready")).count() >= MAX_KEPT:
            raise TooManyKept
        now = transaction_time()
        export = Export(
            format=asked.format,
            since=asked.since,
            until=asked.until,
            filter=filter_json(asked.filter),
            payloads=asked.payloads,
            asked_by=actor,
            created_at=now,
            next_at=now,
        )
        export.save()
        _record("export.requested", export, actor, asked.facts())
        return export


def download(export_id: UUID, *, first: int, end: int, acting_as: Principal) -> Export:
    """Record that somebody takes bytes `first` to before `end` away; returns the export.

    Raises `UnknownExport`, `NotReady`, `Gone`, `AccessDenied`.
    """
    with acting(acting_as, "audit:export") as actor:
        export = ready(export_id)
        _record("export.downloaded", export, actor, {"first": first, "end": end, "size": export.size})
        return export


def withdraw(export_id: UUID, *, acting_as: Principal | str) -> Export:
    """Let an export go before its time, or stop making it. Raises `UnknownExport`, `AccessDenied`."""
    with acting(acting_as, "audit:export") as actor:
        export = _locked(export_id)
        if export.status != "expired":
            let_go(export, actor)
        return export


def withdraw_payloads(*, acting_as: Principal | str, before: datetime | None = None) -> int:
    """Let go of every export of the tenant that may hold what concerns people; returns how many.

    before: what is erased is older; exports that begin later have none of it.

    For who erases a person's data: what was exported before is not to give it out again.
    """
    with acting(acting_as) as actor:
        rows = Export.objects.select_for_update().filter(payloads=True).exclude(status="expired")
        if before is not None:
            rows = rows.exclude(since__gte=before)
        found = list(rows.order_by("id"))
        for export in found:
            let_go(export, actor)
        # Nothing is left of one that was let go; whoever erases sees to it.
        Part.objects.filter(export__payloads=True, export__status="expired").delete()
        return len(found)


def ready(export_id: UUID) -> Export:
    """Return an export that can be downloaded. Raises `UnknownExport`, `NotReady`, `Gone`."""
    export = Export.objects.filter(id=export_id).first()
    if export is None:
        raise UnknownExport
    if export.status in OPEN:
        raise NotReady
    if export.status != "ready":
        raise Gone
    return export


def check_room(export: Export) -> None:
    """Raise `TooMuchKept` when the tenant's exports take more room than they may, together with what is made of this.

    The caller holds its row. Several that are made at once may go beyond by a step each.
    """
    kept = Export.objects.filter(status__in=(*OPEN, "ready")).aggregate(size=Sum("size"))["size"]
    if (kept or 0) > settings.EXPORTS_BYTES:
        raise TooMuchKept


def finished(export: Export, facts: dict[str, Json]) -> None:
    """Say that it is made. The caller holds its row."""
    now = transaction_time()
    export.status, export.percent, export.ready_at = "ready", 100, now
    export.expires_at = export.next_at = now + KEPT
    export.total = export.done
    export.save()
    asked = {"format": export.format, "payloads": export.payloads, "count": export.done, "by": export.asked_by}
    journal.record(
        "log.exported", stream=current_tenant_id(), actor=MAKER, facts={**asked, "export": str(export.id), **facts}
    )


def failed(export: Export, code: str, detail: str) -> None:
    """Say that it cannot be made, and why. The caller holds its row."""
    Part.objects.filter(export=export).delete()
    export.status, export.error, export.detail, export.size = "failed", code, detail[:500], 0
    export.next_at = export.expires_at = transaction_time() + KEPT
    export.save()
    _record("export.failed", export, MAKER, {"code": code}, outcome="failed")


def let_go(export: Export, actor: str = MAKER) -> None:
    """Forget its bytes; that it was made stays known, and whoever is making it stops. The caller holds its row."""
    Part.objects.filter(export=export).delete()
    export.status, export.next_at, export.size = "expired", None, 0
    export.epoch += 1
    export.save()
    _record("export.expired", export, actor, {})


def _locked(export_id: UUID) -> Export:
    export = Export.objects.select_for_update().filter(id=export_id).first()
    if export is None:
        raise UnknownExport
    return export


def _record(action: str, export: Export, actor: str, facts: dict[str, Json], outcome: journal.Outcome = "ok") -> None:
    journal.record(action, stream=export.id, actor=actor, facts=facts, outcome=outcome)
