"""The journal on a real database: order, commitments, atomicity, and what it refuses to write."""

import hashlib
import json
import threading
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import DatabaseError, DataError, IntegrityError, connection, transaction

from audit import journal
from audit.canonical import NotCanonical, canonical
from audit.journal import BrokenStream, Entry
from audit.leaf import UnfitLeaf, entry_bytes, leaf
from audit.models import Payload, Record
from db.errors import OutsideTenantScope
from db.models import new_id
from db.scope import tenant_scope
from tenants.actions import members
from tenants.models import Membership, Role, Tenant
from tenants.principal import COMMAND
from tests.worlds import World, world

Json = Any


@pytest.fixture
def acme(database: None) -> World:
    """A fresh tenant."""
    return world()


def time_of(record_id: UUID) -> datetime:
    """Return the time in a UUIDv7, the fraction of the millisecond (RFC 9562, section 6.2, method 3) too."""
    milliseconds, fraction = record_id.int >> 80, (record_id.int >> 64) & 0xFFF
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=milliseconds, microseconds=fraction * 1000 / 4096)


def outbox(tenant_id: UUID) -> list[list[UUID]]:
    """Return the tenant's outbox rows, as the role that empties it."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL ROLE countersign_seal")
        cursor.execute("SELECT record_ids FROM audit_outbox WHERE tenant_id = %s", [tenant_id])
        return [ids for (ids,) in cursor.fetchall()]


def record_and_fail(acme: World) -> None:
    with tenant_scope(acme.tenant_id):
        journal.record("a.b", stream=acme.tenant_id, actor="engine")
        raise ZeroDivisionError


def test_a_record_is_what_was_said(acme: World) -> None:
    stream = new_id()
    with tenant_scope(acme.tenant_id):
        made = journal.record(
            "thing.changed",
            stream=stream,
            actor="user:1",
            subject="thing:2",
            outcome="denied",
            facts={"n": 1, "deep": {"list": ["a", None, True]}},
            payload={"name": "Ada"},
        )
        record = Record.objects.get(id=made)

        assert (record.stream, record.seq, record.v) == (stream, None, 1)
        assert (record.action, record.actor, record.subject) == ("thing.changed", "user:1", "thing:2")
        assert (record.outcome, record.facts) == ("denied", {"n": 1, "deep": {"list": ["a", None, True]}})
        assert record.tenant_id == acme.tenant_id


def test_a_stream_is_read_back_in_order_and_without_gaps(acme: World) -> None:
    stream = new_id()
    entries = [Entry(f"step.{number}", "engine", {"n": number}, {"of": number}) for number in range(1, 31)]
    with tenant_scope(acme.tenant_id):
        journal.append_at(stream, 0, entries[:1])
        journal.append_at(stream, 1, entries[1:20])
        journal.append_at(stream, 20, entries[20:])
        stored = journal.read(stream)

        assert [each.seq for each in stored] == list(range(1, 31))
        assert [each.action for each in stored] == [entry.action for entry in entries]
        assert [each.facts for each in stored] == [entry.facts for entry in entries]
        assert [each.payload for each in stored] == [entry.payload for entry in entries]
        assert [each.seq for each in journal.read(stream, after=7, limit=3)] == [8, 9, 10]
        assert journal.read(new_id()) == []


@pytest.mark.parametrize("hours", [-23, 23])
def test_a_stream_named_by_a_clock_that_is_off_is_found(acme: World, hours: int) -> None:
    stream = UUID(int=new_id().int + ((hours * 3_600_000) << 80))
    with tenant_scope(acme.tenant_id):
        journal.append_at(stream, 0, [Entry("a.b", "engine")])

        assert [each.seq for each in journal.read(stream)] == [1]


def test_a_stream_with_a_gap_is_not_read(acme: World) -> None:
    stream = new_id()
    with tenant_scope(acme.tenant_id):
        journal.append_at(stream, 0, [Entry("a.b", "engine")])
        journal.append_at(stream, 2, [Entry("a.b", "engine")])
        with pytest.raises(BrokenStream, match="holds number 3 where 2 belongs"):
            journal.read(stream)
        assert [each.seq for each in journal.read(stream, after=2)] == [3]


def test_appending_nothing_writes_nothing(acme: World) -> None:
    before = outbox(acme.tenant_id)
    with tenant_scope(acme.tenant_id):
        journal.append_at(new_id(), 0, [])

    assert outbox(acme.tenant_id) == before


def test_ids_ascend_within_a_statement_a_transaction_and_across(acme: World) -> None:
    stream = new_id()
    made = []
    for _ in range(3):
        with tenant_scope(acme.tenant_id):
            made += [journal.record("a.b", stream=stream, actor="engine") for _ in range(20)]
            run = new_id()
            journal.append_at(run, 0, [Entry("c.d", "engine") for _ in range(20)])
            made += [each.id for each in journal.read(run)]

    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_ids_are_version_7_and_their_time_is_at(acme: World) -> None:
    with tenant_scope(acme.tenant_id):
        for _ in range(50):
            record = Record.objects.get(id=journal.record("a.b", stream=new_id(), actor="engine"))

            assert (record.id.version, record.id.variant) == (7, "specified in RFC 4122")
            assert abs(time_of(record.id) - record.at) <= timedelta(microseconds=1)


def test_the_commitment_is_sha256_of_salt_and_canonical_payload(acme: World) -> None:
    payload = {"z": [1.0, 1e21, 0.1], "a": "naïve 😀\x00\n", "\U00010000": 1, "\ue000": 2}
    with tenant_scope(acme.tenant_id):
        made = journal.record("a.b", stream=new_id(), actor="engine", payload=payload)
        record, stored = Record.objects.get(id=made), Payload.objects.get(record_id=made)

    assert record.commitment is not None
    assert stored.value == canonical(payload)
    assert len(stored.salt) == 16
    assert hashlib.sha256(bytes(stored.salt) + canonical(payload).encode()).digest() == bytes(record.commitment)
    assert canonical(json.loads(stored.value)) == stored.value


def test_equal_payloads_have_different_commitments(acme: World) -> None:
    with tenant_scope(acme.tenant_id):
        for _ in range(2):
            journal.record("a.b", stream=acme.tenant_id, actor="engine", payload={"guess": "me"})
        found = Record.objects.filter(action="a.b").values_list("commitment", flat=True)

        assert len({bytes(commitment or b"") for commitment in found}) == 2


def test_without_a_payload_there_is_no_commitment(acme: World) -> None:
    stream = new_id()
    with tenant_scope(acme.tenant_id):
        journal.append_at(stream, 0, [Entry("a.b", "engine"), Entry("c.d", "engine", payload={})])
        without, empty = journal.read(stream)
        commitments = [record.commitment for record in Record.objects.filter(stream=stream).order_by("seq")]

    assert (without.payload, without.erased) == (None, False)
    assert (empty.payload, empty.erased) == ({}, False)
    assert commitments[0] is None
    assert commitments[1] is not None


def test_an_erased_payload_is_told_apart_and_its_record_stays(acme: World, superuser: Any) -> None:
    stream = new_id()
    with tenant_scope(acme.tenant_id):
        journal.append_at(stream, 0, [Entry("a.b", "engine", payload={"who": "Ada"}), Entry("c.d", "engine")])
        kept = journal.read(stream)[0].id
    superuser.execute("DELETE FROM audit_payload WHERE record_id = %s", [kept])

    with tenant_scope(acme.tenant_id):
        erased, never = journal.read(stream)

        assert (erased.payload, erased.erased) == (None, True)
        assert (never.payload, never.erased) == (None, False)
        assert journal.payloads_at([(stream, 1), (stream, 2)]) == {}
        assert Record.objects.get(id=kept).commitment is not None


def test_payloads_are_found_by_their_places(acme: World) -> None:
    one, two = new_id(), new_id()
    with tenant_scope(acme.tenant_id):
        journal.append_at(one, 0, [Entry("a.b", "engine", payload=number) for number in range(1, 4)])
        journal.append_at(two, 0, [Entry("a.b", "engine", payload="two")])

        assert journal.payloads_at([(one, 2), (two, 1), (two, 9), (new_id(), 1)]) == {(one, 2): 2, (two, 1): "two"}
        assert journal.payloads_at([]) == {}


def test_the_outbox_gets_one_row_a_statement_in_the_same_transaction(acme: World) -> None:
    before = len(outbox(acme.tenant_id))
    stream = new_id()
    with tenant_scope(acme.tenant_id):
        single = journal.record("a.b", stream=stream, actor="engine")
        journal.append_at(stream, 0, [Entry("c.d", "engine") for _ in range(5)])
        five = [each.id for each in journal.read(stream)]
    with pytest.raises(ZeroDivisionError):
        record_and_fail(acme)

    assert sorted(outbox(acme.tenant_id)[before:]) == sorted([[single], five])


def test_every_record_made_here_is_in_the_outbox_once(acme: World) -> None:
    with tenant_scope(acme.tenant_id):
        recorded = set(Record.objects.values_list("id", flat=True))
    listed = [record_id for ids in outbox(acme.tenant_id) for record_id in ids]

    assert len(listed) == len(set(listed))
    assert set(listed) == recorded


def test_records_become_leaves(acme: World) -> None:
    with tenant_scope(acme.tenant_id):
        journal.record("a.b", stream=new_id(), actor="engine", facts={"b": [1, "€"], "a": None}, payload={"x": 1.5})
        for record in Record.objects.all():
            read = json.loads(entry_bytes(leaf(record)))

            assert read["facts"] == record.facts
            assert datetime.fromisoformat(read["at"]) == record.at


# --- atomicity ----------------------------------------------------------------------------------------------------


def test_an_action_whose_record_fails_changes_nothing(acme: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise DatabaseError("no room for the record")

    monkeypatch.setattr(journal, "record", fail)
    with tenant_scope(acme.tenant_id):
        tenant = Tenant.objects.get(id=acme.tenant_id)

    with pytest.raises(DatabaseError, match="no room"):
        members.put(tenant=tenant, email=f"new@{acme.slug}.example", role=Role.VIEWER, acting_as=COMMAND)

    with tenant_scope(acme.tenant_id):
        assert not Membership.objects.filter(user__email=f"new@{acme.slug}.example").exists()


def test_one_bad_entry_keeps_all_of_its_statement_out(acme: World) -> None:
    stream = new_id()
    entries = [Entry("a.b", "engine"), Entry("a.b", "engine", facts={"n": "\x00"})]
    with pytest.raises(DataError), tenant_scope(acme.tenant_id):
        journal.append_at(stream, 0, entries)

    with tenant_scope(acme.tenant_id):
        assert journal.read(stream) == []


# --- refusals -----------------------------------------------------------------------------------------------------


def test_outside_a_scope_nothing_is_written_or_read(database: None) -> None:
    with pytest.raises(OutsideTenantScope):
        journal.record("a.b", stream=new_id(), actor="engine")
    with pytest.raises(OutsideTenantScope):
        journal.append_at(new_id(), 0, [Entry("a.b", "engine")])
    with pytest.raises(OutsideTenantScope):
        journal.read(new_id())
    with pytest.raises(OutsideTenantScope):
        journal.payloads_at([(new_id(), 1)])


@pytest.mark.parametrize("facts", [{"n": 0.5}, {"n": 2**53}, {"n": "\ud800"}, {"many": ["x" * 100] * 1000}], ids=ascii)
def test_facts_that_the_log_could_not_take_are_refused(acme: World, facts: dict[str, Json]) -> None:
    with tenant_scope(acme.tenant_id):
        with pytest.raises(UnfitLeaf):
            journal.record("a.b", stream=acme.tenant_id, actor="engine", facts=facts)

        assert not Record.objects.filter(action="a.b").exists()


@pytest.mark.parametrize("payload", [float("nan"), {"x": 2**53 + 1}, "\ud800", {1: 2}, b"x"], ids=ascii)
def test_payloads_without_a_canonical_form_are_refused(acme: World, payload: Json) -> None:
    with tenant_scope(acme.tenant_id), pytest.raises(NotCanonical):
        journal.record("a.b", stream=acme.tenant_id, actor="engine", payload=payload)


def test_a_large_payload_is_no_matter(acme: World) -> None:
    payload = {"text": "😀" * 500_000}
    stream = new_id()
    with tenant_scope(acme.tenant_id):
        journal.append_at(stream, 0, [Entry("a.b", "engine", payload=payload)])

        assert journal.read(stream)[0].payload == payload


# --- other tenants ------------------------------------------------------------------------------------------------


def test_another_tenants_stream_is_empty_and_stays_untouched(acme: World) -> None:
    stream, other = new_id(), world()
    with tenant_scope(acme.tenant_id):
        journal.append_at(stream, 0, [Entry("a.b", "engine", payload={"x": 1})])
    with tenant_scope(other.tenant_id):
        assert journal.read(stream) == []
        assert journal.payloads_at([(stream, 1)]) == {}
    with pytest.raises(IntegrityError), tenant_scope(other.tenant_id):
        journal.append_at(stream, 0, [Entry("z.z", "engine")])
    with tenant_scope(acme.tenant_id):
        assert [each.action for each in journal.read(stream)] == ["a.b"]


def test_writers_at_once_lose_nothing_and_ids_stay_unique(acme: World) -> None:
    streams = [new_id() for _ in range(8)]
    failures: list[Exception] = []

    def write(stream: UUID) -> None:
        try:
            for after in range(0, 60, 3):
                with tenant_scope(acme.tenant_id):
                    journal.append_at(stream, after, [Entry("a.b", "engine", payload=after) for _ in range(3)])
        except Exception as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=write, args=[stream]) for stream in streams]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    with tenant_scope(acme.tenant_id):
        stored = [journal.read(stream) for stream in streams]
    assert all([each.seq for each in one] == list(range(1, 61)) for one in stored)
    assert len({each.id for one in stored for each in one}) == 8 * 60


# What is kept whole beside what is worked with

LARGE = "x" * (journal.LARGE + 1)
ODD = {"b": 1e300, "a": [1.5, -0.0, 2**53 - 1, None, True], 'k"\u00e9\U0001f600\n': {"whole": "kept"}, "": "\u2028"}


def kept(acme: World, *payloads: Json) -> UUID:
    stream = new_id()
    with tenant_scope(acme.tenant_id):
        journal.append_at(stream, 0, [Entry("tool.finished", "engine", {}, payload) for payload in payloads])
    return stream


@pytest.mark.parametrize(
    ("payload", "worked_with"),
    [
        ({"result": ODD, "whole": LARGE}, {"result": ODD}),
        ({"whole": [LARGE, ODD]}, {}),
        ({"content": [LARGE, ODD]}, {"content": [LARGE, ODD]}),
        ([LARGE, {"whole": 1}], [LARGE, {"whole": 1}]),
        (LARGE, LARGE),
        ({"result": 1, "whole": 2}, {"result": 1, "whole": 2}),
        (None, None),
    ],
    ids=["both", "whole alone", "large without", "list", "text", "small", "nothing"],
)
def test_whoever_reads_a_run_gets_the_whole_only_if_they_ask(acme: World, payload: Json, worked_with: Json) -> None:
    stream = kept(acme, payload)

    with tenant_scope(acme.tenant_id):
        assert canonical(journal.read(stream)[0].payload) == canonical(worked_with)
        assert canonical(journal.read(stream, whole=True)[0].payload) == canonical(payload)
        assert not journal.read(stream)[0].erased


def test_whoever_asks_for_the_whole_gets_pages_of_a_bounded_size(acme: World) -> None:
    large = "x" * (journal.PAGE_BYTES * 2 // 3)
    stream = kept(acme, 1, {"whole": large}, None, {"whole": large}, 5, {"whole": large}, 7)

    pages, after = [], 0
    with tenant_scope(acme.tenant_id):
        while page := journal.read(stream, after=after, limit=6, whole=True):
            pages.append([each.seq for each in page])
            after = page[-1].seq or 0

    assert pages == [[1, 2, 3, 4], [5, 6, 7]]
