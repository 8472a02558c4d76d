"""Exports as bundles: a ZIP archive, some leaves a step.

Its lanes are the stretches of the archive. What stands before the leaves' lines, their header, is known only after
them, and the manifest and the directory after all others; nothing is kept in memory for either: parts tell of it.
"""

import hashlib
import itertools
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final
from uuid import UUID

from django.db import connection

from audit.exports import bundle
from audit.exports.archive import Member, directory
from audit.exports.errors import NothingSealed
from audit.exports.period import Period, of_time
from audit.log.note import Signer
from audit.sealer import keys
from audit.sealer.errors import LogRefused
from audit.stored import BrokenLog, StoredLog
from audit.verify import manifest
from db.scope import tenant_scope
from exports import moments, parts
from exports.actions import exports
from exports.models import Export

Json = Any

#: The archive's stretches, in their order.
HEAD, BUNDLES, LINES_HEADER, LINES, MANIFEST_HEADER, MANIFEST, END = range(7)

#: Tiles of a step, and how often it is looked whether all is sealed, a second apart or more, before it is given up.
#: Counted by looks, not by a clock: a turn that comes late, or workers that were down, say nothing about the sealer.
TILES: Final = 256
LOOKS: Final = 60

#: Parts of the leaves' lines that are read at once, once all are there.
PARTS: Final = 16

#: Whether nothing of before waits to be sealed, nor is sealed beyond the checkpoint. A row's first id is its least.
_SEALED: Final = """
SELECT NOT EXISTS (SELECT FROM audit_outbox o WHERE o.tenant_id = %(tenant)s AND o.record_ids[1] < %(before)s)
   AND NOT EXISTS (SELECT FROM audit_outbox_aside o WHERE o.tenant_id = %(tenant)s AND o.record_ids[1] < %(before)s)
   AND NOT EXISTS (SELECT FROM audit_leaf l WHERE l.tenant_id = %(tenant)s AND l.generation = %(generation)s
                   AND l.index >= %(size)s AND l.record_id < %(before)s)
"""


def step(export: Export, digest: str | None = None) -> float:
    """Add what comes next; returns for how many seconds nothing is to be done.

    digest: of the leaves' lines, from `digest_of`, once all of them are there.
    """
    if "size" not in export.state:
        return _begin(export)
    log, period = _pinned(export)
    signers = keys.signers(log.origin)
    chunks = bundle.Chunks(log, period, payloads=export.payloads)
    tiles = bundle.hash_tiles(period)
    done = export.state["tiles"]
    if done is None:
        bundle.check(log, period, signers)
        _add(export, HEAD, bundle.fixed(log, period, signers))
        export.state["tiles"] = 0
    elif done < len(tiles):
        _add(export, HEAD, ((tile.path, log.data(tile)) for tile in tiles[done : done + TILES]))
        export.state["tiles"] = done + TILES
    elif export.state["at"] < chunks.end:
        _add_leaves(export, chunks, period)
    elif digest is not None:
        _finish(export, log, period, signers, digest)
    else:
        export.state["written"] = True
    return 0


def digest_of(tenant_id: UUID, export_id: UUID, go_on: Callable[[], bool]) -> str | None:
    """Return the SHA-256 of the leaves' lines in hex, once all of them are there; None when `go_on` says so.

    Some parts a transaction, in which nothing is locked but for what `go_on` does. What it read stays as it is: nobody
    adds to this stretch any more, and who lets the export go moves it on from this hold.
    """
    digest = hashlib.sha256()
    for at in itertools.count(step=PARTS):
        with tenant_scope(tenant_id):
            if not go_on():
                return None
            some = parts.data(export_id, LINES, at, PARTS)
        for data in some:
            digest.update(zlib.decompress(data))
        if len(some) < PARTS:
            break
    return digest.hexdigest()


def _begin(export: Export) -> float:
    """Choose the tree's head; waits for one that has all that was recorded until the export's moment."""
    log = StoredLog.of(export.tenant_id)
    signed = log.signed() if log else None
    if log is None or signed is None or not _sealed(export, log, signed.head.size):
        export.state |= {"waits_for": "seal", "looks": export.state.get("looks", 0) + 1}
        if export.state["looks"] > LOOKS:
            if signed is None:
                raise NothingSealed
            raise LogRefused("The log is not sealed; see docs/compliance.md, “When a log is not sealed”.")
        return moments.LOOK_S
    period = of_time(log, since=export.since, until=export.until)
    export.state |= {
        "generation": log.generation,
        "size": period.head.head.size,
        "first": period.first,
        "end": period.end,
        "at": bundle.Chunks(log, period, payloads=export.payloads).start,
        "tiles": None,
        "crc": 0,
        "length": 0,
    }
    export.total = period.end - period.first
    return 0


def _sealed(export: Export, log: StoredLog, size: int) -> bool:
    before = UUID(int=int(moments.moment(export).timestamp() * 1000) << 80)
    of: dict[str, Any] = {
        "tenant": export.tenant_id,
        "generation": log.generation,
        "size": size,
        "before": before,
    }
    with connection.cursor() as cursor:
        cursor.execute(_SEALED, of)
        return bool(cursor.fetchone()[0])


def _pinned(export: Export) -> tuple[StoredLog, Period]:
    """Return the log and the period as the first step chose them."""
    state = export.state
    log = StoredLog.of(export.tenant_id, generation=state["generation"])
    head = log.signed(at_most=state["size"]) if log else None
    if log is None or head is None or head.head.size != state["size"]:
        raise BrokenLog(f"The checkpoint of {state['size']} leaves, which the export began with, is gone.")
    before = log.signed(at_most=state["first"]) if state["first"] else None
    return log, Period(head, before, state["first"], state["end"])


def _add(export: Export, lane: int, files: Iterable[tuple[str, bytes]]) -> None:
    """Add files as members of the archive."""
    for some in _batched(files, 64):
        held, told = [], []
        for name, data in some:
            member = Member(name, zlib.crc32(data), len(data))
            held += [member.header, data]
            told.append([name, hashlib.sha256(data).hexdigest(), member.crc, member.size])
        parts.add(export, lane, b"".join(held), told)


def _batched(files: Iterable[tuple[str, bytes]], count: int) -> Iterator[list[tuple[str, bytes]]]:
    rest = iter(files)
    while some := list(itertools.islice(rest, count)):
        yield some


def _add_leaves(export: Export, chunks: bundle.Chunks, period: Period) -> None:
    state = export.state
    chunk = chunks.read(state["at"])
    _add(export, BUNDLES, chunk.bundles)
    for data in parts.add_all(export, LINES, chunks.lines(chunk)):
        state["crc"] = zlib.crc32(data, state["crc"])
        state["length"] += len(data)
    if chunk.left_out:
        parts.add(export, LINES, b"", [[index, why.where, why.why] for index, why in chunk.left_out])
    state["at"] = chunk.upto
    export.done = min(chunk.upto, period.end) - period.first
    whole = chunks.end - chunks.start
    export.percent = min(99, (chunk.upto - chunks.start) * 100 // whole)


def _finish(export: Export, log: StoredLog, period: Period, signers: list[Signer], digest: str) -> None:
    """Write the manifest, the headers that were not known before, and the archive's directory."""
    state = export.state
    lines = Member(bundle.LINES, state["crc"], state["length"])
    parts.add(export, LINES_HEADER, lines.header, [[lines.name, digest, lines.crc, lines.size]])
    files = ((name, sha256) for name, sha256, *_ in parts.told(export, HEAD, BUNDLES, LINES_HEADER))
    sha256, crc, length = hashlib.sha256(), 0, 0
    text = manifest.written(
        log.origin, period.first, period.end, period.head.head.size, files, lambda: parts.told(export, LINES)
    )
    for data in parts.add_all(export, MANIFEST, text):
        sha256.update(data)
        crc, length = zlib.crc32(data, crc), length + len(data)
    whole = Member(manifest.NAME, crc, length)
    parts.add(export, MANIFEST_HEADER, whole.header, [[whole.name, "", whole.crc, whole.size]])
    _add(export, END, [(manifest.NOTE, manifest.signed_digest(sha256.hexdigest(), signers).whole.encode())])
    for _ in parts.add_all(export, END, directory(_members(export))):
        pass
    parts.place(export)
    exports.finished(export, {"from": period.first, "to": period.end, "size": period.head.head.size})


def _members(export: Export) -> Iterator[Member]:
    for name, _, crc, size in parts.told(export, HEAD, BUNDLES, LINES_HEADER, MANIFEST_HEADER, END):
        yield Member(name, crc, size)
