"""The log as the database keeps it: full tiles and leaves as they were sealed, entries made from the records again.

Reads alone, as whoever asks: in a tenant's scope, or as the seal role.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connection

from audit.log import entries, merkle, note, tiles
from audit.log.checkpoint import BadCheckpoint, Checkpoint
from audit.log.note import BadNote
from audit.log.tiles import ENTRIES, WIDTH, Tile

Row = tuple[Any, ...]

#: Runs a statement with its parameters and returns its rows.
Execute = Callable[[str, Mapping[str, Any]], Sequence[Row]]

_CURRENT = """
SELECT generation, origin FROM audit_log WHERE tenant_id = %(tenant)s ORDER BY generation DESC LIMIT 1
"""
_GENERATION = "SELECT generation, origin FROM audit_log WHERE tenant_id = %(tenant)s AND generation = %(generation)s"
_OF = "tenant_id = %(tenant)s AND generation = %(generation)s"
_SIZE = f"SELECT index + 1 FROM audit_leaf WHERE {_OF} ORDER BY index DESC LIMIT 1"  # noqa: S608 - constants only
_LEAVES = f"""
SELECT hash FROM audit_leaf WHERE {_OF} AND index >= %(first)s AND index < %(end)s ORDER BY index
"""  # noqa: S608 - constants only
_ROOTS = f"""
SELECT root FROM audit_tile WHERE {_OF} AND level = %(level)s AND n >= %(first)s AND n < %(end)s ORDER BY n
"""  # noqa: S608 - constants only
_TILE = f"SELECT hashes FROM audit_tile WHERE {_OF} AND level = %(level)s AND n = %(n)s"  # noqa: S608 - constants only
_INDEX = """
SELECT index FROM audit_leaf
WHERE record_id = %(record)s AND generation = %(generation)s AND tenant_id = %(tenant)s
"""
_INDEXES = """
SELECT record_id, index FROM audit_leaf
WHERE record_id = ANY (%(records)s) AND generation = %(generation)s AND tenant_id = %(tenant)s
"""
_CHECKPOINT = f"""
SELECT note, at, size FROM audit_checkpoint WHERE {_OF} AND size <= %(size)s ORDER BY size DESC LIMIT 1
"""  # noqa: S608 - constants only
#: Each witness's newest cosignature of a tree of at most that size. The names are hopped over along the index.
_COSIGNATURES = f"""
WITH RECURSIVE names AS (
    (SELECT witness FROM audit_cosignature WHERE {_OF} ORDER BY witness LIMIT 1)
    UNION ALL
    SELECT (SELECT witness FROM audit_cosignature WHERE {_OF} AND witness > names.witness ORDER BY witness LIMIT 1)
    FROM names WHERE names.witness IS NOT NULL
)
SELECT newest.size, newest.line FROM names CROSS JOIN LATERAL (
    SELECT size, line FROM audit_cosignature
    WHERE {_OF} AND witness = names.witness AND size <= %(size)s ORDER BY size DESC LIMIT 1
) AS newest ORDER BY newest.size, names.witness
"""  # noqa: S608 - constants only
#: By the leaves' own order; a record that is gone leaves a row of nulls.
_ENTRIES = f"""
SELECT l.index, l.hash, r.id IS NULL, {entries.COLUMNS} FROM audit_leaf l
LEFT JOIN audit_record r ON r.tenant_id = l.tenant_id AND r.id = l.record_id
WHERE l.tenant_id = %(tenant)s AND l.generation = %(generation)s AND l.index >= %(first)s AND l.index < %(end)s
ORDER BY l.index
"""  # noqa: S608 - constants only


class BrokenLog(Exception):
    """The database no longer holds what was sealed."""


@dataclass(frozen=True, slots=True)
class Signed:
    """A checkpoint as it was signed. at: when, by the database's clock. note: the whole note."""

    head: Checkpoint
    note: bytes
    at: Any


def execute(statement: str, parameters: Mapping[str, Any]) -> Sequence[Row]:
    """Run a statement on Django's connection."""
    with connection.cursor() as cursor:
        cursor.execute(statement, dict(parameters))
        rows: Sequence[Row] = cursor.fetchall()
        return rows


class StoredLog:
    """One log. generation: 1, or more when a restored backup lacked what had been signed."""

    def __init__(self, tenant_id: UUID, generation: int, origin: str, run: Execute = execute) -> None:
        self.tenant_id, self.generation, self.origin, self._run = tenant_id, generation, origin, run

    @classmethod
    def of(cls, tenant_id: UUID, *, generation: int | None = None, run: Execute = execute) -> "StoredLog | None":
        """Return the tenant's log, the newest unless another generation is named; None when nothing was sealed yet."""
        statement = _CURRENT if generation is None else _GENERATION
        rows = run(statement, {"tenant": tenant_id, "generation": generation})
        return cls(tenant_id, rows[0][0], rows[0][1], run) if rows else None

    def size(self) -> int:
        """Return how many leaves there are, signed or not."""
        rows = self._rows(_SIZE)
        return int(rows[0][0]) if rows else 0

    def signed(self, *, at_most: int = merkle.MAX_SIZE - 1) -> Signed | None:
        """Return the last checkpoint of a tree of at most that size, as it stands there: see `audit.heads`.

        Raises `BrokenLog` when what stands there is no checkpoint of the size that it is kept under.
        """
        rows = self._rows(_CHECKPOINT, size=at_most)
        if not rows:
            return None
        text, at, size = rows[0]
        try:
            head = Checkpoint.parse(note.parse(text.encode()).text)
        except (BadNote, BadCheckpoint) as error:
            raise BrokenLog(f"The checkpoint of {size} leaves of {self.origin} is none: {error}") from error
        if head.size != size:
            raise BrokenLog(f"The checkpoint of {size} leaves of {self.origin} is one of {head.size}.")
        return Signed(head, text.encode(), at)

    def cosigned(self, *, at_most: int = merkle.MAX_SIZE - 1) -> dict[int, tuple[str, ...]]:
        """Return each witness's newest cosignature of a tree of at most that size: lines of notes, by size, ascending.

        As they stand there; whoever shows them says nothing of them, and whoever has the witness's key verifies them.
        """
        found: dict[int, tuple[str, ...]] = {}
        for size, line in self._rows(_COSIGNATURES, size=at_most):
            found[size] = (*found.get(size, ()), line)
        return found

    def index_of(self, record_id: UUID) -> int | None:
        """Return where the record is; None when it is not sealed yet."""
        rows = self._rows(_INDEX, record=record_id)
        return int(rows[0][0]) if rows else None

    def indexes_of(self, record_ids: Sequence[UUID]) -> dict[UUID, int]:
        """Return where these records are; those that are not sealed yet are missing."""
        return dict(self._rows(_INDEXES, records=list(record_ids))) if record_ids else {}

    def hashes(self, tile: Tile) -> list[bytes]:
        """Return the hashes of a tile, full or as it stood when it was smaller. Raises `BrokenLog`."""
        first = tile.n * WIDTH
        if tile.width == WIDTH:
            rows = self._rows(_TILE, level=tile.level, n=tile.n)
            return tiles.hashes_of(tile, bytes(rows[0][0])) if rows else self._lacks(tile)
        if tile.level == 0:
            rows = self._rows(_LEAVES, first=first, end=first + tile.width)
        else:
            rows = self._rows(_ROOTS, level=tile.level - 1, first=first, end=first + tile.width)
        found = [bytes(row[0]) for row in rows]
        return found if len(found) == tile.width else self._lacks(tile)

    def root(self, size: int) -> bytes:
        """Return the root of the tree as it was when it had that size, from the tiles. Raises `BrokenLog`."""
        return tiles.root_from(size, self.hashes)

    def subtree(self, size: int) -> merkle.Subtree:
        """Return what proofs about the tree of that size are made of; each tile is read once."""
        kept: dict[Tile, list[bytes]] = {}

        def read(tile: Tile) -> list[bytes]:
            if tile not in kept:
                kept[tile] = self.hashes(tile)
            return kept[tile]

        return tiles.subtree_reader(size, read)

    def entries(self, first: int, end: int) -> list[bytes]:
        """Return the entries from index `first` to before `end`, made from the records as they are now.

        Raises `BrokenLog` when a record is gone.
        """
        tenant, found = str(self.tenant_id), []
        for index, _, gone, *row in self._rows(_ENTRIES, first=first, end=end):
            if gone:
                raise BrokenLog(f"Leaf {index} of {self.origin} has lost its record.")
            found.append(entries.entry(tenant, row))
        if len(found) != end - first:
            raise BrokenLog(f"{self.origin} has lost leaves between {first} and {end}.")
        return found

    def data(self, tile: Tile) -> bytes:
        """Return a tile or entry bundle as it is served. Raises `BrokenLog`."""
        if tile.level == ENTRIES:
            first = tile.n * WIDTH
            return tiles.entry_bundle(self.entries(first, first + tile.width))
        return b"".join(self.hashes(tile))

    def _rows(self, statement: str, **parameters: Any) -> Sequence[Row]:
        return self._run(statement, {"tenant": self.tenant_id, "generation": self.generation, **parameters})

    def _lacks(self, tile: Tile) -> list[bytes]:
        raise BrokenLog(f"{self.origin} has lost {tile.path}.")
