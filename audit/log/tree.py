"""A tree that grows: its right edge, which is all that must be known to append. Pure.

RFC 6962, section 2.1, kept as C2SP tlog-tiles has it: on each level the hashes of the tile that is not full yet.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from audit.log import merkle
from audit.log.tiles import WIDTH, Tile, right_edge


@dataclass(frozen=True, slots=True)
class FullTile:
    """A tile that will not change any more. hashes: 256 of 32 bytes. root: over them, 32 bytes."""

    tile: Tile
    hashes: bytes
    root: bytes


class Tree:
    """A tree's right edge. size: leaves, between 0 and 2^63 - 1."""

    __slots__ = ("_edge", "size")

    def __init__(self) -> None:
        self.size = 0
        self._edge: list[list[bytes]] = []

    @classmethod
    def of(cls, size: int, edge: dict[int, Sequence[bytes]]) -> "Tree":
        """Return a tree of that size. edge: by level, the hashes of its partial tile (`tiles.right_edge`).

        Raises `ValueError` when there are more or fewer hashes than a tree of that size has.
        """
        made = cls()
        wanted = {tile.level: tile.width for tile in right_edge(size)}
        if {level: len(hashes) for level, hashes in edge.items() if hashes} != wanted:
            raise ValueError(f"That is not the right edge of a tree of {size} leaves.")
        made.size = size
        made._edge = [list(edge.get(level, ())) for level in range(max(wanted, default=-1) + 1)]
        return made

    def extend(self, leaves: Iterable[bytes]) -> list[FullTile]:
        """Append leaf hashes; returns the tiles that they filled, in the order in which they did."""
        full: list[FullTile] = []
        if not self._edge:
            self._edge.append([])
        edge = self._edge
        for leaf in leaves:
            edge[0].append(leaf)
            self.size += 1
            if len(edge[0]) == WIDTH:
                self._fill(full)
        return full

    def _fill(self, full: list[FullTile]) -> None:
        """Move each full tile's root one level up, from below."""
        level = 0
        while len(self._edge[level]) == WIDTH:
            hashes, self._edge[level] = self._edge[level], []
            n = (self.size >> 8 * (level + 1)) - 1
            made = FullTile(Tile(level, n), b"".join(hashes), merkle.root_of(hashes))
            full.append(made)
            level += 1
            if len(self._edge) == level:
                self._edge.append([])
            self._edge[level].append(made.root)

    def root(self) -> bytes:
        """Return the tree's root: MTH over all leaves, 32 bytes."""
        found: bytes | None = None
        for hashes in self._edge:
            at = len(hashes)
            while at:  # the full subtrees within the tile, the smallest, which is the last, first
                step = at & -at
                part = merkle.root_of(hashes[at - step : at])
                found = part if found is None else merkle.node_hash(part, found)
                at -= step
        return merkle.EMPTY_ROOT if found is None else found

    def copy(self) -> "Tree":
        """Return a tree that grows by itself from here."""
        made = Tree()
        made.size, made._edge = self.size, [list(hashes) for hashes in self._edge]
        return made
