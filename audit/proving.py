"""What others ask of a tenant's log: its head, a record's proof, a file of its tree. To be called in its scope."""

from typing import ClassVar
from uuid import UUID

from audit import heads
from audit.exports.errors import NothingSealed
from audit.log import merkle, note
from audit.log.checkpoint import Checkpoint
from audit.log.proof import Proof
from audit.log.tiles import BadTile, parse_path
from audit.sealer import keys
from audit.stored import Signed, StoredLog
from db.errors import Refusal


class NotSealedYet(Refusal):
    """This record is not sealed yet: try again in a few seconds."""

    code: ClassVar[str] = "not_sealed_yet"
    status: ClassVar[int] = 409
    retryable: ClassVar[bool] = True


def head_of(tenant_id: UUID, generation: int | None = None) -> tuple[StoredLog, Signed]:
    """Return the log and its last checkpoint. Raises `NothingSealed`, `BrokenLog`.

    That of the log as it is today was signed by one of today's keys and is the tree's; that of a generation that is
    named, as it was signed then, which whoever reads the note verifies.
    """
    log = StoredLog.of(tenant_id, generation=generation)
    signed = log.signed() if log else None
    if log is None or signed is None:
        raise NothingSealed
    if generation is None:
        heads.check(log, signed, keys.verifiers(log.origin))
    return log, signed


def proof_of(tenant_id: UUID, record_id: UUID) -> tuple[StoredLog, Proof, bytes]:
    """Return the log, the proof of a record under its last checkpoint, and the entry that it proves.

    Raises `NothingSealed`, `NotSealedYet`, `BrokenLog`.
    """
    log, signed = head_of(tenant_id)
    index, size = log.index_of(record_id), signed.head.size
    if index is None or index >= size:
        raise NotSealedYet
    hashes = merkle.inclusion_proof(index, size, log.subtree(size))
    return log, Proof(index, tuple(hashes), signed.note), log.entries(index, index + 1)[0]


def cosigned(log: StoredLog, signed: Signed) -> bytes:
    """Return the head's note with what witnesses signed of it so far."""
    return note.extended(signed.note, log.cosigned(at_most=signed.head.size).get(signed.head.size, ()))


def witnessed(log: StoredLog, signed: Signed) -> tuple[Checkpoint, bytes] | None:
    """Return the newest checkpoint that a witness cosigned, with all its cosignatures; None when there is none."""
    found = log.cosigned(at_most=signed.head.size)
    before = log.signed(at_most=max(found)) if found else None
    if before is None or before.head.size != max(found):
        return None
    return before.head, note.extended(before.note, found[before.head.size])


def file_of(tenant_id: UUID, generation: int, path: str) -> bytes | None:
    """Return a tile or entry bundle by its path below the log's prefix (C2SP tlog-tiles); None when there is none.

    Of the tree that was signed alone. Raises `NothingSealed`, `BrokenLog`.
    """
    log, signed = head_of(tenant_id, generation)
    try:
        tile = parse_path(path)
    except BadTile:
        return None
    return log.data(tile) if tile.is_of(signed.head.size) else None


def vkeys(log: StoredLog) -> list[str]:
    """Return the log's verifier keys as text, newest first."""
    return [key.text for key in keys.verifiers(log.origin)]
