"""What is appended is sealed: each record once, none missed, whatever happens to those who append and seal."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise, product
from uuid import UUID

import psycopg
import pytest
from django.db import connection, connections

from audit import journal
from audit.log import merkle
from audit.log.tiles import Tile
from audit.sealer.copies import Copies
from audit.sealer.sealer import Sealer
from audit.stored import BrokenLog, StoredLog
from db import session
from db.models import new_id
from db.roles import SEAL
from db.scope import PLATFORM, tenant_scope
from tests.audit.sealer import logs
from tests.audit.sealer.conftest import HOST, Superuser, made
from tests.worlds import World, world


def test_every_record_becomes_one_leaf_under_a_signed_checkpoint(acme: World, sealer: Sealer) -> None:
    logs.append(acme, 700)
    expected = logs.recorded(acme)

    moved = sealer.seal(acme.tenant_id)

    found = logs.leaves(acme)
    assert len(found) == len(set(found)) == moved
    assert set(found) == expected
    assert logs.signed(acme).head.size == moved
    assert logs.waiting(acme.tenant_id) == 0
    with tenant_scope(acme.tenant_id):
        assert logs.log_of(acme).origin == f"{HOST}/log/{acme.tenant_id}"


def test_what_comes_later_is_added_and_nothing_is_signed_twice(acme: World, sealer: Sealer) -> None:
    sizes = []
    for count in (1, 255, 1, 300):
        logs.append(acme, count)
        sealer.seal(acme.tenant_id)
        before = logs.signed(acme)
        assert sealer.seal(acme.tenant_id) == 0
        assert logs.signed(acme) == before
        sizes.append(before.head.size)

    assert [after - before for before, after in pairwise(sizes)] == [255, 1, 300]
    with tenant_scope(acme.tenant_id):
        log = logs.log_of(acme)
        for old in sizes:
            proof = merkle.consistency_proof(old, sizes[-1], log.subtree(sizes[-1]))
            merkle.check_consistency(
                old_size=old,
                new_size=sizes[-1],
                old_root=log.root(old),
                new_root=log.root(sizes[-1]),
                proof=proof,
            )


def test_another_sealer_goes_on_exactly_where_the_last_one_was(acme: World, sealer: Sealer, copies: Copies) -> None:
    logs.append(acme, 300)
    sealer.seal(acme.tenant_id)
    logs.append(acme, 300)
    with session.connect() as other:
        made(other, copies).seal(acme.tenant_id)
    logs.append(acme, 1)
    sealer.seal(acme.tenant_id)  # whose tree in memory is an old one

    assert set(logs.leaves(acme)) == logs.recorded(acme)
    assert logs.signed(acme).head.size == len(logs.recorded(acme))


def test_a_record_that_was_committed_late_is_not_skipped(acme: World, sealer: Sealer) -> None:
    with appending(acme) as late:
        logs.append(acme, 3)
        sealer.seal(acme.tenant_id)
        sealed = len(logs.leaves(acme))
    assert sealer.seal(acme.tenant_id) == 1

    with tenant_scope(acme.tenant_id):
        assert logs.log_of(acme).index_of(late[0]) == sealed


@contextmanager
def appending(acme: World) -> Iterator[list[UUID]]:
    """Append a record in a transaction of another thread that is committed when the block ends."""
    made_it, finish, ids = threading.Event(), threading.Event(), list[UUID]()

    def append() -> None:
        try:
            with tenant_scope(acme.tenant_id):
                ids.append(journal.record("a.b", stream=new_id(), actor="engine"))
                made_it.set()
                finish.wait(60)
        finally:
            connections.close_all()

    thread = threading.Thread(target=append)
    thread.start()
    assert made_it.wait(60)
    yield ids
    finish.set()
    thread.join()


def test_a_batch_that_fails_is_as_if_it_had_not_begun(
    acme: World, sealer: Sealer, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs.append(acme, 300)
    waiting = logs.waiting(acme.tenant_id)
    write = sealer._write

    def fail(statement: str, parameters: object) -> None:
        if "audit_tile" in statement:
            raise psycopg.OperationalError("gone")
        write(statement, parameters)  # type: ignore[arg-type]

    monkeypatch.setattr(sealer, "_write", fail)
    with pytest.raises(psycopg.OperationalError):
        sealer.seal(acme.tenant_id)
    assert logs.waiting(acme.tenant_id) == waiting
    monkeypatch.undo()

    assert sealer.seal(acme.tenant_id) == waiting
    assert set(logs.leaves(acme)) == logs.recorded(acme)


def test_an_outbox_that_names_a_record_twice_does_no_harm(acme: World, sealer: Sealer) -> None:
    sealer.seal(acme.tenant_id)
    with tenant_scope(acme.tenant_id), connection.cursor() as cursor:
        made = journal.record("a.b", stream=new_id(), actor="engine")
        for ids in ([made], [made, made]):
            cursor.execute("INSERT INTO audit_outbox VALUES (%s, %s)", [acme.tenant_id, ids])

    assert sealer.seal(acme.tenant_id) == 1
    assert logs.waiting(acme.tenant_id) == 0
    assert set(logs.leaves(acme)) == logs.recorded(acme)


def test_a_record_that_was_deleted_before_it_was_sealed_is_missed(
    acme: World, sealer: Sealer, superuser: Superuser
) -> None:
    sealer.seal(acme.tenant_id)
    before = logs.signed(acme)
    with tenant_scope(acme.tenant_id):
        gone = [journal.record("a.b", stream=new_id(), actor="engine") for _ in range(3)][1]
    with superuser.transaction():
        superuser.execute("SET LOCAL session_replication_role = replica")
        superuser.execute("DELETE FROM audit_record WHERE id = %s", [gone])

    for _ in range(2):
        with pytest.raises(BrokenLog, match=f"1 records .* are gone, {gone}"):
            sealer.seal(acme.tenant_id)

    assert logs.waiting(acme.tenant_id) == 3
    assert logs.signed(acme) == before


def test_another_tenants_record_in_the_outbox_is_none_of_the_log(acme: World, sealer: Sealer) -> None:
    other = world()
    with tenant_scope(other.tenant_id):
        theirs = journal.record("a.b", stream=new_id(), actor="engine")
    with tenant_scope(acme.tenant_id), connection.cursor() as cursor:
        cursor.execute("INSERT INTO audit_outbox VALUES (%s, %s)", [acme.tenant_id, [theirs]])

    with pytest.raises(BrokenLog, match="are gone"):
        sealer.seal(acme.tenant_id)


def test_a_record_that_the_outbox_lost_is_found_by_its_absence(
    acme: World, sealer: Sealer, superuser: Superuser
) -> None:
    logs.append(acme, 5)
    superuser.execute("DELETE FROM audit_outbox WHERE tenant_id = %s", [acme.tenant_id])

    assert sealer.seal(acme.tenant_id) == 0
    assert sealer.sweep(acme.tenant_id) == len(logs.recorded(acme))
    assert set(logs.leaves(acme)) == logs.recorded(acme)
    logs.signed(acme)


def test_one_seals_a_log_at_a_time_and_the_other_leaves_it_alone(acme: World, sealer: Sealer, copies: Copies) -> None:
    with session.connect() as held:
        other = made(held, copies)
        with other._behind_lock(acme.tenant_id) as ours:
            assert ours
            assert sealer.seal(acme.tenant_id) == 0
    assert sealer.seal(acme.tenant_id) > 0


def test_all_tenants_and_the_platform_are_sealed_in_a_round_and_one_that_refuses_hinders_none(
    acme: World, sealer: Sealer, copies: Copies
) -> None:
    other = world()
    sealer.seal(acme.tenant_id)
    copies.path(acme.tenant_id, 1).unlink()
    logs.append(acme, 2)
    with tenant_scope(PLATFORM):
        journal.record("a.b", stream=PLATFORM, actor="engine")

    sealer.round()

    assert logs.waiting(acme.tenant_id) == 2
    assert logs.waiting(other.tenant_id) == logs.waiting(PLATFORM) == 0
    assert set(logs.leaves(other)) == logs.recorded(other)


def test_a_log_that_was_damaged_or_holds_what_cannot_be_a_leaf_hinders_no_other(
    acme: World, sealer: Sealer, copies: Copies, superuser: Superuser
) -> None:
    other, third = world(), world()
    logs.append(acme, 300)
    sealer.seal(acme.tenant_id)
    logs.append(acme, 1)
    logs.append(other, 1)
    with superuser.transaction():
        superuser.execute("SET LOCAL session_replication_role = replica")
        superuser.execute("DELETE FROM audit_tile WHERE tenant_id = %s", [acme.tenant_id])
        superuser.execute("UPDATE audit_record SET facts = '{\"a\": 1e400}' WHERE tenant_id = %s", [other.tenant_id])

    with session.connect() as connection:
        again = made(connection, copies)
        again.round()

    assert "has lost tile/" in again.refused[acme.tenant_id]
    assert "not JSON" in again.refused[other.tenant_id]
    assert (logs.waiting(acme.tenant_id), logs.waiting(third.tenant_id)) == (1, 0)


def test_a_log_that_somebody_stands_in_the_way_of_starves_no_other(
    acme: World, copies: Copies, superuser: Superuser
) -> None:
    others = [world(), world(), world()]
    all_of_them = sorted((acme, *others), key=lambda each: each.tenant_id)
    blocked, behind = all_of_them[0], all_of_them[1:]
    with session.connect() as connection, superuser.transaction():
        sealer = made(connection, copies)
        connection.execute("SET lock_timeout = 300")
        superuser.execute("SELECT FROM audit_outbox WHERE tenant_id = %s FOR UPDATE", [blocked.tenant_id])

        sealer.round()

        assert "due to" in sealer.refused[blocked.tenant_id]
        assert [logs.waiting(each.tenant_id) for each in behind] == [0, 0, 0]


def test_each_round_begins_with_another_log(sealer: Sealer, monkeypatch: pytest.MonkeyPatch) -> None:
    three = sorted(world().tenant_id for _ in range(3))
    seal, turns = sealer.seal, list[UUID]()

    def away(tenant_id: UUID) -> int:
        if tenant_id not in three:
            return seal(tenant_id)
        turns.append(tenant_id)
        sealer._connection.close()
        raise psycopg.OperationalError("gone")

    assert sealer._in_turn(set(three)) == three
    assert sealer._in_turn(set(three)) == [three[1], three[2], three[0]]
    assert sealer._in_turn(set(three)) == [three[2], three[0], three[1]]
    assert sealer._in_turn(set()) == []
    monkeypatch.setattr(sealer, "seal", away)
    with pytest.raises(psycopg.OperationalError):
        sealer.round()
    assert len(turns) == 1


def test_leaves_without_a_checkpoint_are_signed_by_whoever_comes_next(
    acme: World, sealer: Sealer, copies: Copies, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealer, "sign", lambda tenant_id: None)  # as if killed in between
    moved = sealer.seal(acme.tenant_id)

    with session.connect() as other:
        made(other, copies).round()

    assert logs.signed(acme).head.size == moved


def test_nobody_changes_the_log(acme: World, sealer: Sealer, superuser: Superuser) -> None:
    logs.append(acme, 300)
    sealer.seal(acme.tenant_id)
    superuser.execute("SELECT set_config('app.tenant', %s, false)", [str(acme.tenant_id)])
    for role, message in {
        "postgres": "append-only",
        "countersign_journal": "append-only",
        "countersign_app": "permission denied",
        "countersign_dispatch": "permission denied",
        "countersign_owner": "permission denied",
        SEAL: "permission denied",
    }.items():
        superuser.execute(f"SET ROLE {role}".encode())
        for table, change in product(("audit_log", "audit_leaf", "audit_tile", "audit_checkpoint"), CHANGES):
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match=message):
                superuser.execute(change.format(table).encode())


CHANGES = ("UPDATE {} SET tenant_id = tenant_id", "DELETE FROM {}", "TRUNCATE {}")


def test_a_tenant_reads_its_own_log_alone(acme: World, sealer: Sealer) -> None:
    sealer.seal(acme.tenant_id)
    with tenant_scope(world().tenant_id):
        assert StoredLog.of(acme.tenant_id) is None
    with tenant_scope(acme.tenant_id):
        log = logs.log_of(acme)
        assert log.hashes(Tile(0, 0, 2)) == [merkle.leaf_hash(entry) for entry in log.entries(0, 2)]


def test_what_waits_of_a_log_that_refuses_is_in_nobodys_way_and_comes_back_when_it_is_mended(
    acme: World, sealer: Sealer, copies: Copies, superuser: Superuser
) -> None:
    sealer.seal(acme.tenant_id)
    copy = copies.path(acme.tenant_id, 1)
    kept = copy.read_bytes()
    copy.unlink()
    logs.append(acme, 250, at_once=10)

    sealer.round()

    of = [acme.tenant_id]
    assert superuser.execute("SELECT count(*) FROM audit_outbox WHERE tenant_id = %s", of).fetchone() == (0,)
    assert superuser.execute("SELECT count(*) FROM audit_outbox_aside WHERE tenant_id = %s", of).fetchone() == (25,)
    assert logs.waiting(acme.tenant_id) == 250

    copy.write_bytes(kept)
    logs.append(acme, 5)
    sealer.round()
    sealer.round()

    assert logs.waiting(acme.tenant_id) == 0
    assert acme.tenant_id not in sealer.refused
    assert set(logs.leaves(acme)) == logs.recorded(acme)
    logs.signed(acme)
