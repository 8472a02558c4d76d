"""The audit bundle: leaves with their payloads, the tiles that prove them, checkpoints, keys, a signed manifest.

What each file holds is fixed by the contract in docs/compliance.md; `audit.verify` reads it. Its parts are made one by
one, and nothing grows with the period: into a folder by `write`, into an archive by whoever keeps parts.
"""

import hashlib
import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final
from uuid import UUID

from audit import heads
from audit.erased import why
from audit.exports.errors import FolderNotEmpty
from audit.exports.period import Period
from audit.exports.readme import readme
from audit.log import entries, merkle, note, tiles
from audit.log.note import Signer
from audit.log.tiles import ENTRIES, WIDTH, Tile
from audit.stored import BrokenLog, Row, Signed, StoredLog, execute
from audit.verify import manifest
from audit.verify.bundle import WITNESSED
from audit.verify.manifest import Left

Json = Any

LINES: Final = "entries.jsonl"

#: Why a payload is not in the bundle.
WITHHELD: Final = Left("withheld", "payloads were not asked for")

#: Leaves that are read at once; payloads above so many bytes are read one at a time, when they are written.
CHUNK: Final = 16 * WIDTH
LARGE: Final = 16 * 1024

_ROWS: Final = f"""
SELECT l.index, r.id IS NULL, p.record_id IS NOT NULL,
       CASE WHEN %(payloads)s AND octet_length(p.value) <= {LARGE} THEN p.value END,
       CASE WHEN %(payloads)s THEN encode(p.salt, 'hex') END, {entries.COLUMNS}
FROM audit_leaf l
LEFT JOIN audit_record r ON r.tenant_id = l.tenant_id AND r.id = l.record_id
LEFT JOIN audit_payload p ON p.record_id = l.record_id AND p.tenant_id = l.tenant_id
WHERE l.tenant_id = %(tenant)s AND l.generation = %(generation)s AND l.index >= %(first)s AND l.index < %(end)s
ORDER BY l.index
"""  # noqa: S608 - constants only

#: A payload by itself.
ONE: Final = "SELECT value FROM audit_payload WHERE record_id = %(record)s AND tenant_id = %(tenant)s"


@dataclass(frozen=True, slots=True)
class Written:
    """What a bundle tells of: leaves `first` to before `end` of a tree of `size`."""

    first: int
    end: int
    size: int


def write(folder: Path, log: StoredLog, period: Period, *, signers: Sequence[Signer], payloads: bool = True) -> Written:
    """Write the bundle of a period into a folder of its own; returns its bounds. To be called in the log's scope.

    signers: the log's keys, newest first. payloads: whether to show them. Raises `FolderNotEmpty`, `BrokenLog` when the
    database no longer holds what was sealed or one of these keys signed, `OSError`.
    """
    if folder.exists() and any(folder.iterdir()):
        raise FolderNotEmpty
    check(log, period, signers)
    with ExitStack() as stack:
        files, left_out = (stack.enter_context(tempfile.TemporaryFile("w+")) for _ in range(2))
        for name, data in fixed(log, period, signers):
            _put(folder, name, data, files)
        for tile in hash_tiles(period):
            _put(folder, tile.path, log.data(tile), files)
        _write_leaves(folder, Chunks(log, period, payloads=payloads), files, left_out)
        text = manifest.written(
            log.origin, period.first, period.end, period.head.head.size, _spooled(files), lambda: _spooled(left_out)
        )
        digest = hashlib.sha256()
        with (folder / manifest.NAME).open("wb") as file:
            for piece in text:
                digest.update(piece)
                file.write(piece)
    (folder / manifest.NOTE).write_bytes(manifest.signed_digest(digest.hexdigest(), signers).whole.encode())
    return Written(period.first, period.end, period.head.head.size)


def check(log: StoredLog, period: Period, signers: Sequence[Signer]) -> None:
    """Raise `BrokenLog` unless the period's checkpoints are those that the log's keys signed, of this tree."""
    for signed in (period.head, period.before):
        if signed is not None:
            heads.check(log, signed, [signer.key for signer in signers])


def fixed(log: StoredLog, period: Period, signers: Sequence[Signer]) -> Iterator[tuple[str, bytes]]:
    """Yield by name the files that are there once, whatever the period: checkpoints, keys, what to read first."""
    yield "checkpoint", period.head.note
    yield "vkey", "".join(f"{signer.key.text}\n" for signer in signers).encode()
    yield "README.txt", readme(log.origin).encode()
    if period.before is not None:
        # One of today's keys signed it already, as `check` found; so nothing is signed that none of them stands for.
        yield "previous", _leading_on(log, period, signers, period.before)
    for size, lines in log.cosigned(at_most=period.head.head.size).items():
        cosigned = _cosigned(log, size, signers)
        if cosigned is not None:
            yield f"{WITNESSED}{size}", _leading_on(log, period, signers, cosigned, lines)


def hash_tiles(period: Period) -> list[Tile]:
    """Return the tiles of hashes that prove the period's leaves, in order."""
    covering = tiles.covering(period.first, period.end, period.head.head.size)
    return [tile for tile in covering if tile.level != ENTRIES]


def _cosigned(log: StoredLog, size: int, signers: Sequence[Signer]) -> Signed | None:
    """Return the checkpoint of that size, which a witness cosigned; None when none of today's keys signed it.

    Who verifies with these could not tell whose it is. Raises `BrokenLog` when it is gone.
    """
    signed = log.signed(at_most=size)
    if signed is None or signed.head.size != size:
        raise BrokenLog(f"{log.origin} has lost its checkpoint of {size} leaves, which a witness cosigned.")
    try:
        heads.check(log, signed, [signer.key for signer in signers])
    except heads.UnknownKeys:
        return None
    return signed


def _leading_on(
    log: StoredLog, period: Period, signers: Sequence[Signer], before: Signed, cosignatures: Sequence[str] = ()
) -> bytes:
    """Return a checkpoint of the log, signed by today's keys too, an empty line, and the proof that leads on."""
    size = period.head.head.size
    signed = note.parse(before.note)
    there = {(each.name, each.key_id) for each in signed.signatures}
    missing = [each for each in signers if (each.key.name, each.key.key_id) not in there]
    whole = note.Note(signed.text, (*signed.signatures, *(each.sign(signed.text) for each in missing))).whole
    whole += "".join(cosignatures)
    proof = merkle.consistency_proof(before.head.size, size, log.subtree(size))
    return (whole + "\n" + "".join(f"{note.encode(each)}\n" for each in proof)).encode()


@dataclass(slots=True)
class Chunk:
    """Some of a period's leaves. bundles: the entry bundles that hold them, by path. rows: as they are read.

    left_out: of the leaves whose line shows no payload although there was one, why; complete once `lines` is gone
    through.
    """

    upto: int
    bundles: list[tuple[str, bytes]]
    rows: list[tuple[int, Row, bytes]]
    left_out: list[tuple[int, Left]]


class Chunks:
    """Reads a period's leaves, a chunk at a time, from any that `starts` or the one before ended with."""

    def __init__(self, log: StoredLog, period: Period, *, payloads: bool) -> None:
        self._log, self._period, self._payloads = log, period, payloads
        first, end, size = period.first, period.end, period.head.head.size
        self.start = first - first % WIDTH
        #: Where the last one ends: the bundles hold whole tiles.
        self.end = min(size, -(-end // WIDTH) * WIDTH) if first < end else self.start

    def read(self, at: int) -> Chunk:
        """Return the chunk that begins at leaf `at`, a multiple of 256. Raises `BrokenLog`."""
        upto, size = min(self.end, at + CHUNK), self._period.head.head.size
        tenant = str(self._log.tenant_id)
        rows = [(row[0], row[2:], entries.entry(tenant, row[5:])) for row in self._rows(at, upto)]
        bundles = []
        for n in range(at // WIDTH, -(-upto // WIDTH)):
            tile = tiles.of_size(ENTRIES, n, size)
            start = n * WIDTH - at
            bundles.append((tile.path, tiles.entry_bundle(row[2] for row in rows[start : start + tile.width])))
        period = self._period
        return Chunk(upto, bundles, [row for row in rows if period.first <= row[0] < period.end], [])

    def lines(self, chunk: Chunk) -> Iterator[bytes]:
        """Yield the chunk's lines of entries.jsonl."""
        gone: dict[UUID, int] = {}
        for index, (there, value, salt, *row), entry in chunk.rows:
            shown = there and self._payloads
            whole = self._large(row[0]) if shown and value is None else value
            if whole is not None:
                payload = b'{"value":%b,"salt":"%b"}' % (whole.encode(), salt.encode())
            else:
                payload = b"null"
                if there and not shown:
                    chunk.left_out.append((index, WITHHELD))
                elif row[9] is not None:
                    gone[UUID(row[0])] = index
            yield b'{"index":%d,"leaf":%b,"payload":%b}\n' % (index, entry, payload)
        reasons = why(gone)
        chunk.left_out += [(index, Left("erased", reasons[record_id])) for record_id, index in gone.items()]

    def _large(self, record_id: str) -> str | None:
        """Return a payload by itself; None when it was erased since the chunk was read."""
        rows = execute(ONE, {"record": record_id, "tenant": self._log.tenant_id})
        return str(rows[0][0]) if rows else None

    def _rows(self, at: int, upto: int) -> Sequence[Row]:
        of = {"tenant": self._log.tenant_id, "generation": self._log.generation, "payloads": self._payloads}
        rows = execute(_ROWS, {**of, "first": at, "end": upto})
        for expected, (index, gone, *_) in enumerate(rows, at):
            if gone or index != expected:
                raise BrokenLog(f"Leaf {expected} of {self._log.origin}, or its record, is gone.")
        if len(rows) != upto - at:
            raise BrokenLog(f"{self._log.origin} has lost leaves from {at + len(rows)} on.")
        return rows


def _write_leaves(folder: Path, chunks: Chunks, files: IO[str], left_out: IO[str]) -> None:
    """Write the lines of the period, and the entry bundles that it touches."""
    digest, at = hashlib.sha256(), chunks.start
    with (folder / LINES).open("wb") as file:
        while at < chunks.end:
            chunk = chunks.read(at)
            for name, data in chunk.bundles:
                _put(folder, name, data, files)
            text = b"".join(chunks.lines(chunk))
            digest.update(text)
            file.write(text)
            for index, why in chunk.left_out:
                left_out.write(json.dumps([index, why.where, why.why]) + "\n")
            at = chunk.upto
    _tell(files, LINES, digest.hexdigest())


def _put(folder: Path, name: str, data: bytes, files: IO[str]) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    _tell(files, name, hashlib.sha256(data).hexdigest())


def _tell(files: IO[str], name: str, sha256: str) -> None:
    files.write(json.dumps([name, sha256]) + "\n")


def _spooled(file: IO[str]) -> Iterator[Any]:
    file.seek(0)
    return map(json.loads, file)
