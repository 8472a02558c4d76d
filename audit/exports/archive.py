"""A bundle as one ZIP archive, made in parts that are put together at the end. Pure.

PKWARE's APPNOTE.TXT 6.3.10, of which no more than this: members are stored as they are (section 4.4.5, method 0), their
sizes and sums are known when their headers are made, and ZIP64 (section 4.5.3) holds what four bytes do not.
`zipfile` reads it; it writes none whose members are made in another order than they stand in.
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

_MAX32: Final = 0xFFFFFFFF
_MAX16: Final = 0xFFFF

#: Section 4.4.3: the version a reader needs, without and with ZIP64. Section 4.4.6: 1 January 1980, midnight.
_PLAIN, _ZIP64, _DATE, _TIME = 20, 45, 0x21, 0


@dataclass(frozen=True, slots=True)
class Member:
    """A file in the archive. name: ASCII, with slashes. crc: CRC-32 of its `size` bytes."""

    name: str
    crc: int
    size: int

    @property
    def header(self) -> bytes:
        """What stands before its bytes: the local file header (section 4.3.7)."""
        extra = struct.pack("<HHQQ", 1, 16, self.size, self.size) if self.size >= _MAX32 else b""
        size, name = min(self.size, _MAX32), self.name.encode("ascii")
        return (
            struct.pack(
                "<4sHHHHHIIIHH",
                b"PK\3\4",
                _ZIP64 if extra else _PLAIN,
                0,
                0,
                _TIME,
                _DATE,
                self.crc,
                size,
                size,
                len(name),
                len(extra),
            )
            + name
            + extra
        )

    @property
    def whole(self) -> int:
        """Bytes that it takes, header included."""
        return len(self.header) + self.size

    def listed(self, offset: int) -> bytes:
        """Return its entry in the directory (section 4.3.12). offset: of its header, in bytes."""
        large = b"".join(struct.pack("<Q", each) for each in (self.size, self.size, offset) if each >= _MAX32)
        extra = struct.pack("<HH", 1, len(large)) + large if large else b""
        size, name = min(self.size, _MAX32), self.name.encode("ascii")
        return (
            struct.pack(
                "<4sHHHHHHIIIHHHHHII",
                b"PK\1\2",
                _ZIP64,
                _ZIP64 if extra else _PLAIN,
                0,
                0,
                _TIME,
                _DATE,
                self.crc,
                size,
                size,
                len(name),
                len(extra),
                0,
                0,
                0,
                0,
                min(offset, _MAX32),
            )
            + name
            + extra
        )


def directory(members: Iterable[Member]) -> Iterator[bytes]:
    """Yield the archive's end, in pieces: the central directory of all members, in the order they stand in.

    Section 4.3.16 and, where four bytes do not hold it, 4.3.14 and 4.3.15.
    """
    count = offset = length = 0
    for member in members:
        entry = member.listed(offset)
        yield entry
        count, offset, length = count + 1, offset + member.whole, length + len(entry)
    if count >= _MAX16 or offset >= _MAX32 or length >= _MAX32:
        yield struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, _ZIP64, _ZIP64, 0, 0, count, count, length, offset)
        yield struct.pack("<4sIQI", b"PK\6\7", 0, offset + length, 1)
    count, length, offset = min(count, _MAX16), min(length, _MAX32), min(offset, _MAX32)
    yield struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, count, count, length, offset, 0)
