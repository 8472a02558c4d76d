"""An export's bytes: added in lanes, put in their order at the end, read from any place on."""

import zlib
from collections.abc import Iterable, Iterator
from typing import Any, Final
from uuid import UUID

from django.db import connection

from db.scope import current_tenant_id
from exports.models import Export, Part

Json = Any

#: Bytes of a part, about.
BYTES: Final = 2 * 1024 * 1024

#: zlib's quickest: a fifth of the room for a tenth of the time that the records take.
_LEVEL: Final = 1

#: Where each part begins in the file, by lane and number.
_PLACE: Final = """
UPDATE exports_part p SET start = placed.start
FROM (SELECT id, sum(size) OVER (ORDER BY lane, n ROWS UNBOUNDED PRECEDING) - size AS start
      FROM exports_part WHERE tenant_id = %(tenant)s AND export_id = %(export)s) AS placed
WHERE p.id = placed.id AND p.tenant_id = %(tenant)s
"""

_AT: Final = """
SELECT start, data FROM exports_part
WHERE tenant_id = %(tenant)s AND export_id = %(export)s AND start <= %(at)s AND size > 0
ORDER BY start DESC LIMIT 1
"""


def add(export: Export, lane: int, data: bytes, told: Json = None) -> None:
    """Add bytes to a lane of the file. The caller saves the export, whose state numbers them."""
    lanes = export.state.setdefault("lanes", {})
    n = lanes.get(str(lane), 0)
    Part(export=export, lane=lane, n=n, size=len(data), data=zlib.compress(data, _LEVEL), told=told).save()
    lanes[str(lane)] = n + 1
    export.size += len(data)


def add_all(export: Export, lane: int, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Add pieces, several to a part; yields the bytes of each part that was added."""
    held, size = list[bytes](), 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= BYTES:
            yield _added(export, lane, held)
            held, size = [], 0
    if held:
        yield _added(export, lane, held)


def _added(export: Export, lane: int, held: list[bytes]) -> bytes:
    data = b"".join(held)
    add(export, lane, data)
    return data


def told(export: Export, *lanes: int) -> Iterator[Json]:
    """Yield what was told with each part of these lanes, in the file's order."""
    rows = Part.objects.filter(export=export, lane__in=lanes).order_by("lane", "n").values_list("told", flat=True)
    for each in rows.iterator(chunk_size=50):
        yield from each or ()


def data(export_id: UUID, lane: int, first: int, count: int) -> list[bytes]:
    """Return `count` parts of a lane from that one on, as they are kept: compressed. Fewer, when there are no more."""
    rows = Part.objects.filter(export_id=export_id, lane=lane, n__gte=first, n__lt=first + count).order_by("n")
    return [bytes(each) for each in rows.values_list("data", flat=True)]


def place(export: Export) -> None:
    """Say of each part where it begins in the file, which is whole now."""
    with connection.cursor() as cursor:
        cursor.execute(_PLACE, {"tenant": current_tenant_id(), "export": export.id})


def at(export_id: UUID, place: int) -> bytes:
    """Return the bytes of the file from `place` on to the end of the part that it is in; none when it has gone."""
    with connection.cursor() as cursor:
        cursor.execute(_AT, {"tenant": current_tenant_id(), "export": export_id, "at": place})
        row = cursor.fetchone()
    return zlib.decompress(row[1])[place - row[0] :] if row else b""
