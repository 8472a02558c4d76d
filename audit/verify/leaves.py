"""One leaf of a bundle: its line, the entry that is in the tree, and the payload it commits to. Pure."""

import hashlib
import re
from collections.abc import Sequence
from typing import Any, Final

from audit.canonical import NotCanonical, canonical
from audit.verify import strict
from audit.verify.errors import Unproven

Json = Any

#: What every leaf has; later versions may add more.
FIELDS: Final = frozenset(
    {"v", "id", "at", "tenant", "stream", "seq", "action", "actor", "subject", "outcome", "commitment"}
)
MIN_SALT_BYTES: Final = 16

#: Of a leaf that proves: its index, its tenant, whether it commits to a payload, whether that is shown.
Found = tuple[int, str, bool, bool]

_HEX = re.compile(r"(?:[0-9a-f]{2})+", re.ASCII)
_COMMITMENT = re.compile(r"[0-9a-f]{64}", re.ASCII)


def check(index: int, entry: bytes, line: bytes) -> tuple[dict[str, Json], bool]:
    """Return the leaf, and whether the line shows its payload.

    entry: the bytes in the tree, whose hash was checked. line: of entries.jsonl. Raises `Unproven` unless the entry is
    RFC 8785 of a leaf, the line says the same leaf under the same index, and a payload that is shown is the one that
    the leaf commits to.
    """
    try:
        leaf = strict.read_canonical(entry)
    except ValueError as error:
        raise Unproven(f"Leaf {index} is no canonical JSON: {error}") from error
    if not isinstance(leaf, dict) or not leaf.keys() >= FIELDS:
        raise Unproven(f"Leaf {index} has not the fields of a leaf.")
    salt, text = _payload(index, entry, line, leaf)
    commitment = leaf["commitment"]
    if text is None:
        if commitment is not None and not (type(commitment) is str and _COMMITMENT.fullmatch(commitment)):
            raise Unproven(f"Leaf {index} has a commitment that is none.")
        return leaf, False
    if commitment is None:
        raise Unproven(f"Line {index} shows a payload, and its leaf commits to none.")
    if len(salt) < MIN_SALT_BYTES or hashlib.sha256(salt + text).hexdigest() != commitment:
        raise Unproven(f"Line {index} shows another payload than its leaf commits to.")
    return leaf, True


def check_all(batch: Sequence[tuple[int, bytes, bytes]]) -> list[Found | str]:
    """Check several (index, entry, line); returns what was found of each, or why it does not prove."""
    found: list[Found | str] = []
    for index, entry, line in batch:
        try:
            leaf, shows = check(index, entry, line)
            found.append((index, str(leaf["tenant"]), leaf["commitment"] is not None, shows))
        except Unproven as error:
            found.append(str(error))
    return found


def _payload(index: int, entry: bytes, line: bytes, leaf: Json) -> tuple[bytes, bytes | None]:
    """Return the salt and the canonical text of the line's payload; None when it shows none."""
    start = b'{"index":%d,"leaf":' % index
    if not line.startswith(start):
        return _payload_slowly(index, line, leaf)
    at = len(start) + len(entry)
    if line[len(start) : at] != entry or line[at : at + 11] != b',"payload":':
        return _payload_slowly(index, line, leaf)
    rest = line[at + 11 :]
    if rest == b"null}":
        return b"", None
    # As we write it: {"value":…,"salt":"…"}}. The salt is hex, so the last such words are the salt's.
    value_end = rest.rfind(b',"salt":"')
    salt = rest[value_end + 9 : -3].decode(errors="replace")
    if not rest.startswith(b'{"value":') or not rest.endswith(b'"}}') or not _HEX.fullmatch(salt):
        return _payload_slowly(index, line, leaf)
    text = rest[9:value_end]
    try:
        strict.read_canonical(text)
    except ValueError:
        return _payload_slowly(index, line, leaf)
    return bytes.fromhex(salt), text


def _payload_slowly(index: int, line: bytes, leaf: Json) -> tuple[bytes, bytes | None]:
    """The same of a line that is written in another way, by whatever JSON library."""
    try:
        value = strict.read(line)
    except ValueError as error:
        raise Unproven(f"Line {index} of entries.jsonl is no JSON: {error}") from error
    if not isinstance(value, dict) or set(value) != {"index", "leaf", "payload"}:
        raise Unproven(f"Line {index} of entries.jsonl has not an index, a leaf and a payload.")
    if type(value["index"]) is not int or value["index"] != index:
        raise Unproven(f"The line of leaf {index} is missing; in its place is that of {value['index']!r}.")
    try:
        if canonical(value["leaf"]) != canonical(leaf):
            raise Unproven(f"Line {index} tells of another leaf than is in the tree.")
        payload = value["payload"]
        if payload is None:
            return b"", None
        if not isinstance(payload, dict) or set(payload) != {"value", "salt"}:
            raise Unproven(f"Line {index} has a payload without value and salt.")
        salt = payload["salt"]
        if type(salt) is not str or not _HEX.fullmatch(salt):
            raise Unproven(f"Line {index} has a salt that is not hex.")
        return bytes.fromhex(salt), canonical(payload["value"]).encode()
    except NotCanonical as error:
        raise Unproven(f"Line {index} has no canonical form: {error}") from error
