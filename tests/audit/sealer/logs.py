"""What tests ask of a log and its tenant's journal."""

from uuid import UUID

from django.db import connection

from audit import journal
from audit.journal import Entry
from audit.leaf import entry_bytes, leaf
from audit.log import merkle, note
from audit.log.checkpoint import Checkpoint
from audit.log.note import Signer
from audit.models import Record
from audit.stored import Signed, StoredLog
from db import roles
from db.models import new_id
from db.scope import tenant_scope
from tests.audit.sealer.conftest import SEED
from tests.worlds import World


def append(acme: World, count: int, *, at_once: int = 100) -> None:
    """Append so many records, with payloads, facts of several kinds, and several of one statement."""
    with tenant_scope(acme.tenant_id):
        for start in range(0, count, at_once):
            some = range(start, min(count, start + at_once))
            odd = '"\u00e9\u20ac\U0001f600\n'
            facts = [{"n": n, "text": f"{odd} {n}", "deep": {"b": [None, True], "a": {}}} for n in some]
            journal.append_at(
                new_id(),
                0,
                [Entry("a.b", "engine", each, payload={"name": n}) for n, each in zip(some, facts, strict=True)],
            )


def log_of(acme: World) -> StoredLog:
    """Return the tenant's log; in its scope alone it can be asked."""
    found = StoredLog.of(acme.tenant_id)
    assert found is not None
    return found


def leaves(acme: World) -> list[bytes]:
    """Return the entries of the log, in its order."""
    with tenant_scope(acme.tenant_id):
        log = log_of(acme)
        return log.entries(0, log.size())


def recorded(acme: World) -> set[bytes]:
    """Return what the entries of the tenant's records are by definition."""
    with tenant_scope(acme.tenant_id):
        return {entry_bytes(leaf(record)) for record in Record.objects.all()}


def signed(acme: World, *, seed: bytes = SEED) -> Signed:
    """Return the last checkpoint, having verified it against all leaves."""
    with tenant_scope(acme.tenant_id):
        log = log_of(acme)
        found = log.signed()
        assert found is not None
        opened, _ = note.opened(found.note, [Signer(log.origin, seed).key])
        assert Checkpoint.parse(opened.text) == found.head
        entries = log.entries(0, found.head.size)
        assert merkle.root_of([merkle.leaf_hash(entry) for entry in entries]) == found.head.root
        assert log.root(found.head.size) == found.head.root
        return found


def waiting(tenant_id: UUID) -> int:
    """Return how many records wait to be sealed."""

    with roles.seal(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(sum(cardinality(record_ids)), 0) FROM (SELECT tenant_id, record_ids FROM audit_outbox "
            "UNION ALL SELECT tenant_id, record_ids FROM audit_outbox_aside) AS waiting WHERE tenant_id = %s",
            [tenant_id],
        )
        return int(cursor.fetchone()[0])
