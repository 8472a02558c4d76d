"""Append to the journal and read a stream back. The one place that writes `audit_record`.

A record is written by the transaction of the change it tells. `Entry` keeps apart what is for ever (`facts`) from what
can be erased (`payload`); the record holds only a salted commitment to the latter.
"""

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from json.encoder import encode_basestring_ascii as _quoted
from typing import Any, Literal
from uuid import UUID

from django.db import connection

from audit import leaf, source
from audit.canonical import canonical, commitment
from db.scope import current_tenant_id

Json = Any
Outcome = Literal["ok", "denied", "failed"]

SALT_BYTES = 16
_DAY_MS = 24 * 3600 * 1000


class BrokenStream(Exception):
    """A run's facts are not numbered 1, 2, 3 …: somebody added to its journal past the engine, or took from it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One fact to append.

    action: event type. v: version of its shape. actor, subject: opaque ids, see `audit.models.Record`.
    facts: opaque ids, codes and numbers; never anything about a person. What is written while a request is answered
    says its source as well (`audit.source`). payload: the rest, or None.
    """

    action: str
    actor: str
    facts: dict[str, Json] = field(default_factory=dict)
    payload: Json = None
    v: int = 1
    subject: str | None = None
    outcome: Outcome = "ok"


@dataclass(frozen=True, slots=True)
class Stored:
    """One fact as read back. `payload` is None when there never was one, or when it was erased (`erased`)."""

    id: UUID
    seq: int | None
    at: datetime
    v: int
    action: str
    actor: str
    subject: str | None
    outcome: str
    facts: dict[str, Json]
    payload: Json
    erased: bool


def append_sql(*, entries: str = "%(entries)s::json", first: str = "0") -> str:
    """Return the tail of a statement that appends to streams: records, payloads, and one outbox row for each tenant.

    The statement begins with `WITH source AS (… tenant_id, stream, seq …)`, a row for each stream; where that is empty,
    nothing is written. entries: an expression over `source`, the JSON of `entries_parameter`; they are numbered behind
    `source.seq`. first: how many entries of the statement's other streams go before. Isolation: READ COMMITTED; the
    caller's row locks on the streams order the numbers. The time is the statement's, not the transaction's, so that the
    ids of one transaction's statements ascend.
    """
    return f"""
entry AS MATERIALIZED (
    SELECT audit_record_id(statement_timestamp(), ({first} + place)::integer) AS id, statement_timestamp() AS at,
           source.tenant_id, source.stream, source.seq + place AS seq,
           v, action, actor, subject, outcome, facts, decode(commitment, 'hex') AS commitment,
           decode(salt, 'hex') AS salt, payload
    FROM source, ROWS FROM (json_to_recordset({entries}) AS (
        v smallint, action text, actor text, subject text, outcome text, facts json, commitment text, salt text,
        payload text)) WITH ORDINALITY AS e(v, action, actor, subject, outcome, facts, commitment, salt, payload, place)
), record AS (
    INSERT INTO audit_record (id, at, tenant_id, stream, seq, v, action, actor, subject, outcome, facts, commitment)
    SELECT id, at, tenant_id, stream, seq, v, action, actor, subject, outcome, facts, commitment FROM entry
), payload AS (
    INSERT INTO audit_payload (record_id, tenant_id, salt, value)
    SELECT id, tenant_id, salt, payload FROM entry WHERE payload IS NOT NULL
), outbox AS (
    INSERT INTO audit_outbox (tenant_id, record_ids)
    SELECT tenant_id, array_agg(id ORDER BY id) FROM entry GROUP BY tenant_id
)
"""  # noqa: S608 - expressions of our own


#: The same for one stream, with its entries as the parameter `entries`.
APPEND = append_sql()

_RECORD = f"""
WITH source AS (SELECT %(tenant)s::uuid AS tenant_id, %(stream)s::uuid AS stream, NULL::integer AS seq), {APPEND}
SELECT id FROM entry
"""  # noqa: S608 - constants only

_APPEND_AT = f"""
WITH source AS (SELECT %(tenant)s::uuid AS tenant_id, %(stream)s::uuid AS stream, %(after)s::integer AS seq), {APPEND}
SELECT count(*) FROM entry
"""  # noqa: S608 - constants only

_PAYLOADS_AT = """
SELECT r.stream, r.seq, p.value
FROM unnest(%(streams)s::uuid[], %(seqs)s::integer[]) AS wanted(stream, seq)
JOIN audit_record r ON r.tenant_id = %(tenant)s AND r.stream = wanted.stream AND r.seq = wanted.seq
JOIN audit_payload p ON p.record_id = r.id
"""

#: Bytes of a payload's text from which on it is looked at for a part that is kept `whole` beside what is worked with.
LARGE = 300_000

#: Bytes of payloads, before its last one, of a page that is read with what is kept whole.
PAGE_BYTES = 4 * 1024 * 1024

#: The payload `p` without what is kept whole. Taken apart as `json`, whose parts are the very text that was written.
_WITHOUT_WHOLE = f"""
CASE WHEN octet_length(p.value) > {LARGE} AND left(p.value, 1) = '{{' THEN (
    SELECT '{{' || coalesce(string_agg(to_json(part.key)::text || ':' || part.value::text, ','), '') || '}}'
    FROM json_each(p.value::json) AS part(key, value) WHERE part.key <> 'whole')
ELSE p.value END
"""  # noqa: S608 - constants only


def _read_sql(value: str) -> str:
    return f"""
SELECT r.id, r.seq, r.at, r.v, r.action, r.actor, r.subject, r.outcome, r.facts::text, r.commitment IS NOT NULL,
       (SELECT {value} FROM audit_payload p WHERE p.record_id = r.id AND p.tenant_id = r.tenant_id) AS value
FROM audit_record r
WHERE r.tenant_id = %(tenant)s AND r.stream = %(stream)s AND r.seq > %(after)s AND r.id >= %(since)s
ORDER BY r.seq LIMIT %(limit)s
"""  # noqa: S608 - expressions of our own


#: A run's facts with their payloads, by primary keys, from the partition of the run's beginning on (`since`). What is
#: kept whole stays in the database: whoever loads a run never holds it.
READ = _read_sql(_WITHOUT_WHOLE)

#: The same with all of it, up to the payload with which they come to `PAGE_BYTES`; at least one. A size is told without
#: reading what has it.
_READ_WHOLE = f"""
SELECT * FROM (SELECT page.*, sum(octet_length(value)) OVER (ORDER BY seq ROWS UNBOUNDED PRECEDING) AS upto
               FROM ({_read_sql("p.value")}) AS page) AS sized
WHERE coalesce(upto, 0) - coalesce(octet_length(value), 0) < {PAGE_BYTES} ORDER BY seq
"""  # noqa: S608 - constants only


READ_PARAMETERS = ("tenant", "stream", "after", "since", "limit")


def entries_parameter(entries: Iterable[Entry]) -> str:
    """Return the `entries` parameter of `APPEND`. Raises `NotCanonical` when a payload has no canonical form.

    Raises `UnfitLeaf` for facts that the log could not take.
    """
    return f"[{','.join(map(_row, entries))}]"


def _row(entry: Entry) -> str:
    """Return the entry as JSON, put together by hand: its facts are written out once, for their check and for this."""
    came_from = source.current()
    facts = leaf.check_fits(
        v=entry.v,
        action=entry.action,
        actor=entry.actor,
        subject=entry.subject,
        outcome=entry.outcome,
        facts=entry.facts if came_from is None else came_from.facts() | entry.facts,
    )
    told = f'"action":{_quoted(entry.action)},"actor":{_quoted(entry.actor)},"outcome":{_quoted(entry.outcome)}'
    row = f'"v":{entry.v},{told},"facts":{facts}'
    if entry.subject is not None:
        row += f',"subject":{_quoted(entry.subject)}'
    if entry.payload is not None:
        salt, text = os.urandom(SALT_BYTES), canonical(entry.payload)
        committed = commitment(salt, text).hex()
        row += f',"salt":"{salt.hex()}","commitment":"{committed}","payload":{_quoted(text)}'
    return f"{{{row}}}"


def record(
    action: str,
    *,
    stream: UUID,
    actor: str,
    facts: dict[str, Json] | None = None,
    payload: Json = None,
    subject: str | None = None,
    outcome: Outcome = "ok",
) -> UUID:
    """Append one fact beyond runs to the journal of the tenant in scope; returns its id.

    Part of the current transaction. Raises `OutsideTenantScope` outside a scope, `NotCanonical` for a bad payload,
    `UnfitLeaf` for facts that the log could not take.
    """
    entry = Entry(action, actor, facts or {}, payload, subject=subject, outcome=outcome)
    parameters: dict[str, Any] = {
        "tenant": current_tenant_id(),
        "stream": stream,
        "entries": entries_parameter([entry]),
    }
    with connection.cursor() as cursor:
        cursor.execute(_RECORD, parameters)
        row: tuple[UUID] = cursor.fetchone()
    return row[0]


def append_at(stream: UUID, after: int, entries: Iterable[Entry]) -> None:
    """Append to a run's stream behind `after`, as part of the current transaction.

    The caller holds the lock on the run's row and has moved its `seq` by as many.
    """
    parameters: dict[str, Any] = {
        "tenant": current_tenant_id(),
        "stream": stream,
        "after": after,
        "entries": entries_parameter(entries),
    }
    with connection.cursor() as cursor:
        cursor.execute(_APPEND_AT, parameters)


def payloads_at(places: Iterable[tuple[UUID, int]]) -> dict[tuple[UUID, int], Json]:
    """Return the payloads at these places (stream, seq), in one query; what was erased is missing."""
    wanted = list(places)
    if not wanted:
        return {}
    streams, seqs = [stream for stream, _ in wanted], [seq for _, seq in wanted]
    with connection.cursor() as cursor:
        cursor.execute(_PAYLOADS_AT, {"tenant": current_tenant_id(), "streams": streams, "seqs": seqs})
        return {(stream, seq): json.loads(value) for stream, seq, value in cursor.fetchall()}


def read(stream: UUID, *, after: int = 0, limit: int = 10_000, whole: bool = False) -> list[Stored]:
    """Return a run's facts in order, from behind `after`; at most `limit`. Raises `BrokenStream`.

    whole: with what is kept whole beside what was worked with; then it may be fewer, as such payloads are large.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            _READ_WHOLE if whole else READ, read_parameters(current_tenant_id(), stream, after=after, limit=limit)
        )
        found = [stored(row) for row in cursor.fetchall()]
    check_unbroken(stream, (each.seq for each in found), after=after)
    return found


def check_unbroken(stream: UUID, seqs: Iterable[int | None], *, after: int) -> None:
    """Raise `BrokenStream` unless these are the numbers that follow `after`, each once."""
    for expected, seq in enumerate(seqs, max(after, 0) + 1):
        if seq != expected:
            raise BrokenStream(f"The journal of run {stream} holds number {seq} where {expected} belongs.")


def read_parameters(tenant_id: UUID, stream: UUID, *, after: int, limit: int) -> dict[str, Any]:
    """Return the parameters of `READ`."""
    return {"tenant": tenant_id, "stream": stream, "after": after, "limit": limit, "since": since_of(stream)}


def since_of(stream: UUID) -> UUID:
    """Return an id that no record of the run is below.

    A run's id is a UUIDv7 of the web server's clock, its records' ids of the database's: a day covers the difference.
    """
    return UUID(int=max(0, (stream.int >> 80) - _DAY_MS) << 80)


def stored(row: Sequence[Any]) -> Stored:
    """Turn a row of `READ` into a value."""
    record_id, seq, at, v, action, actor, subject, outcome, facts, committed, value = row[:11]
    payload = None if value is None else json.loads(value)
    erased = committed and value is None
    return Stored(record_id, seq, at, v, action, actor, subject, outcome, json.loads(facts), payload, erased)
