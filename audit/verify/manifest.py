"""The manifest of a bundle: which files belong to it, what period it tells of, what it leaves out. Pure."""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from audit.log.note import Note, Signer, sign
from audit.verify import strict
from audit.verify.errors import Unproven

Json = Any

NAME: Final = "manifest.json"
NOTE: Final = "manifest.note"

_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_KEYS: Final = {"origin", "from", "to", "size", "files", "erased", "withheld"}


@dataclass(frozen=True, slots=True)
class Left:
    """That a payload is left out. where: the manifest's list that says so, `erased` or `withheld`. why: in words."""

    where: str
    why: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """origin: the log's. first, end: the period, as indexes; `end` is the one behind its last leaf. size: the tree's.

    files: SHA-256 in hex by path, of every file but the manifest and its note. erased, withheld: why, by index.
    """

    origin: str
    first: int
    end: int
    size: int
    files: dict[str, str]
    erased: dict[int, str]
    withheld: dict[int, str]

    @classmethod
    def parse(cls, data: bytes) -> "Manifest":
        """Read one. Raises `Unproven`."""
        try:
            value = strict.read(data)
        except ValueError as error:
            raise Unproven(f"{NAME} is no JSON: {error}") from error
        if not isinstance(value, dict) or set(value) != _KEYS or not _is_period(value):
            raise Unproven(f"{NAME} has not the shape of a manifest.")
        files = value["files"]
        if not isinstance(files, dict) or not all(map(_is_sha256, files.values())):
            raise Unproven(f"{NAME} has not the shape of a manifest.")
        left_out = [_left_out(value[name], value) for name in ("erased", "withheld")]
        return cls(value["origin"], value["from"], value["to"], value["size"], files, *left_out)


def _is_sha256(value: Json) -> bool:
    return type(value) is str and _SHA256.fullmatch(value) is not None


def written(
    origin: str,
    first: int,
    end: int,
    size: int,
    files: Iterable[Sequence[str]],
    left_out: Callable[[], Iterable[Sequence[Json]]],
) -> Iterator[bytes]:
    """Yield a manifest's text in pieces, so that nobody holds what may be a line for each leaf of a long period.

    files: path and SHA-256 in hex of each. left_out: gives index, list (`erased`, `withheld`) and why of each leaf,
    ascending; gone through once for each list.
    """
    period = {"origin": origin, "from": first, "to": end, "size": size}
    yield json.dumps(period, indent=1)[:-2].encode() + b',\n "files": {'
    yield from _joined(f"\n  {json.dumps(name)}: {json.dumps(sha256)}" for name, sha256 in files)
    yield b"\n }"
    for where in ("erased", "withheld"):
        listed = (f"\n  {json.dumps({'index': i, 'why': why})}" for i, of, why in left_out() if of == where)
        yield f',\n "{where}": ['.encode()
        yield from _joined(listed)
        yield b"\n ]"
    yield b"\n}\n"


def _joined(items: Iterator[str]) -> Iterator[bytes]:
    """Yield the items with commas between, some at a time."""
    separator = ""
    while some := list(islice(items, 1000)):
        yield (separator + ",".join(some)).encode()
        separator = ","


def note_text(data: bytes) -> str:
    """Return what is signed of a manifest: our name for it, and its SHA-256 in hex."""
    return _note_text(hashlib.sha256(data).hexdigest())


def _note_text(sha256: str) -> str:
    return f"countersign/manifest\n{sha256}\n"


def signed(data: bytes, signers: Iterable[Signer]) -> Note:
    """Return the note over a manifest."""
    return sign(note_text(data), signers)


def signed_digest(sha256: str, signers: Iterable[Signer]) -> Note:
    """Return the note over a manifest whose SHA-256 in hex this is."""
    return sign(_note_text(sha256), signers)


def _is_period(value: dict[str, Json]) -> bool:
    numbers = (value["from"], value["to"], value["size"])
    if type(value["origin"]) is not str or not all(type(each) is int for each in numbers):
        return False
    return bool(0 <= value["from"] <= value["to"] <= value["size"])


def _left_out(listed: Json, value: dict[str, Json]) -> dict[int, str]:
    found: dict[int, str] = {}
    for each in listed if isinstance(listed, list) else [None]:
        if not isinstance(each, dict) or set(each) != {"index", "why"} or type(each["index"]) is not int:
            raise Unproven(f"{NAME} has not the shape of a manifest.")
        index = each["index"]
        if index in found or not value["from"] <= index < value["to"] or type(each["why"]) is not str:
            raise Unproven(f"{NAME} lists leaf {index} twice, or one outside the period, or says not why.")
        found[index] = each["why"]
    return found
