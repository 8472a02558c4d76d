"""The leaf of a record: its keys, the form of its values, its bounds."""

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.canonical import MAX_SAFE_INTEGER
from audit.leaf import MAX_BYTES, UnfitLeaf, check_fits, entry_bytes, leaf, timestamp

Json = Any


@dataclass(frozen=True)
class Record:
    """A record as the database gives it back."""

    v: int
    id: UUID
    at: datetime
    tenant_id: UUID
    stream: UUID
    seq: int | None
    action: str
    actor: str
    subject: str | None
    outcome: str
    commitment: bytes | memoryview | None
    facts: dict[str, Json]


RECORD = Record(
    v=1,
    id=UUID("019AA9BF-8AA0-7000-8001-0123456789AB"),
    at=datetime(2026, 11, 22, 2, 34, 56, 789, tzinfo=UTC),
    tenant_id=UUID(int=1),
    stream=UUID(int=2),
    seq=3,
    action="tool.finished",
    actor="engine",
    subject=None,
    outcome="ok",
    commitment=bytes(range(32)),
    facts={"turn": 1, "call": 0},
)


def test_the_leaf_has_the_contracts_keys_and_forms() -> None:
    assert leaf(RECORD) == {
        "v": 1,
        "id": "019aa9bf-8aa0-7000-8001-0123456789ab",
        "at": "2026-11-22T02:34:56.000789Z",
        "tenant": "00000000-0000-0000-0000-000000000001",
        "stream": "00000000-0000-0000-0000-000000000002",
        "seq": 3,
        "action": "tool.finished",
        "actor": "engine",
        "subject": None,
        "outcome": "ok",
        "commitment": "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
        "facts": {"turn": 1, "call": 0},
    }


def test_the_entry_is_the_leafs_canonical_bytes() -> None:
    assert entry_bytes(leaf(RECORD)) == (
        b'{"action":"tool.finished","actor":"engine","at":"2026-11-22T02:34:56.000789Z",'
        b'"commitment":"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",'
        b'"facts":{"call":0,"turn":1},"id":"019aa9bf-8aa0-7000-8001-0123456789ab","outcome":"ok","seq":3,'
        b'"stream":"00000000-0000-0000-0000-000000000002","subject":null,'
        b'"tenant":"00000000-0000-0000-0000-000000000001","v":1}'
    )


def test_absent_parts_are_null() -> None:
    made = leaf(replace(RECORD, seq=None, commitment=None))

    assert (made["seq"], made["commitment"]) == (None, None)


def test_a_commitment_may_come_as_a_view_of_memory() -> None:
    assert leaf(replace(RECORD, commitment=memoryview(bytes(32))))["commitment"] == "00" * 32


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (datetime(2026, 1, 1, tzinfo=UTC), "2026-01-01T00:00:00.000000Z"),
        (datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=2))), "2025-12-31T22:00:00.000000Z"),
        (
            datetime(2026, 1, 1, 0, 0, 0, 1, tzinfo=timezone(-timedelta(hours=9, minutes=30))),
            "2026-01-01T09:30:00.000001Z",
        ),
        (datetime(2028, 2, 29, 23, 59, 59, 999999, tzinfo=UTC), "2028-02-29T23:59:59.999999Z"),
    ],
)
def test_times_are_utc_with_microseconds(at: datetime, text: str) -> None:
    assert timestamp(at) == text


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(UnfitLeaf, match="zone"):
        leaf(replace(RECORD, at=datetime(2026, 1, 1)))


def test_an_entry_is_as_long_as_the_logs_format_allows_and_no_longer() -> None:
    room = MAX_BYTES - len(entry_bytes(leaf(replace(RECORD, facts={"a": ""}))))

    assert len(entry_bytes(leaf(replace(RECORD, facts={"a": "x" * room})))) == MAX_BYTES == 65_535
    with pytest.raises(UnfitLeaf, match="65536 bytes"):
        entry_bytes(leaf(replace(RECORD, facts={"a": "x" * (room + 1)})))


def check(facts: Json, **parts: Any) -> None:
    """Ask whether a record of these facts is sure to have a leaf."""
    check_fits(**{"v": 1, "action": "a.b", "actor": "engine", "subject": None, "outcome": "ok", **parts}, facts=facts)


@pytest.mark.parametrize(
    "facts",
    [
        {"a": 1.5},
        {"a": 1.0},
        {"a": [1e21]},
        {"a": MAX_SAFE_INTEGER + 1},
        {"a": "\ud800"},
        {"\udfff": 1},
        {"a": float("nan")},
        [],
        None,
    ],
    ids=ascii,
)
def test_facts_that_might_change_in_the_database_are_refused(facts: Json) -> None:
    with pytest.raises(UnfitLeaf, match="text, integers up to"):
        check(facts)


@pytest.mark.parametrize("part", ["action", "actor", "subject", "outcome"])
@pytest.mark.parametrize("letter", ["x", "\x01", "€", "😀", '"'])
def test_parts_that_are_too_long_are_refused(part: str, letter: str) -> None:
    with pytest.raises(UnfitLeaf, match="65535 are allowed"):
        check({}, **{part: letter * 65_535})


words = st.text(st.characters(exclude_categories=["Cs"]))
repeated = st.builds(lambda word, times: word * times, words, st.integers(0, 30_000))


@given(repeated, repeated, repeated)
def test_what_passes_fits_whatever_its_place(word: str, actor: str, action: str) -> None:
    facts = {"word": word}
    try:
        check(facts, actor=actor, action=action, subject=actor)
    except UnfitLeaf:
        return
    widest = replace(
        RECORD,
        seq=2**31 - 1,
        v=2**15 - 1,
        actor=actor,
        subject=actor,
        action=action,
        facts=json.loads(json.dumps(facts)),
    )

    assert len(entry_bytes(leaf(widest))) <= MAX_BYTES
