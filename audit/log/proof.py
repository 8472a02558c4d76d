"""The proof that a leaf is in a log, as one text (C2SP tlog-proof). Pure."""

import re
from dataclasses import dataclass
from typing import Final

from audit.log import merkle, note
from audit.log.checkpoint import Checkpoint
from audit.log.merkle import HASH_BYTES, MAX_SIZE
from audit.log.note import BadNote, VerifierKey

HEADER: Final = "c2sp.org/tlog-proof@v1"

_INDEX = re.compile(r"index (0|[1-9][0-9]{0,18})", re.ASCII)


class BadProof(ValueError):
    """That is no proof of a log."""


@dataclass(frozen=True, slots=True)
class Proof:
    """tlog-proof, "Format". index: between 0 and 2^63 - 1. hashes: from the leaf's sibling up. checkpoint: the note.

    extra: whatever the one who handed it over added; None for nothing. It proves nothing.
    """

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes | None = None

    @property
    def text(self) -> str:
        """The proof as it is handed around."""
        extra = [] if self.extra is None else [f"extra {note.encode(self.extra)}"]
        lines = [HEADER, *extra, f"index {self.index}", *map(note.encode, self.hashes), ""]
        return "\n".join(lines) + "\n" + self.checkpoint.decode()

    @classmethod
    def parse(cls, text: str) -> "Proof":
        """Read one. Raises `BadProof`; the checkpoint in it is looked at by `check`."""
        head, separator, checkpoint = text.partition("\n\n")
        header, *lines = head.split("\n")
        if not separator or header != HEADER or not lines:
            raise BadProof(f"A proof begins with {HEADER}, and has an empty line before its checkpoint.")
        try:
            extra = note.decode(lines.pop(0)[6:]) if lines[0].startswith("extra ") else None
            found = _INDEX.fullmatch(lines.pop(0)) if lines else None
            hashes = tuple(map(note.decode, lines))
        except BadNote as error:
            raise BadProof("A proof's hashes are base64, a line each.") from error
        if found is None or int(found[1]) >= MAX_SIZE or any(len(each) != HASH_BYTES for each in hashes):
            raise BadProof("A proof names the index of its leaf, and has hashes of 32 bytes.")
        return cls(int(found[1]), hashes, checkpoint.encode(), extra)

    def check(self, *, entry: bytes, origin: str, keys: list[VerifierKey]) -> Checkpoint:
        """Return the checkpoint under which the entry is in that log (tlog-proof, "Verifying a tlog proof").

        Raises `BadNote`, `NoteRefused`, `BadCheckpoint`, `ProofRefused`.
        """
        opened, _ = note.opened(self.checkpoint, keys)
        head = Checkpoint.parse(opened.text)
        if head.origin != origin:
            raise merkle.ProofRefused(f"The checkpoint is one of {head.origin}, not of {origin}.")
        leaf = merkle.leaf_hash(entry)
        merkle.check_inclusion(index=self.index, size=head.size, leaf=leaf, root=head.root, proof=self.hashes)
        return head
