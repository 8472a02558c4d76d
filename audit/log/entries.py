"""A record's row as the log's entry, the fast way. Pure; says the same as `audit.leaf`, which defines it."""

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from audit.canonical import canonical
from audit.leaf import MAX_BYTES, UnfitLeaf

#: What the row of a record holds, as SQL over `audit_record r`: texts, but for v and seq.
COLUMNS: Final = (
    "r.id::text, r.v, to_char(r.at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), r.stream::text, r.seq, "
    "r.action, r.actor, r.subject, r.outcome, encode(r.commitment, 'hex'), r.facts::text"
)

_quoted = lru_cache(maxsize=8192)(json.JSONEncoder(ensure_ascii=False).encode)


def entry(tenant: str, row: Sequence[Any]) -> bytes:
    """Return the entry of a record, at most 65,535 bytes: RFC 8785 of its leaf.

    tenant: its id. row: the values of `COLUMNS`. Raises `UnfitLeaf`, `NotCanonical`.
    """
    record_id, v, at, stream, seq, action, actor, subject, outcome, commitment, facts = row
    data = (
        f'{{"action":{_quoted(action)},"actor":{_quoted(actor)},"at":"{at}",'
        f'"commitment":{_text_or_null(commitment)},"facts":{canonical(json.loads(facts))},"id":"{record_id}",'
        f'"outcome":{_quoted(outcome)},"seq":{"null" if seq is None else seq},"stream":"{stream}",'
        f'"subject":{"null" if subject is None else _quoted(subject)},"tenant":"{tenant}","v":{v}}}'
    ).encode()
    if len(data) > MAX_BYTES:
        raise UnfitLeaf(f"The record {record_id} has {len(data)} bytes as a leaf; {MAX_BYTES} are allowed.")
    return data


def _text_or_null(value: str | None) -> str:
    return "null" if value is None else f'"{value}"'
