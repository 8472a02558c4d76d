"""The fast way from a row to an entry says what the leaf's definition says."""

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.leaf import UnfitLeaf, entry_bytes, leaf, timestamp
from audit.log import entries

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@given(
    v=st.integers(1, 32767),
    at=st.datetimes(timezones=st.just(UTC)),
    record_id=st.uuids(),
    tenant_id=st.uuids(),
    stream=st.uuids(),
    seq=st.none() | st.integers(1, 2**31 - 1),
    action=TEXT,
    actor=TEXT,
    subject=st.none() | TEXT,
    outcome=st.sampled_from(["ok", "denied", "failed"]),
    commitment=st.none() | st.binary(min_size=32, max_size=32),
    facts=st.dictionaries(TEXT, PLAIN, max_size=4),
)
def test_both_ways_come_to_the_same_bytes(record_id: Any, tenant_id: Any, **fields: Any) -> None:
    record: Any = SimpleNamespace(id=record_id, tenant_id=tenant_id, **fields)
    row = row_of(record)

    assert entries.entry(str(tenant_id), row) == entry_bytes(leaf(record))


def row_of(record: Any) -> tuple[Any, ...]:
    """Return the record as `entries.COLUMNS` gives it."""
    commitment = None if record.commitment is None else record.commitment.hex()
    at, facts = timestamp(record.at), json.dumps(record.facts, separators=(",", ":"))
    names = (record.action, record.actor, record.subject, record.outcome)
    return (str(record.id), record.v, at, str(record.stream), record.seq, *names, commitment, facts)


def test_a_leaf_that_is_too_large_is_refused() -> None:
    at = timestamp(datetime(2030, 1, 1, tzinfo=UTC))
    with pytest.raises(UnfitLeaf):
        entries.entry("t", ("i", 1, at, "s", None, "a.b", "engine", None, "ok", None, json.dumps({"x": "y" * 65_500})))
