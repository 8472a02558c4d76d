"""The leaf of a record: what the transparency log commits to for ever. Pure: standard library only.

A leaf is an RFC 8785 object with the keys `v, id, at, tenant, stream, seq, action, actor, subject, outcome, commitment,
facts`. Ids are lower-case UUIDs with hyphens; `at` is RFC 3339 in UTC with six decimals and `Z`; `commitment` is hex or
null. Its canonical bytes are the log's entry (C2SP tlog-tiles: entry bundles give an entry's length in 16 bits).
"""

import json
from datetime import UTC, datetime
from typing import Any, Protocol
from uuid import UUID

from audit.canonical import canonical, is_plain

Json = Any

#: C2SP tlog-tiles, "Log Entries": an entry's length is a big-endian uint16.
MAX_BYTES = 65_535

_encode = json.JSONEncoder(separators=(",", ":")).encode

#: Up to so many characters in the free parts a leaf fits whatever they are: an escape has at most six bytes.
_SURELY_FITS = 10_000


class UnfitLeaf(ValueError):
    """The record cannot become a leaf of the log."""


class LeafRecord(Protocol):
    """What a leaf is made of; `audit.models.Record` is one. commitment: 32 bytes, or None."""

    @property
    def v(self) -> int: ...
    @property
    def id(self) -> UUID: ...
    @property
    def at(self) -> datetime: ...
    @property
    def tenant_id(self) -> UUID: ...
    @property
    def stream(self) -> UUID: ...
    @property
    def seq(self) -> int | None: ...
    @property
    def action(self) -> str: ...
    @property
    def actor(self) -> str: ...
    @property
    def subject(self) -> str | None: ...
    @property
    def outcome(self) -> str: ...
    @property
    def commitment(self) -> bytes | memoryview | None: ...
    @property
    def facts(self) -> dict[str, Json]: ...


def leaf(record: LeafRecord) -> dict[str, Json]:
    """Return the leaf of a record. Raises `UnfitLeaf` when `at` does not say its time zone."""
    return {
        "v": record.v,
        "id": str(record.id),
        "at": timestamp(record.at),
        "tenant": str(record.tenant_id),
        "stream": str(record.stream),
        "seq": record.seq,
        "action": record.action,
        "actor": record.actor,
        "subject": record.subject,
        "outcome": record.outcome,
        "commitment": None if record.commitment is None else bytes(record.commitment).hex(),
        "facts": record.facts,
    }


def entry_bytes(leaf: dict[str, Json]) -> bytes:
    """Return the log's entry, at most `MAX_BYTES`. Raises `UnfitLeaf`, `NotCanonical`."""
    data = canonical(leaf).encode()
    if len(data) > MAX_BYTES:
        raise UnfitLeaf(f"The record of {leaf['action']} has {len(data)} bytes as a leaf; {MAX_BYTES} are allowed.")
    return data


def timestamp(at: datetime) -> str:
    """Return e.g. `2026-11-22T02:34:56.000000Z`. Raises `UnfitLeaf` for a time without a zone."""
    if at.utcoffset() is None:
        raise UnfitLeaf("A record's time must say its zone.")
    return at.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def check_fits(*, v: int, action: str, actor: str, subject: str | None, outcome: str, facts: dict[str, Json]) -> str:
    """Return the facts as JSON text; raises `UnfitLeaf` unless a record of these parts is sure to have a leaf, whatever
    its id, time and place.

    To be asked before a record is written: one without a leaf would hold up its log for ever. Facts must be plain, so
    that whoever reads them, with whatever JSON reader, reads the same.
    """
    if type(facts) is not dict or not is_plain(facts):
        raise UnfitLeaf(f"The facts of {action} may hold text, integers up to 2^53 - 1, true, false and null only.")
    parts = _encode(facts)  # never shorter than the canonical form
    if len(parts) + len(action) + len(actor) + len(subject or "") + len(outcome) > _SURELY_FITS:
        entry_bytes(
            {
                "v": v,
                "id": _ANY_ID,
                "at": _ANY_TIME,
                "tenant": _ANY_ID,
                "stream": _ANY_ID,
                "seq": -(2**31),
                "action": action,
                "actor": actor,
                "subject": subject,
                "outcome": outcome,
                "commitment": "0" * 64,
                "facts": facts,
            }
        )
    return parts


_ANY_ID = str(UUID(int=0))
_ANY_TIME = "9999-12-31T23:59:59.999999Z"
