"""Row 14: a restored backup is noticed, the log is not forked, and there are ways on."""

import pytest

from audit.log import note
from audit.log.note import Signer
from audit.sealer.copies import Copies
from audit.sealer.errors import CopyMissing, Forked, NoKeys
from audit.sealer.sealer import Sealer
from audit.stored import StoredLog
from db import session
from db.scope import tenant_scope
from tests.audit.sealer import logs
from tests.audit.sealer.conftest import SEED, Superuser, made
from tests.worlds import World

LOG_TABLES = ("audit_checkpoint", "audit_tile", "audit_leaf")


def restore(superuser: Superuser, acme: World, size: int) -> None:
    """Make the database what a backup of it was when the log had that size: its later records are gone as well."""
    of = {"tenant": acme.tenant_id, "size": size}
    with superuser.transaction():
        superuser.execute("SET LOCAL session_replication_role = replica")
        superuser.execute(
            "DELETE FROM audit_record WHERE id IN "
            "(SELECT record_id FROM audit_leaf WHERE tenant_id = %(tenant)s AND index >= %(size)s)",
            of,
        )
        superuser.execute("DELETE FROM audit_leaf WHERE tenant_id = %(tenant)s AND index >= %(size)s", of)
        superuser.execute("DELETE FROM audit_tile WHERE tenant_id = %(tenant)s AND (n + 1) * 256 > %(size)s", of)
        superuser.execute("DELETE FROM audit_checkpoint WHERE tenant_id = %(tenant)s AND size > %(size)s", of)


@pytest.fixture
def sealed(acme: World, sealer: Sealer) -> int:
    """A log with two checkpoints; returns the size of the first."""
    sealer.seal(acme.tenant_id)
    first = logs.signed(acme).head.size
    logs.append(acme, 10)
    sealer.seal(acme.tenant_id)
    return first


def test_a_restored_backup_is_not_signed_on(
    acme: World, sealer: Sealer, copies: Copies, superuser: Superuser, sealed: int
) -> None:
    held = logs.signed(acme)
    restore(superuser, acme, sealed)
    logs.append(acme, 20)  # appending goes on

    with session.connect() as after:
        for each in (sealer, made(after, copies)):
            with pytest.raises(Forked, match="a backup was restored"):
                each.seal(acme.tenant_id)

    assert logs.waiting(acme.tenant_id) == 20
    assert copies.read(acme.tenant_id, 1) == held.note


def test_nor_when_the_restored_database_has_as_many_leaves_of_its_own(
    acme: World, sealer: Sealer, copies: Copies, superuser: Superuser, sealed: int
) -> None:
    held = copies.read(acme.tenant_id, 1)
    assert held is not None
    restore(superuser, acme, sealed)
    logs.append(acme, 20)
    with session.connect() as after:
        copies.path(acme.tenant_id, 1).write_bytes(logs.signed(acme).note)
        made(after, copies).seal(acme.tenant_id)  # on a host that knows no better
        copies.path(acme.tenant_id, 1).write_bytes(held)
        with pytest.raises(Forked):
            made(after, copies).seal(acme.tenant_id)


def test_a_database_made_anew_is_not_taken_for_the_log(
    acme: World, sealer: Sealer, copies: Copies, superuser: Superuser, sealed: int
) -> None:
    with superuser.transaction():
        superuser.execute("SET LOCAL session_replication_role = replica")
        for table in (*LOG_TABLES, "audit_log"):
            superuser.execute("DELETE FROM {} WHERE tenant_id = %s".format(table).encode(), [acme.tenant_id])  # noqa: S608, UP032
    logs.append(acme, 1)

    with session.connect() as after, pytest.raises(Forked):
        made(after, copies).seal(acme.tenant_id)


def test_the_way_on_is_a_log_of_its_own_that_holds_all_there_is(
    acme: World, copies: Copies, superuser: Superuser, sealed: int
) -> None:
    restore(superuser, acme, sealed)
    logs.append(acme, 3)
    with session.connect() as after:
        sealer = made(after, copies)
        begun = sealer.restart(acme.tenant_id)
        moved = sealer.sweep(acme.tenant_id)
        sealer.seal(acme.tenant_id)

    assert begun.origin.endswith(f"/log/{acme.tenant_id}/2")
    assert moved == len(logs.recorded(acme)) == logs.signed(acme).head.size
    assert logs.waiting(acme.tenant_id) == 0
    with tenant_scope(acme.tenant_id):
        old = StoredLog.of(acme.tenant_id, generation=1)
        assert old is not None
        assert old.size() == sealed


def test_without_the_copy_nothing_is_signed_until_somebody_vouches(
    acme: World, sealer: Sealer, copies: Copies, sealed: int
) -> None:
    copies.path(acme.tenant_id, 1).unlink()
    logs.append(acme, 1)

    with pytest.raises(CopyMissing, match=f"seal --accept {acme.tenant_id}"):
        sealer.seal(acme.tenant_id)
    sealer.accept(acme.tenant_id)

    assert sealer.seal(acme.tenant_id) == 1


@pytest.mark.parametrize("garbage", [b"", b"x", None])
def test_a_copy_that_is_none_of_ours_is_not_believed(
    acme: World, sealer: Sealer, copies: Copies, sealed: int, garbage: bytes | None
) -> None:
    other = note.sign(logs.signed(acme).head.text, [Signer(logs.signed(acme).head.origin, bytes(32))]).whole.encode()
    copies.path(acme.tenant_id, 1).write_bytes(other if garbage is None else garbage)
    logs.append(acme, 1)

    with pytest.raises(Forked):
        sealer.seal(acme.tenant_id)


def test_keys_are_rotated_by_signing_with_both_for_a_while(
    acme: World, copies: Copies, sealer: Sealer, sealed: int
) -> None:
    new = bytes([9]) * 32
    with session.connect() as connection:
        both = made(connection, copies, seeds=(new, SEED))
        logs.append(acme, 1)
        both.seal(acme.tenant_id)
        assert logs.signed(acme, seed=SEED) == logs.signed(acme, seed=new)
        alone = made(connection, copies, seeds=(new,))
        logs.append(acme, 1)
        alone.seal(acme.tenant_id)
        logs.signed(acme, seed=new)
        with pytest.raises(note.NoteRefused):
            logs.signed(acme, seed=SEED)
        logs.append(acme, 1)
        with pytest.raises(NoKeys):
            made(connection, copies, seeds=()).seal(acme.tenant_id)


def test_a_disk_that_is_full_leaves_records_waiting_and_is_made_up_for(
    acme: World, sealer: Sealer, copies: Copies, sealed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(copies, "write", full)
    logs.append(acme, 5)
    for _ in range(2):
        sealer.round()
        logs.append(acme, 5)
    assert logs.waiting(acme.tenant_id) == 10
    monkeypatch.undo()

    sealer.round()

    assert logs.signed(acme).head.size == len(logs.recorded(acme))
    assert logs.waiting(acme.tenant_id) == 0


def test_the_database_that_was_altered_under_the_signers_eyes_is_not_signed(
    acme: World, sealer: Sealer, copies: Copies, superuser: Superuser, sealed: int
) -> None:
    with superuser.transaction():
        superuser.execute("SET LOCAL session_replication_role = replica")
        superuser.execute(
            "UPDATE audit_leaf SET hash = sha256(hash) WHERE tenant_id = %s AND index = 1", [acme.tenant_id]
        )
    logs.append(acme, 1)

    with session.connect() as after, pytest.raises(Forked):
        made(after, copies).seal(acme.tenant_id)
