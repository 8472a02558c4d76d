"""The verification of a bundle: what it shows is in the log, all of it, and the log is the one that was signed before.

Each part says what it proved, or raises `Unproven`; all are tried, so that a report names everything that is wrong.
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from audit.log import merkle, note, tiles
from audit.log.checkpoint import BadCheckpoint, Checkpoint
from audit.log.merkle import ProofRefused
from audit.log.note import BadKey, BadNote, NoteRefused, VerifierKey
from audit.log.tiles import ENTRIES, WIDTH, BadTile, Tile
from audit.log.witness import cosigned_at
from audit.verify import leaves
from audit.verify.errors import Unproven
from audit.verify.files import Files
from audit.verify.manifest import NAME, NOTE, Manifest, note_text
from audit.verify.parallel import mapped

#: Files that every bundle has, beside tiles and the manifest; `previous` belongs to one that starts later.
ALWAYS: Final = ("checkpoint", "vkey", "entries.jsonl", "README.txt")

#: Checkpoints that witnesses cosigned, by their size.
WITNESSED: Final = "witnessed/"

#: Leaves that are checked at once.
BATCH: Final = 2048

#: Problems of one kind that a report names; that there are more is said.
NAMED: Final = 20

_WITNESSED = re.compile(rf"{WITNESSED}[1-9][0-9]{{0,18}}", re.ASCII)
_TENANT = re.compile(r"/log/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:/[0-9]+)?\Z", re.ASCII)


@dataclass
class Report:
    """proven: sentences. problems: what does not prove; the bundle proves as a whole only when there are none."""

    proven: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def verify(
    files: Files,
    *,
    keys: list[VerifierKey] | None = None,
    held: bytes | None = None,
    witnesses: Sequence[VerifierKey] = (),
) -> Report:
    """Verify a bundle.

    keys: those that are trusted; None trusts what the bundle says. held: an older checkpoint. witnesses: the keys of
    those who are to have cosigned the log, each of them.
    """
    report = Report()
    try:
        verification = Verification(files, keys, report)
    except (Unproven, BadNote, NoteRefused, BadCheckpoint, BadKey, BadTile) as error:
        report.problems.append(str(error))
        return report
    parts: list[Callable[[], str]] = [
        verification.files_are_those,
        verification.tree_is_signed,
        verification.leaves_are_all,
        verification.previous_is_its_beginning,
        lambda: verification.witnesses_cosigned(witnesses),
    ]
    if held is not None:
        parts.append(lambda: verification.held_is_its_beginning(held))
    for part in parts:
        try:
            report.proven += [sentence for sentence in [part()] if sentence]
        except (Unproven, BadNote, NoteRefused, BadCheckpoint, BadTile, ProofRefused) as error:
            report.problems.append(str(error))
    return report


class Verification:
    """A bundle whose manifest is signed. Raises `Unproven` and the errors of notes when it is not."""

    def __init__(self, files: Files, keys: list[VerifierKey] | None, report: Report) -> None:
        self._files, self._report = files, report
        own = read_keys(files.read("vkey").decode(errors="replace"))
        self._keys = own if keys is None else keys
        data = files.read(NAME)
        opened, signed = note.opened(files.read(NOTE), self._keys)
        if opened.text != note_text(data):
            raise Unproven(f"{NOTE} is not one of this {NAME}: it was changed after it was signed.")
        self.manifest = Manifest.parse(data)
        own, self._keys = self._of_the_log(own), self._of_the_log(self._keys)
        known = {(key.name, key.key_id) for key in own}
        for signature in opened.signatures:
            if (signature.name, signature.key_id) not in known:
                raise Unproven(f"{NOTE} has a signature of {signature.name}, which is no key of this bundle's log.")
        note.opened(files.read(NOTE), own)  # those that were not given too
        _, signed = note.opened(files.read(NOTE), self._keys)
        self._has_bundles()
        self._head = self._checkpoint(files.read("checkpoint"), "checkpoint")
        if self._head.size != self.manifest.size:
            raise Unproven(f"The checkpoint is of {self._head.size} leaves, the manifest of {self.manifest.size}.")
        self._read = lru_cache(maxsize=64)(self._read_tile)
        report.proven.append(
            f"The manifest is signed by {signed[0].name} ({signed[0].key_id.hex()}), and so is the tree's head: "
            f"{self._head.size} leaves, root {self._head.root.hex()}."
        )

    # --- parts -----------------------------------------------------------------------------------------------------

    def files_are_those(self) -> str:
        """Every file is the one that the manifest names, none is missing, none was added."""
        there, listed = self._files.names() - {NAME, NOTE}, set(self.manifest.files)
        wanted = {*ALWAYS, *(tile.path for tile in self._tiles)} | ({"previous"} if self.manifest.first else set())
        wanted |= {name for name in listed if _WITNESSED.fullmatch(name)}
        problems = [f"{name} is missing." for name in sorted(listed - there)]
        problems += [f"{name} is not in the manifest." for name in sorted(there - listed)]
        problems += [f"{name} does not belong into this bundle." for name in sorted(listed - wanted)]
        problems += [f"The manifest does not name {name}." for name in sorted(wanted - listed)]
        problems += [
            f"{name} was changed: its SHA-256 is another one."
            for name in sorted(listed & there)
            if self._sha256(name) != self.manifest.files[name]
        ]
        self._raise(problems)
        return f"All {len(listed)} files are those of the manifest."

    def tree_is_signed(self) -> str:
        """The hash tiles make the root that was signed, and each full one is in the tile above it."""
        size = self.manifest.size
        if tiles.root_from(size, self._read) != self._head.root:
            raise Unproven("The tiles do not make the root that was signed.")
        problems = []
        for tile in self._tiles:
            if tile.level > 0 and tile.width == WIDTH:
                problems += self._unlinked(tile, merkle.root_of(self._read(tile)))
        self._raise(problems)
        return ""

    def leaves_are_all(self) -> str:
        """Each leaf of the period is in the tree, in its place, with a line; payloads shown are those committed to."""
        manifest, problems = self.manifest, list[str]()
        shown, tenants = 0, set[str]()
        for found in mapped(leaves.check_all, self._batches(problems), leaves=manifest.end - manifest.first):
            for each in found:
                if isinstance(each, str):
                    problems.append(each)
                    continue
                index, tenant, committed, shows = each
                tenants.add(tenant)
                shown += shows
                problems += self._left_out(index, shows=shows, committed=committed)
            if len(problems) > NAMED:
                break
        of = _TENANT.search(manifest.origin)
        if of is None or tenants - {of[1]}:
            problems.append(f"There are leaves of another tenant than {manifest.origin} is the log of.")
        self._raise(problems)
        count = manifest.end - manifest.first
        return (
            f"All {count} leaves from {manifest.first} to before {manifest.end} are there and in the tree; of their "
            f"payloads {shown} are shown and are what was committed to, {len(manifest.erased)} are erased, "
            f"{len(manifest.withheld)} withheld."
        )

    def previous_is_its_beginning(self) -> str:
        """The log begins with the one of the period's start."""
        if self.manifest.first == 0:
            return "The period starts with the log."
        before, _ = self._leading_on("previous")
        if before.size != self.manifest.first:
            raise Unproven(f"previous is of {before.size} leaves; the period starts at {self.manifest.first}.")
        return f"The log begins with that of {before.size} leaves, which was signed at the period's start."

    def witnesses_cosigned(self, witnesses: Sequence[VerifierKey]) -> str:
        """The log begins with those that witnesses cosigned, and each that is asked for cosigned one of them."""
        newest: dict[VerifierKey, tuple[int, int]] = {}
        for name in sorted(name for name in self._files.names() if _WITNESSED.fullmatch(name)):
            before, whole = self._leading_on(name)
            if name != f"{WITNESSED}{before.size}":
                raise Unproven(f"{name} is of {before.size} leaves.")
            for key in witnesses:
                for signature in note.parse(whole).signatures:
                    if (signature.name, signature.key_id) != (key.name, key.key_id):
                        continue
                    if not key.verifies(signature, before.text):
                        raise Unproven(f"{name} has a cosignature of {key.name} that is not one of this checkpoint.")
                    newest[key] = max(newest.get(key, (0, 0)), (before.size, cosigned_at(signature)))
        self._raise([f"{key.name} ({key.key_id.hex()}) has not cosigned it." for key in witnesses if key not in newest])
        told = (f"{key.name} the one of {size} leaves at {_time(at)}" for key, (size, at) in newest.items())
        if not witnesses:
            return ""
        return f"{len(newest)} of {len(witnesses)} witnesses cosigned what the log begins with: {', '.join(told)}."

    def _leading_on(self, name: str) -> tuple[Checkpoint, bytes]:
        """Return a checkpoint from which a file's hashes lead on to the head, and its note."""
        whole, separator, hashes = self._files.read(name).rpartition(b"\n\n")
        if not separator:
            raise Unproven(f"{name} has not a checkpoint, an empty line and hashes.")
        before = self._checkpoint(whole + b"\n", name)
        text = hashes.decode(errors="replace")
        if text and not text.endswith("\n"):
            raise Unproven(f"{name} ends within a line.")
        self._consistent(before, [note.decode(line) for line in text.split("\n")[:-1]])
        return before, whole + b"\n"

    def held_is_its_beginning(self, held: bytes) -> str:
        """The log begins with the one of a checkpoint that somebody held."""
        before = self._checkpoint(held, "The checkpoint that you hold")
        if before.size > self._head.size:
            raise Unproven(
                f"The checkpoint that you hold is of {before.size} leaves, the bundle's tree has {self._head.size}: "
                "the bundle is older, or the log was cut."
            )
        if self._root(before.size) != before.root:
            raise Unproven(f"The log does not begin with the tree of {before.size} leaves whose checkpoint you hold.")
        return f"The log begins with that of {before.size} leaves whose checkpoint you hold."

    # --- what they share -------------------------------------------------------------------------------------------

    @property
    def _tiles(self) -> list[Tile]:
        return tiles.covering(self.manifest.first, self.manifest.end, self.manifest.size)

    def _of_the_log(self, keys: list[VerifierKey]) -> list[VerifierKey]:
        """Return those of the keys that are named like the log: another log's sign nothing of this one."""
        return [key for key in keys if key.name == self.manifest.origin]

    def _has_bundles(self) -> None:
        """Refuse a period that the files cannot hold, before anything is done that grows with its length."""
        first, end = self.manifest.first, self.manifest.end
        needed = (end - 1) // WIDTH - first // WIDTH + 1 if first < end else 0
        there = sum(name.startswith("tile/entries/") for name in self.manifest.files)
        if there < needed:
            raise Unproven(f"{end - first} leaves need {needed} files of entries; the manifest names {there}.")

    def _checkpoint(self, data: bytes, name: str) -> Checkpoint:
        try:
            opened, _ = note.opened(data, self._keys)
        except (BadNote, NoteRefused) as error:
            raise Unproven(f"{name} is not signed by the log: {error}") from error
        head = Checkpoint.parse(opened.text)
        if head.origin != self.manifest.origin:
            raise Unproven(f"{name} is one of {head.origin}, the bundle one of {self.manifest.origin}.")
        return head

    def _read_tile(self, tile: Tile) -> list[bytes]:
        return tiles.hashes_of(tile, self._files.read(tile.path))

    def _entries(self, problems: list[str]) -> Iterator[tuple[int, bytes]]:
        """Yield the entries of the bundles with their indexes, each after its hash was found in its place."""
        size = self.manifest.size
        for bundle in self._tiles:
            if bundle.level != ENTRIES:
                continue
            entries = list(tiles.read_entry_bundle(self._files.read(bundle.path)))
            if len(entries) != bundle.width:
                raise Unproven(f"{bundle.path} has {len(entries)} entries instead of {bundle.width}.")
            tile = tiles.of_size(0, bundle.n, size)
            hashes = self._read(tile)
            made = [merkle.leaf_hash(entry) for entry in entries]
            if tile.width == WIDTH:
                problems += self._unlinked(tile, merkle.root_of(hashes))
            if made != hashes:
                places = [at for at, (one, other) in enumerate(zip(made, hashes, strict=True)) if one != other]
                problems.append(f"Leaf {tile.first + places[0]} is not the one in the tree.")
            yield from enumerate(entries, tile.first)

    def _unlinked(self, tile: Tile, root: bytes) -> list[str]:
        """Return a problem unless the full tile's root is in the tile above it."""
        above = tiles.of_size(tile.level + 1, tile.n // WIDTH, self.manifest.size)
        linked = self._read(above)[tile.n % WIDTH] == root
        return [] if linked else [f"{tile.path} is not the one in the tree."]

    def _batches(self, problems: list[str]) -> Iterator[list[tuple[int, bytes, bytes]]]:
        """Yield the period's leaves with their lines, a batch at a time; entries whose hashes are in the tree alone."""
        first, end = self.manifest.first, self.manifest.end
        lines = self._files.lines("entries.jsonl")
        batch: list[tuple[int, bytes, bytes]] = []
        for index, entry in self._entries(problems):
            if not first <= index < end:
                continue
            line = next(lines, None)
            if line is None:
                raise Unproven(f"entries.jsonl ends before leaf {index}.")
            batch.append((index, entry, line))
            if len(batch) == BATCH:
                yield batch
                batch = []
        yield batch
        if next(lines, None) is not None:
            problems.append("entries.jsonl goes on behind the period.")

    def _left_out(self, index: int, *, shows: bool, committed: bool) -> list[str]:
        """Return a problem unless a payload is shown or said to be left out, and not both."""
        listed = index in self.manifest.erased or index in self.manifest.withheld
        if shows and listed:
            return [f"Leaf {index} shows a payload that is said to be left out."]
        if listed and not committed:
            return [f"Leaf {index} commits to no payload, and one is said to be left out."]
        if committed and not shows and not listed:
            return [f"Leaf {index} lacks its payload, and nothing says why."]
        return []

    def _consistent(self, before: Checkpoint, proof: list[bytes]) -> None:
        merkle.check_consistency(
            old_size=before.size,
            new_size=self._head.size,
            old_root=before.root,
            new_root=self._head.root,
            proof=proof,
        )

    def _root(self, size: int) -> bytes:
        """Return the root of the tree as it was, out of the bundle's tiles, or of what it says was before it."""
        if size == self.manifest.first and size:
            whole = self._files.read("previous").rpartition(b"\n\n")[0]
            return self._checkpoint(whole + b"\n", "previous").root
        there = set(self._tiles)

        def read(tile: Tile) -> list[bytes]:
            grown = tiles.of_size(tile.level, tile.n, self.manifest.size)
            if grown not in there:
                raise Unproven(
                    f"The bundle cannot be compared with the tree of {size} leaves, which lies outside its period: "
                    "have one exported from then on."
                )
            return self._read(grown)[: tile.width]

        return tiles.root_from(size, read)

    def _sha256(self, name: str) -> str:
        digest = hashlib.sha256()
        try:
            with self._files.open(name) as file:
                while part := file.read(1 << 20):
                    digest.update(part)
        except OSError:
            return ""
        return digest.hexdigest()

    @staticmethod
    def _raise(problems: list[str]) -> None:
        if problems:
            more = f"\n… and {len(problems) - NAMED} more." if len(problems) > NAMED else ""
            raise Unproven("\n".join(problems[:NAMED]) + more)


def _time(seconds: int) -> str:
    """Return a cosignature's time for people; as it is when no calendar has it."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, ValueError, OSError):
        return f"{seconds} s after 1970"


def read_keys(text: str) -> list[VerifierKey]:
    """Return the verifier keys of a text, one a line. Raises `BadKey`, also when there are none."""
    found = [VerifierKey.parse(line.strip()) for line in text.splitlines() if line.strip()]
    if not found:
        raise BadKey("There is no verifier key.")
    return found
