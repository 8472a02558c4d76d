"""The sequencer and the signer: one batch of records becomes leaves in one transaction, then the tree's head is signed.

Misses none: a record waits in the outbox until the transaction that makes its leaf commits, whenever its own did. Makes
none twice: what is in a leaf already is left out. Resumes exactly: all it knows is in the database, and what it keeps
in memory is compared with it. Nobody who appends waits for it.

Durability: leaves are committed before a head over them is signed; the copy outside the database is on the disk before
the checkpoint is in the database, where others see it. So what was told to anybody is known here after any crash.
"""

import hashlib
import logging
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from typing import Any, Final
from uuid import UUID

import psycopg

from audit.log import entries, note
from audit.log.checkpoint import BadCheckpoint, Checkpoint
from audit.log.note import BadNote, NoteRefused
from audit.log.tiles import right_edge
from audit.log.tree import Tree
from audit.sealer import keys, statements
from audit.sealer.copies import Copies
from audit.sealer.errors import CopyMissing, Forked, LogRefused
from audit.stored import BrokenLog, Row, StoredLog
from db.pool import Connection
from db.roles import SEAL

log = logging.getLogger(__name__)

#: Outbox rows that one transaction takes; each holds the records of one statement.
ROWS: Final = 4000

#: Transactions in a row for one log before the others get their turn.
TURNS: Final = 16

_NIL: Final = UUID(int=0)


class Sealer:
    """Seals logs over one connection, in autocommit mode, of the runtime role.

    host: what the origins of new logs begin with. copies: where last checkpoints are kept. seeds: the signing keys,
    newest first; those of the settings if None. rows: outbox rows of one transaction.
    """

    def __init__(
        self,
        connection: Connection,
        copies: Copies,
        *,
        host: str,
        seeds: Sequence[bytes] | None = None,
        rows: int = ROWS,
    ) -> None:
        self._connection, self._copies, self._host, self._seeds, self._batch = connection, copies, host, seeds, rows
        self._trees: dict[tuple[UUID, int], Tree] = {}
        self._agreed: dict[tuple[UUID, int], bytes | None] = {}
        self._told: dict[UUID, str] = {}
        self._unsigned: set[UUID] = set()
        self._began = False
        self._first = _NIL

    def round(self) -> int:
        """Seal all that waits; returns how many records. A log that refuses is told of once, and hinders no other.

        Each round begins with another log, so that one that takes long or breaks the round off is not always before
        the same others. Raises `psycopg.OperationalError` when the database is away.
        """
        with self._as_seal():
            waiting = {row[0] for row in self._execute(statements.WAITING, {})}
            if not self._began:
                self._unsigned |= {row[0] for row in self._execute(statements.UNSIGNED, {})}
                self._began = True
        moved = 0
        for tenant_id in self._in_turn(waiting | self._unsigned):
            try:
                moved += self.seal(tenant_id)
            except (LogRefused, BrokenLog, OSError, ValueError, psycopg.DatabaseError) as error:
                if self._connection.closed or self._connection.broken:
                    raise  # the database is away, for all of them; a statement that waited too long is one log's
                if self._told.get(tenant_id) != str(error):
                    log.error("the log of %s is not sealed: %s", tenant_id, error)
                self._told[tenant_id] = str(error)
                self._put_aside(tenant_id)
            else:
                self._told.pop(tenant_id, None)
        return moved

    def _in_turn(self, tenants: Set[UUID]) -> list[UUID]:
        """Return them in the order of this round, which begins behind whoever began the last one."""
        ordered = sorted(tenants)
        at = bisect_right(ordered, self._first)
        turn = ordered[at:] + ordered[:at]
        self._first = turn[0] if turn else _NIL
        return turn

    def _put_aside(self, tenant_id: UUID) -> None:
        """Move what waits of a log that refuses out of the others' way; it is tried again each round all the same."""
        try:
            with self._behind_lock(tenant_id) as held:
                if held:
                    self._write(statements.PUT_ASIDE, {"tenant": tenant_id, "rows": TURNS * self._batch})
        except psycopg.DatabaseError as error:
            if self._connection.closed or self._connection.broken:
                raise
            log.warning("what waits in the log of %s is not put aside: %s", tenant_id, error)

    @property
    def refused(self) -> dict[UUID, str]:
        """Which logs refused in the last round, and why."""
        return dict(self._told)

    def seal(self, tenant_id: UUID) -> int:
        """Seal what waits of one tenant, up to a bound; returns how many records.

        Raises `LogRefused`, `BrokenLog` when a record that waits is gone, and `OSError` when the copy cannot be kept.
        """
        if tenant_id in self._unsigned:
            self.sign(tenant_id)  # before more is added to what cannot be signed
        moved = 0
        for _ in range(TURNS):
            taken, made = self._move(tenant_id)
            moved += made
            if taken < self._batch:
                break
        if moved:
            self._unsigned.add(tenant_id)
            self.sign(tenant_id)
        return moved

    def sweep(self, tenant_id: UUID) -> int:
        """Seal every record of a tenant that is in no leaf, in the outbox or not; returns how many there were."""
        moved, after = 0, _NIL
        while True:
            with self._behind_lock(tenant_id) as held:
                if not held:
                    raise LogRefused("Another process seals this log; stop it, or try again.")
                stored, tree = self._state(tenant_id)
                of = {"tenant": tenant_id, "after": after, "rows": self._batch}
                ids = [row[0] for row in self._execute(statements.ALL, of)]
                rows = self._absent(stored, ids)
                grown = self._add(stored, tree, rows)
            self._keep(stored, grown)
            if not ids:
                break
            moved, after = moved + len(rows), UUID(ids[-1])
        self._unsigned.add(tenant_id)
        self.sign(tenant_id)
        return moved

    def sign(self, tenant_id: UUID) -> None:
        """Sign the tree as it is committed, unless that was done. Raises like `seal`."""
        with self._behind_lock(tenant_id) as held:
            if not held:
                return
            stored, tree = self._state(tenant_id)
            last = stored.signed()
            if tree.size > (last.head.size if last else 0):
                head = Checkpoint(stored.origin, tree.size, tree.root())
                signed = note.sign(head.text, keys.signers(stored.origin, self._seeds)).whole
                self._copies.write(tenant_id, stored.generation, signed.encode())
                self._add_checkpoint(stored, tree.size, signed)
        self._unsigned.discard(tenant_id)

    def restart(self, tenant_id: UUID) -> StoredLog:
        """Begin the log's next generation, behind one that was forked; `sweep` fills it. Returns it."""
        with self._behind_lock(tenant_id) as held:
            if not held:
                raise LogRefused("Another process seals this log; stop it, or try again.")
            before = StoredLog.of(tenant_id, run=self._execute)
            generation = before.generation + 1 if before else 2
            return self._open(tenant_id, generation)

    def accept(self, tenant_id: UUID) -> Checkpoint:
        """Take the database's last checkpoint for the copy that is missing; returns it. Raises `Forked`, `LogRefused`.

        Whoever asks for it vouches that the database is no restored backup.
        """
        with self._behind_lock(tenant_id) as held:
            stored = StoredLog.of(tenant_id, run=self._execute)
            last = stored.signed() if held and stored else None
            if stored is None or last is None:
                raise LogRefused("There is no checkpoint to accept, or another process seals this log.")
            if self._copies.read(tenant_id, stored.generation) is not None:
                raise LogRefused("There is a copy; it is not replaced.")
            self._compare(stored, last.note, stored.size())
            self._copies.write(tenant_id, stored.generation, last.note)
            return last.head

    # --- one transaction -------------------------------------------------------------------------------------------

    def _move(self, tenant_id: UUID) -> tuple[int, int]:
        """Take what waits and make leaves of it; returns how many outbox rows' worth, and how many leaves."""
        with self._behind_lock(tenant_id) as held:
            if not held:
                return 0, 0  # another process does it
            stored, tree = self._state(tenant_id)
            ids = sorted(self._take(tenant_id))
            rows = self._absent(stored, ids)
            grown = self._add(stored, tree, rows)
        self._keep(stored, grown)
        return len(ids), len(rows)

    def _take(self, tenant_id: UUID) -> list[str]:
        """Return the ids of records that wait, some of those put aside when the log refused among them."""
        of = {"tenant": tenant_id, "rows": self._batch}
        return [row[0] for take in (statements.TAKE_ASIDE, statements.TAKE) for row in self._execute(take, of)]

    def _absent(self, stored: StoredLog, ids: Sequence[str]) -> Sequence[Row]:
        """Return the records of these ids, which ascend, that are in no leaf.

        Raises `BrokenLog` when one is neither in a leaf nor a record of the tenant: it was deleted before that.
        """
        if not ids:
            return ()
        of = {"tenant": stored.tenant_id, "generation": stored.generation, "ids": _array(ids)}
        there = self._execute(statements.PRESENT, of)
        present = {record_id for record_id, tenant_id in there if tenant_id == stored.tenant_id}
        rows = self._execute(statements.RECORDS, {**of, "first": ids[0], "last": ids[-1]})
        lost = set(ids) - present - {row[0] for row in rows}
        if lost:
            raise BrokenLog(
                f"{len(lost)} records that wait to be sealed in {stored.origin} are gone, {min(lost)} the first of "
                'them. See docs/compliance.md, "When a log is not sealed".'
            )
        return [row for row in rows if row[0] not in present] if present else rows

    def _add(self, stored: StoredLog, tree: Tree, rows: Sequence[Row]) -> Tree:
        if not rows:
            return tree
        tenant, sha256 = str(stored.tenant_id), hashlib.sha256
        leaves = [sha256(b"\x00" + entries.entry(tenant, row)).digest() for row in rows]
        grown = tree.copy()
        full = grown.extend(leaves)
        of = {"tenant": stored.tenant_id, "generation": stored.generation}
        ids = _array([row[0] for row in rows])
        self._write(statements.ADD_LEAVES, {**of, "size": tree.size, "ids": ids, "hashes": b"".join(leaves)})
        for made in full:
            tile = {"level": made.tile.level, "n": made.tile.n, "hashes": made.hashes, "root": made.root}
            self._write(statements.ADD_TILE, {**of, **tile})
        return grown

    def _add_checkpoint(self, stored: StoredLog, size: int, signed: str) -> None:
        of = {"tenant": stored.tenant_id, "generation": stored.generation}
        self._write(statements.ADD_CHECKPOINT, {**of, "size": size, "note": signed})
        self._agreed[stored.tenant_id, stored.generation] = signed.encode()

    def _open(self, tenant_id: UUID, generation: int) -> StoredLog:
        origin = f"{self._host}/log/{tenant_id}" + (f"/{generation}" if generation > 1 else "")
        self._write(statements.OPEN_LOG, {"tenant": tenant_id, "generation": generation, "origin": origin})
        return StoredLog(tenant_id, generation, origin, self._execute)

    def _state(self, tenant_id: UUID) -> tuple[StoredLog, Tree]:
        """Return the log and its tree, as the database has them now. Raises `Forked`, `CopyMissing`."""
        stored = StoredLog.of(tenant_id, run=self._execute) or self._open(tenant_id, 1)
        key, size = (tenant_id, stored.generation), stored.size()
        tree = self._trees.get(key)
        if tree is None or tree.size != size:
            self._agreed.pop(key, None)
            tree = Tree.of(size, {tile.level: stored.hashes(tile) for tile in right_edge(size)})
        copy = self._copies.read(tenant_id, stored.generation)
        if key not in self._agreed or copy != self._agreed[key]:
            self._check(stored, copy, size)
            self._agreed[key] = copy
        return stored, tree

    def _keep(self, stored: StoredLog, tree: Tree) -> None:
        self._trees[stored.tenant_id, stored.generation] = tree

    # --- never fork ------------------------------------------------------------------------------------------------

    def _check(self, stored: StoredLog, copy: bytes | None, size: int) -> None:
        """Raise unless the database's tree begins with all that was signed of it, here and elsewhere."""
        last = stored.signed()
        if copy is None and last is not None:
            raise CopyMissing(
                f"{self._copies.path(stored.tenant_id, stored.generation)} is missing, which tells a restored backup "
                f"from the log. Bring it back; or, if this database was never restored, run `manage.py seal --accept "
                f"{stored.tenant_id}`."
            )
        for signed in (copy, last.note if last else None):
            if signed is not None:
                self._compare(stored, signed, size)

    def _compare(self, stored: StoredLog, signed: bytes, size: int) -> None:
        try:
            opened, _ = note.opened(signed, keys.verifiers(stored.origin, self._seeds))
            head = Checkpoint.parse(opened.text)
        except (BadNote, NoteRefused, BadCheckpoint) as error:
            raise Forked(f"The last checkpoint of {stored.origin} is none of our keys': {error}") from error
        if head.origin != stored.origin:
            raise Forked(f"The copy of {stored.origin} is one of {head.origin}.")
        if head.size > size or stored.root(head.size) != head.root:
            raise Forked(
                f"{stored.origin} was signed with {head.size} leaves, and the database, which has {size}, is not what "
                'was signed: a backup was restored, or somebody changed it. See docs/compliance.md, "After a '
                'restore".'
            )

    # --- the connection --------------------------------------------------------------------------------------------

    @contextmanager
    def _as_seal(self) -> Iterator[None]:
        with self._connection.transaction():
            self._connection.execute(f"SET LOCAL ROLE {SEAL}".encode())
            self._connection.execute("SET LOCAL synchronous_commit = on")
            yield

    @contextmanager
    def _behind_lock(self, tenant_id: UUID) -> Iterator[bool]:
        """Be the one who seals this log until the block ends; says False when another one is."""
        with self._as_seal():
            yield bool(self._execute(statements.LOCK, {"tenant": tenant_id})[0][0])

    def _execute(self, statement: str, parameters: Mapping[str, Any]) -> Sequence[Row]:
        return self._connection.execute(statement.encode(), dict(parameters)).fetchall()

    def _write(self, statement: str, parameters: Mapping[str, Any]) -> None:
        self._connection.execute(statement.encode(), dict(parameters))


def _array(ids: Sequence[str]) -> str:
    return "{" + ",".join(ids) + "}"
