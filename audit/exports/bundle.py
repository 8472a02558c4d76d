"""The audit bundle: leaves with their payloads, the tiles that prove them, checkpoints, keys, a signed manifest.

What each file holds is fixed by the contract in docs/compliance.md; `audit.verify` reads it.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final
from uuid import UUID

from audit import heads
from audit.erased import why
from audit.exports.errors import FolderNotEmpty
from audit.exports.period import Period
from audit.exports.readme import readme
from audit.log import entries, merkle, note, tiles
from audit.log.note import Signer
from audit.log.tiles import ENTRIES, WIDTH
from audit.stored import BrokenLog, Signed, StoredLog, execute
from audit.verify import manifest
from audit.verify.bundle import WITNESSED
from audit.verify.manifest import Manifest

Json = Any

#: Why a payload is not in the bundle.
WITHHELD: Final = "payloads were not asked for"

#: Leaves that are read at once.
CHUNK: Final = 16 * WIDTH

_ROWS: Final = f"""
SELECT l.index, r.id IS NULL, p.value, encode(p.salt, 'hex'), {entries.COLUMNS} FROM audit_leaf l
LEFT JOIN audit_record r ON r.tenant_id = l.tenant_id AND r.id = l.record_id
LEFT JOIN audit_payload p ON p.record_id = l.record_id AND p.tenant_id = l.tenant_id AND %(payloads)s
WHERE l.tenant_id = %(tenant)s AND l.generation = %(generation)s AND l.index >= %(first)s AND l.index < %(end)s
ORDER BY l.index
"""  # noqa: S608 - constants only


def write(
    folder: Path, log: StoredLog, period: Period, *, signers: Sequence[Signer], payloads: bool = True
) -> Manifest:
    """Write the bundle of a period into a folder of its own; returns its manifest. To be called in the log's scope.

    signers: the log's keys, newest first. payloads: whether to show them. Raises `FolderNotEmpty`, `BrokenLog` when the
    database no longer holds what was sealed or one of these keys signed, `OSError`.
    """
    if folder.exists() and any(folder.iterdir()):
        raise FolderNotEmpty
    for signed in (period.head, period.before):
        if signed is not None:
            heads.check(log, signed, [signer.key for signer in signers])
    return _Writing(folder, log, period, signers, payloads).bundle()


class _Writing:
    def __init__(self, folder: Path, log: StoredLog, period: Period, signers: Sequence[Signer], payloads: bool) -> None:
        self._folder, self._log, self._period, self._signers, self._payloads = folder, log, period, signers, payloads
        self._files: dict[str, str] = {}
        self._erased: dict[int, str] = {}
        self._withheld: dict[int, str] = {}

    def bundle(self) -> Manifest:
        period, size = self._period, self._period.head.head.size
        self._put("checkpoint", self._period.head.note)
        self._put("vkey", "".join(f"{signer.key.text}\n" for signer in self._signers).encode())
        if period.before is not None:
            self._put("previous", self._previous())
        for size_then, lines in self._log.cosigned(at_most=size).items():
            self._cosigned(size_then, lines)
        self._leaves()
        for tile in tiles.covering(period.first, period.end, size):
            if tile.level != ENTRIES:
                self._put(tile.path, self._log.data(tile))
        self._put("README.txt", readme(self._log.origin).encode())
        made = Manifest(self._log.origin, period.first, period.end, size, self._files, self._erased, self._withheld)
        data = (json.dumps(made.json(), indent=1, sort_keys=True) + "\n").encode()
        self._write(manifest.NAME, data)
        self._write(manifest.NOTE, manifest.signed(data, self._signers).whole.encode())
        return made

    def _previous(self) -> bytes:
        """Return the checkpoint of the period's start, signed by today's keys too, and what leads on from it.

        One of them signed it already, as `write` found; so nothing is signed that none of the log's keys stands for.
        """
        assert self._period.before is not None  # noqa: S101 - asked before
        return self._leading_on(self._period.before)

    def _cosigned(self, size: int, lines: Sequence[str]) -> None:
        """Write the checkpoint of that size with what witnesses signed of it, and what leads on from it.

        One that none of today's keys signed is left out: who verifies with these could not tell whose it is.
        """
        before = self._log.signed(at_most=size)
        if before is None or before.head.size != size:
            raise BrokenLog(f"{self._log.origin} has lost its checkpoint of {size} leaves, which a witness cosigned.")
        try:
            heads.check(self._log, before, [signer.key for signer in self._signers])
        except heads.UnknownKeys:
            return
        self._put(f"{WITNESSED}{size}", self._leading_on(before, lines))

    def _leading_on(self, before: Signed, cosignatures: Sequence[str] = ()) -> bytes:
        """Return a checkpoint of the log, signed by today's keys too, an empty line, and the proof that leads on."""
        size = self._period.head.head.size
        signed = note.parse(before.note)
        there = {(each.name, each.key_id) for each in signed.signatures}
        missing = [each for each in self._signers if (each.key.name, each.key.key_id) not in there]
        whole = note.Note(signed.text, (*signed.signatures, *(each.sign(signed.text) for each in missing))).whole
        whole += "".join(cosignatures)
        proof = merkle.consistency_proof(before.head.size, size, self._log.subtree(size))
        return (whole + "\n" + "".join(f"{note.encode(each)}\n" for each in proof)).encode()

    def _leaves(self) -> None:
        """Write the lines of the period, and the entry bundles that it touches."""
        first, end, size = self._period.first, self._period.end, self._period.head.head.size
        path = self._path("entries.jsonl")
        digest = hashlib.sha256()
        with path.open("wb") as lines:
            at = first - first % WIDTH
            until = min(size, -(-end // WIDTH) * WIDTH) if first < end else at
            while at < until:
                upto = min(until, at + CHUNK)
                self._chunk(at, upto, lines, digest)
                at = upto
        self._files["entries.jsonl"] = digest.hexdigest()

    def _chunk(self, at: int, upto: int, lines: BinaryIO, digest: "hashlib._Hash") -> None:
        first, end, size = self._period.first, self._period.end, self._period.head.head.size
        made: list[bytes] = []
        text: list[bytes] = []
        erased: dict[UUID, int] = {}
        for index, value, salt, entry, record_id, committed in self._rows(at, upto):
            made.append(entry)
            if not first <= index < end:
                continue
            if value is not None:
                payload = b'{"value":%b,"salt":"%b"}' % (value.encode(), salt.encode())
            else:
                payload = b"null"
                if committed and self._payloads:
                    erased[record_id] = index
                elif committed:
                    self._withheld[index] = WITHHELD
            text.append(b'{"index":%d,"leaf":%b,"payload":%b}\n' % (index, entry, payload))
        self._erased |= {erased[record_id]: reason for record_id, reason in why(erased).items()}
        data = b"".join(text)
        digest.update(data)
        lines.write(data)
        for n in range(at // WIDTH, -(-upto // WIDTH)):
            tile = tiles.of_size(ENTRIES, n, size)
            self._put(tile.path, tiles.entry_bundle(made[n * WIDTH - at : n * WIDTH - at + tile.width]))

    def _rows(self, at: int, upto: int) -> Iterator[tuple[int, str | None, str, bytes, UUID, bool]]:
        tenant = str(self._log.tenant_id)
        of = {"tenant": self._log.tenant_id, "generation": self._log.generation, "payloads": self._payloads}
        expected = at
        for index, gone, value, salt, *row in execute(_ROWS, {**of, "first": at, "end": upto}):
            if gone or index != expected:
                raise BrokenLog(f"Leaf {expected} of {self._log.origin}, or its record, is gone.")
            yield index, value, salt, entries.entry(tenant, row), UUID(row[0]), row[9] is not None
            expected += 1
        if expected != upto:
            raise BrokenLog(f"{self._log.origin} has lost leaves from {expected} on.")

    def _put(self, name: str, data: bytes) -> None:
        self._files[name] = hashlib.sha256(data).hexdigest()
        self._write(name, data)

    def _write(self, name: str, data: bytes) -> None:
        self._path(name).write_bytes(data)

    def _path(self, name: str) -> Path:
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path
