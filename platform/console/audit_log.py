"""The tenant's log as the audit pages show it: its head, who cosigned which head, and what is not sealed yet.

Read in the tenant's scope.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from audit import proving
from audit.exports.errors import NothingSealed
from audit.log import note
from audit.log.note import BadNote
from audit.log.witness import cosigned_at
from audit.models import Record
from audit.stored import BrokenLog, Signed, StoredLog
from console import wording
from tenants.models import Tenant

#: A record that waits longer than this for its seal is said to be late.
LATE: Final = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Leaf:
    """Where a record is in the log. index: None while it is not under a signed head."""

    origin: str
    index: int | None
    size: int


@dataclass(frozen=True, slots=True)
class Cosignature:
    """What is known of a witness.

    size: leaves of the newest tree that it cosigned, None of one that cosigned nothing yet; behind: leaves added since.
    """

    name: str
    size: int | None
    at: datetime | None
    behind: int
    is_asked: bool


@dataclass(frozen=True, slots=True)
class Head:
    """The log's last signed head. lag: how long the newest record has waited for its seal; nothing when it has it."""

    origin: str
    generation: int
    size: int
    root: str
    at: datetime
    note: str
    vkeys: list[str]
    witnesses: list[Cosignature]
    lag: str
    is_late: bool


def head_of(tenant: Tenant) -> tuple[Head | None, str]:
    """Return the head, and what is wrong with it in a sentence; neither when nothing was sealed yet."""
    try:
        log, signed = proving.head_of(tenant.id)
    except NothingSealed:
        return None, ""
    except BrokenLog as error:
        return None, str(error)
    waits = _waits(log, signed)
    head = Head(
        origin=log.origin,
        generation=log.generation,
        size=signed.head.size,
        root=signed.head.root.hex(),
        at=signed.at,
        note=proving.cosigned(log, signed).decode(),
        vkeys=proving.vkeys(log),
        witnesses=sorted(_witnesses(log, signed, tenant.slug), key=lambda each: each.name),
        lag=wording.duration(waits) if waits else "",
        is_late=waits is not None and waits > LATE,
    )
    return head, ""


def place_of(record: Record) -> Leaf | None:
    """Return where a record is in the log of its tenant; None when there is none yet."""
    log = StoredLog.of(record.tenant_id)
    try:
        signed = log.signed() if log else None
    except BrokenLog:
        signed = None
    if log is None or signed is None:
        return None
    index = log.index_of(record.id)
    return Leaf(log.origin, index if index is not None and index < signed.head.size else None, signed.head.size)


def places_of(tenant_id: UUID, records: list[UUID]) -> dict[UUID, int]:
    """Return the leaves of those of the records that are in the log."""
    log = StoredLog.of(tenant_id)
    return log.indexes_of(records) if log else {}


def _waits(log: StoredLog, signed: Signed) -> timedelta | None:
    newest = Record.objects.order_by("-id").values_list("id", "at").first()
    index = log.index_of(newest[0]) if newest else None
    if newest is None or (index is not None and index < signed.head.size):
        return None
    return timezone.now() - newest[1]


def _witnesses(log: StoredLog, signed: Signed, slug: str) -> Iterator[Cosignature]:
    """Yield those that cosigned, and those that are asked for this log and have not."""
    asked = {each.name for each in settings.WITNESSES if not each.logs or slug in each.logs}
    seen = set()
    for size, lines in log.cosigned(at_most=signed.head.size).items():
        for name, at in _signed_by(lines):
            seen.add(name)
            yield Cosignature(name, size, at, signed.head.size - size, name in asked)
    for name in asked - seen:
        yield Cosignature(name, None, None, signed.head.size, is_asked=True)


def _signed_by(lines: tuple[str, ...]) -> Iterator[tuple[str, datetime]]:
    try:
        signatures = note.parse(("-\n\n" + "".join(lines)).encode()).signatures
    except BadNote:
        return  # as it stands there; whoever verifies the note sees that it is none
    for each in signatures:
        yield f"{each.name}+{each.key_id.hex()}", datetime.fromtimestamp(min(cosigned_at(each), 2**35), UTC)
