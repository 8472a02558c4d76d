"""The tree as tiles: files that, once full, never change (C2SP tlog-tiles). Pure.

A tile of level `l` and number `n` holds, one after the other, the roots of up to 256 full subtrees of 256^l leaves,
from leaf n·256^(l+1) on. Entry bundles hold the entries themselves, 256 each.
"""

import re
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from audit.log import merkle
from audit.log.merkle import HASH_BYTES, MAX_SIZE

#: Levels of the tree that a tile spans, and hashes of a full tile.
HEIGHT: Final = 8
WIDTH: Final = 1 << HEIGHT

#: The level of an entry bundle, as it is written in its path.
ENTRIES: Final = -1

#: tlog-tiles, "Merkle Tree": levels 0 to 63. A tree below 2^63 leaves has tiles on eight of them.
MAX_LEVEL: Final = 63

_PATH: Final = re.compile(r"tile/(entries|0|[1-9][0-9]?)/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?", re.ASCII)


class BadTile(ValueError):
    """That is no tile of this tree."""


@dataclass(frozen=True, slots=True, order=True)
class Tile:
    """Names one tile, or entry bundle (`ENTRIES`).

    level: between 0 and 63. n: which one on its level, from 0 on. width: its hashes or entries, 1 to 256; 256 is full.
    """

    level: int
    n: int
    width: int = WIDTH

    @property
    def path(self) -> str:
        """Where it lies below the log's prefix (tlog-tiles, "Merkle Tree"): e.g. `tile/0/x001/x234/067.p/5`."""
        number = f"{self.n % 1000:03}"
        rest = self.n // 1000
        while rest:
            number, rest = f"x{rest % 1000:03}/{number}", rest // 1000
        level = "entries" if self.level == ENTRIES else str(self.level)
        return f"tile/{level}/{number}" + (f".p/{self.width}" if self.width < WIDTH else "")

    @property
    def first(self) -> int:
        """The index of the first leaf below it (tlog-tiles' start index)."""
        return self.n << HEIGHT * (max(self.level, 0) + 1)

    def is_of(self, size: int) -> bool:
        """Say whether a tree of that size has it: as it stands there, or as it stood when the tree was smaller."""
        return 0 < self.width <= hashes_at(self.level, size) - self.n * WIDTH


def parse_path(path: str) -> Tile:
    """Return the tile that a path names. Raises `BadTile` for any other spelling than `Tile.path` has."""
    found = _PATH.fullmatch(path)
    if found is None:
        raise BadTile("That is not how tiles are named.")
    level = ENTRIES if found[1] == "entries" else int(found[1])
    n = int(found[2].replace("x", "").replace("/", ""))
    tile = Tile(level, n, int(found[3]) if found[3] else WIDTH)
    if level > MAX_LEVEL or n >= MAX_SIZE or tile.path != path:
        raise BadTile("That is not how tiles are named.")
    return tile


def hashes_at(level: int, size: int) -> int:
    """Return how many hashes a tree of that size has on a level of tiles; entries for `ENTRIES`."""
    return size >> HEIGHT * max(level, 0)


def right_edge(size: int) -> list[Tile]:
    """Return the partial tiles of a tree of that size, a level each, from below (tlog-tiles, "Partial Tiles").

    The tree's root follows from them alone. Levels whose last tile is full have none.
    """
    edge, level = [], 0
    while count := hashes_at(level, size):
        if count % WIDTH:
            edge.append(Tile(level, count // WIDTH, count % WIDTH))
        level += 1
    return edge


def covering(first: int, end: int, size: int) -> list[Tile]:
    """Return the tiles of a tree of `size` that prove its leaves from `first` to before `end`, and their bundles.

    The bundles and level-0 tiles that hold them, whatever stands over these up to the root, and the right edge.
    0 ≤ first ≤ end ≤ size. Ordered by level and number.
    """
    found = set(right_edge(size))
    if first < end:
        low, high, level = first >> HEIGHT, (end - 1) >> HEIGHT, 0
        found |= {of_size(ENTRIES, n, size) for n in range(low, high + 1)}
        while hashes_at(level, size) > low * WIDTH:
            there = min(high, (hashes_at(level, size) - 1) >> HEIGHT)
            found |= {of_size(level, n, size) for n in range(low, there + 1)}
            low, high, level = low >> HEIGHT, high >> HEIGHT, level + 1
    return sorted(found)


def of_size(level: int, n: int, size: int) -> Tile:
    """Return the tile as it stands in a tree of that size. Raises `BadTile` when there is none."""
    width = min(WIDTH, hashes_at(level, size) - n * WIDTH)
    if width <= 0:
        raise BadTile(f"A tree of {size} leaves has no tile {n} on level {level}.")
    return Tile(level, n, width)


def hashes_of(tile: Tile, data: bytes) -> list[bytes]:
    """Return the hashes of a tile. Raises `BadTile` when its bytes are not `width` hashes."""
    if len(data) != tile.width * HASH_BYTES:
        raise BadTile(f"{tile.path} has {len(data)} bytes, which is not {tile.width} hashes.")
    return [data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)]


def subtree_reader(size: int, read: Callable[[Tile], Sequence[bytes]]) -> merkle.Subtree:
    """Return a function of (first, end) that gives MTH(D[first:end]) out of the tiles of a tree of `size`.

    read: gives a tile's hashes; is asked for tiles as they stand in that tree, each as often as it is needed. What it
    raises passes through.
    """

    def perfect(height: int, place: int) -> bytes:
        level, above = divmod(height, HEIGHT)
        at = place << above  # of the first hash, on the tile's level
        hashes = read(of_size(level, at >> HEIGHT, size))
        start = at % WIDTH
        return merkle.root_of(hashes[start : start + (1 << above)])

    return merkle.subtree_of(perfect)


def root_from(size: int, read: Callable[[Tile], Sequence[bytes]]) -> bytes:
    """Return the root of a tree of that size, out of tiles (see `subtree_reader`)."""
    return subtree_reader(size, read)(0, size) if size else merkle.EMPTY_ROOT


def entry_bundle(entries: Iterable[bytes]) -> bytes:
    """Return a bundle: each entry behind its length in 16 bits, big-endian (tlog-tiles, "Log entries").

    Raises `BadTile` for an entry above 65,535 bytes.
    """
    parts: list[bytes] = []
    for entry in entries:
        if len(entry) > 0xFFFF:
            raise BadTile("An entry has at most 65,535 bytes.")
        parts += (struct.pack(">H", len(entry)), entry)
    return b"".join(parts)


def read_entry_bundle(data: bytes) -> Iterator[bytes]:
    """Yield the entries of a bundle. Raises `BadTile` when it ends within one."""
    at, end = 0, len(data)
    while at < end:
        start = at + 2
        at = start + int.from_bytes(data[at:start], "big")
        if at > end or start > end:
            raise BadTile("An entry bundle ends within an entry.")
        yield data[start:at]
