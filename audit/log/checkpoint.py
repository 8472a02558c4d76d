"""A tree's head, as the text that is signed (C2SP tlog-checkpoint). Pure."""

import re
from dataclasses import dataclass

from audit.log import note
from audit.log.merkle import HASH_BYTES, MAX_SIZE
from audit.log.note import BadNote

_SIZE = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)


class BadCheckpoint(ValueError):
    """That is no checkpoint of a log."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log says of its tree (tlog-checkpoint, "Note text").

    origin: whose log, without line ends. size: leaves, between 0 and 2^63 - 1. root: 32 bytes. extensions: further
    lines, none of them empty; ours has none.
    """

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The note's text."""
        return "".join(f"{line}\n" for line in (self.origin, self.size, note.encode(self.root), *self.extensions))

    @classmethod
    def parse(cls, text: str) -> "Checkpoint":
        """Read a note's text. Raises `BadCheckpoint`."""
        lines = text.split("\n")
        if len(lines) < 4 or lines.pop() != "" or not all(lines):
            raise BadCheckpoint("A checkpoint has an origin, a size and a root, a line each, and no empty line.")
        origin, size, root, *extensions = lines
        try:
            decoded = note.decode(root)
        except BadNote as error:
            raise BadCheckpoint("A checkpoint's root is base64.") from error
        if _SIZE.fullmatch(size) is None or int(size) >= MAX_SIZE or len(decoded) != HASH_BYTES:
            raise BadCheckpoint("A checkpoint's size is a decimal number, its root a hash of 32 bytes.")
        return cls(origin, int(size), decoded, tuple(extensions))
