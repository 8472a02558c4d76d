"""What is said to a witness and what it may answer (C2SP tlog-witness, "add-checkpoint"). Pure.

A witness keeps the last checkpoint of a log that it cosigned, and cosigns another only if that one's tree begins with
it. So a log that shows different people different trees finds nobody to cosign one of them.
"""

import re
from collections.abc import Sequence
from typing import Final

from audit.log import note
from audit.log.merkle import MAX_SIZE
from audit.log.note import COSIGNATURE, BadNote, NoteRefused, Signature, VerifierKey

#: Where a checkpoint is handed in, below the witness's submission prefix.
PATH: Final = "/add-checkpoint"

#: tlog-witness: no more hashes than these are sent. A tree below 2^63 leaves needs no more.
MAX_HASHES: Final = 63

#: Bytes of an answer that are read: a hundred cosignatures have fewer.
MAX_ANSWER: Final = 64 * 1024

_SIZE: Final = re.compile(rb"(0|[1-9][0-9]{0,18})\n")


class BadAnswer(ValueError):
    """The witness answered what no witness may."""


def request_body(*, old: int, proof: Sequence[bytes], checkpoint: bytes) -> bytes:
    """Return what is posted: the size that the witness knows, what leads on from there, and the signed note.

    old: 0 when it knows none; the proof is empty then. proof: at most 63 hashes of 32 bytes.
    """
    if len(proof) > MAX_HASHES or (old == 0 and proof):
        raise ValueError("A witness is sent at most 63 hashes, and none to begin with.")
    lines = [f"old {old}", *map(note.encode, proof), ""]
    return "".join(f"{line}\n" for line in lines).encode() + checkpoint


def size_told(body: bytes) -> int:
    """Return the size that the witness cosigned last, from its 409. Raises `BadAnswer`."""
    found = _SIZE.fullmatch(body)
    if found is None or int(found[1]) >= MAX_SIZE:
        raise BadAnswer("The witness refuses the size, and does not say which one it knows.")
    return int(found[1])


def cosignature(checkpoint: bytes, body: bytes, key: VerifierKey) -> Signature:
    """Return the witness's cosignature of the checkpoint from its 200; those of other keys are ignored.

    key: of a witness. Raises `BadAnswer` when there is none, or one that is not of this text.
    """
    signed = note.parse(checkpoint)
    try:
        opened, _ = note.opened(signed.whole.encode() + body, [key])
    except (BadNote, NoteRefused) as error:
        raise BadAnswer(f"The witness's cosignature does not verify: {error}") from error
    if opened.text != signed.text or key.algorithm != COSIGNATURE:
        raise BadAnswer("The witness's cosignature is one of another text.")
    own = [each for each in opened.signatures if (each.name, each.key_id) == (key.name, key.key_id)]
    return max(own, key=cosigned_at)


def cosigned_at(signature: Signature) -> int:
    """Return when a cosignature was made, in seconds since 1970 (tlog-cosignature, "Format")."""
    return int.from_bytes(signature.data[:8], "big")
