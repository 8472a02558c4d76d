"""What whoever holds the database can do to a log, and that a checkpoint that somebody else kept tells it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from audit import proving
from audit.log import note
from audit.log.checkpoint import Checkpoint
from audit.log.note import Signer
from audit.sealer.copies import Copies
from audit.sealer.sealer import Sealer
from audit.stored import BrokenLog
from db import session
from db.scope import tenant_scope
from tests.audit.exports.bundles import export, signer_of, verified
from tests.audit.sealer import logs
from tests.audit.sealer.conftest import Superuser, acme, copies, made, sealer, superuser
from tests.worlds import World

__all__ = ["acme", "copies", "sealer", "superuser"]

#: A record in the middle of the log.
_MIDDLE = "(SELECT record_id FROM audit_leaf WHERE tenant_id = %(tenant)s AND index = 20)"

EDIT = f"UPDATE audit_record SET actor = 'user:somebody' WHERE id = {_MIDDLE}"  # noqa: S608
EDIT_FACTS = f"UPDATE audit_record SET facts = '{{}}' WHERE id = {_MIDDLE}"  # noqa: S608
EDIT_PAYLOAD = f"UPDATE audit_payload SET value = '\"other\"' WHERE record_id = {_MIDDLE}"  # noqa: S608
DELETE = f"DELETE FROM audit_record WHERE id = {_MIDDLE}"  # noqa: S608
DELETE_LEAF = "DELETE FROM audit_leaf WHERE tenant_id = %(tenant)s AND index = 20"
TRUNCATE = "DELETE FROM audit_leaf WHERE tenant_id = %(tenant)s AND index >= 20"
REORDER = """
UPDATE audit_leaf l SET record_id = o.record_id, hash = o.hash FROM audit_leaf o
WHERE l.tenant_id = %(tenant)s AND o.tenant_id = %(tenant)s AND (l.index, o.index) IN ((20, 21), (21, 20))
"""


def _other(column: str) -> str:
    """Return an id beside that one, as SQL."""
    last = f"translate(right({column}::text, 1), '0123456789abcdef', '123456789abcdef0')"
    return f"(left({column}::text, 35) || {last})::uuid"


#: A record that never was, with a leaf between others.
INSERT = (
    f"""
    INSERT INTO audit_record SELECT {_other("id")}, at, tenant_id, gen_random_uuid(), seq,
        v, action, 'user:invented', subject, outcome, facts, NULL FROM audit_record WHERE id = {_MIDDLE}
    """,  # noqa: S608
    "UPDATE audit_leaf SET index = -index WHERE tenant_id = %(tenant)s AND index >= 20",
    "UPDATE audit_leaf SET index = 1 - index WHERE tenant_id = %(tenant)s AND index < 0",
    f"""
    INSERT INTO audit_leaf SELECT tenant_id, generation, 20, {_other("record_id")},
        sha256('anything') FROM audit_leaf WHERE tenant_id = %(tenant)s AND index = 21
    """,  # noqa: S608
)

ATTACKS = {
    "edit a record": [EDIT],
    "edit its facts": [EDIT_FACTS],
    "edit a payload": [EDIT_PAYLOAD],
    "delete a record": [DELETE],
    "delete a record and its leaf": [DELETE, DELETE_LEAF],
    "delete a leaf": [DELETE_LEAF],
    "cut the log": [TRUNCATE],
    "insert": [*INSERT],
    "empty the log": ["DELETE FROM audit_leaf WHERE tenant_id = %(tenant)s"],
    "empty the journal": ["DELETE FROM audit_record WHERE tenant_id = %(tenant)s"],
    "reorder": [
        "ALTER TABLE audit_leaf DROP CONSTRAINT audit_leaf_record_id_tenant_id_generation_key",
        REORDER,
        "ALTER TABLE audit_leaf ADD UNIQUE (record_id, tenant_id, generation)",
    ],
}


def as_superuser(superuser: Superuser, acme: World, *statements: str) -> None:
    """Do it past the triggers."""
    with superuser.transaction():
        superuser.execute("SET LOCAL session_replication_role = replica")
        for statement in statements:
            superuser.execute(statement.encode(), {"tenant": acme.tenant_id})


def found(acme: World, folder: Path, held: bytes) -> bool:
    """Say whether exporting refuses, or the verifier."""
    try:
        export(acme, folder)
    except (BrokenLog, ValueError):
        return True
    return bool(verified(acme, folder, held=held).problems)


@pytest.fixture
def held(acme: World, sealer: Sealer) -> bytes:
    """A checkpoint that somebody kept."""
    logs.append(acme, 300)
    sealer.seal(acme.tenant_id)
    return logs.signed(acme).note


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_is_done_to_the_tables_is_found(
    acme: World, held: bytes, superuser: Superuser, tmp_path: Path, attack: str
) -> None:
    assert not found(acme, tmp_path / "before", held)

    as_superuser(superuser, acme, *ATTACKS[attack])

    assert found(acme, tmp_path / "after", held)


def rebuild(superuser: Superuser, acme: World, copies: Copies, *changes: str) -> None:
    """Do something, and make the whole log anew of what is there then, signed with the log's own keys."""
    forget = [
        f"DELETE FROM {table} WHERE tenant_id = %(tenant)s"  # noqa: S608
        for table in ("audit_checkpoint", "audit_tile", "audit_leaf", "audit_log")
    ]
    as_superuser(superuser, acme, *changes, *forget)
    copies.path(acme.tenant_id, 1).unlink()
    with session.connect() as connection:
        made(connection, copies).sweep(acme.tenant_id)


REBUILT = {"edited": EDIT, "without payloads": EDIT_FACTS, "deleted": DELETE}


@pytest.mark.parametrize("change", REBUILT)
def test_a_log_that_is_rebuilt_and_signed_anew_is_told_by_the_checkpoint_alone(
    acme: World, held: bytes, superuser: Superuser, copies: Copies, tmp_path: Path, change: str
) -> None:
    rebuild(superuser, acme, copies, REBUILT[change])
    logs.append(acme, 20)
    with session.connect() as connection:
        made(connection, copies).seal(acme.tenant_id)

    export(acme, tmp_path / "after")

    assert verified(acme, tmp_path / "after").problems == []  # it is a whole log, signed by its key
    problems = verified(acme, tmp_path / "after", held=held).problems
    assert len(problems) == 1
    assert "does not begin with the tree" in problems[0]


def test_a_log_that_was_cut_and_signed_anew_is_found(
    acme: World, held: bytes, superuser: Superuser, copies: Copies, tmp_path: Path
) -> None:
    cut = f"DELETE FROM audit_record WHERE tenant_id = %(tenant)s AND id > {_MIDDLE}"  # noqa: S608
    rebuild(superuser, acme, copies, cut)

    export(acme, tmp_path / "after")

    assert "is older, or the log was cut" in verified(acme, tmp_path / "after", held=held).problems[0]


def test_an_invented_record_is_found_when_it_is_said_to_be_old(
    acme: World, held: bytes, superuser: Superuser, copies: Copies, tmp_path: Path
) -> None:
    invented = f"""
    INSERT INTO audit_record SELECT (left(id::text, 35) || CASE right(id::text, 1) WHEN '0'
        THEN '1' ELSE '0' END)::uuid, at, tenant_id, gen_random_uuid(), seq, v, action,
        actor, subject, outcome, facts, commitment FROM audit_record WHERE id = {_MIDDLE}
    """  # noqa: S608
    rebuild(superuser, acme, copies, invented)

    export(acme, tmp_path / "after")

    assert verified(acme, tmp_path / "after", held=held).problems


#: A key that is none of the log's, under any name.
OTHER = Signer("other.example/log", bytes(range(32)))

FORGED: dict[str, Callable[[Checkpoint, Signer], str]] = {
    "a root that nobody signed": lambda head, _: note.sign(replace(head, root=b"x" * 32).text, [OTHER]).whole,
    "the true root, signed by another": lambda head, _: note.sign(head.text, [OTHER]).whole,
    "another root that its key signed": lambda head, own: note.sign(replace(head, root=b"x" * 32).text, [own]).whole,
    "another log's": lambda head, own: note.sign(replace(head, origin="other.example/log").text, [own]).whole,
    "another size's": lambda head, own: note.sign(replace(head, size=head.size - 1).text, [own]).whole,
    "no note": lambda *_: "nothing",
}


@pytest.mark.parametrize("which", ["the head", "the period's start"])
@pytest.mark.parametrize("forgery", FORGED)
def test_a_checkpoint_that_was_put_into_the_database_is_neither_signed_nor_shown(
    acme: World, held: bytes, sealer: Sealer, superuser: Superuser, tmp_path: Path, forgery: str, which: str
) -> None:
    first = logs.signed(acme).head
    logs.append(acme, 10)
    sealer.seal(acme.tenant_id)
    head = logs.signed(acme).head if which == "the head" else first
    put = "UPDATE audit_checkpoint SET note = %(note)s WHERE tenant_id = %(tenant)s AND size = %(size)s"
    of = {"tenant": acme.tenant_id, "size": head.size, "note": FORGED[forgery](head, signer_of(acme))}
    with superuser.transaction():
        superuser.execute("SET LOCAL session_replication_role = replica")
        superuser.execute(put, of)

    with pytest.raises(BrokenLog):
        export(acme, tmp_path / "bundle", first=first.size)

    assert not (tmp_path / "bundle").exists()
    if which == "the head":
        with tenant_scope(acme.tenant_id), pytest.raises(BrokenLog):
            proving.head_of(acme.tenant_id)
