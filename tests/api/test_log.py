"""The log over HTTP: its head, a record's proof, its files; for those who may read the journal, of their tenant."""

from uuid import uuid4

import pytest
from django.test import Client

from audit import journal
from audit.log import merkle, note, tiles
from audit.log.checkpoint import Checkpoint
from audit.log.note import VerifierKey
from audit.log.proof import Proof
from audit.log.tiles import ENTRIES, Tile
from audit.models import Record
from audit.sealer.loop import sealer
from db import session
from db.scope import PLATFORM, tenant_scope
from tenants.models import Role, User
from tests.api.conftest import Answer, Caller, caller, member
from tests.api.test_schema import fits
from tests.audit.sealer import logs
from tests.console.conftest import hashed, peopled, signed_in
from tests.web.test_admin import staff, staffer
from tests.worlds import World


@pytest.fixture
def audrey(acme: World) -> Caller:
    """The tenant's compliance officer."""
    return caller(acme, member(acme, Role.COMPLIANCE, "audrey"))


@pytest.fixture
def sealed(acme: World, audrey: Caller) -> int:
    """A log of more than a tile; returns its size."""
    logs.append(acme, 300)
    seal(acme)
    return logs.signed(acme).head.size


def seal(acme: World) -> None:
    with session.connect() as connection:
        sealer(connection).seal(acme.tenant_id)


def test_the_head_is_told_with_the_keys_that_verify_it(acme: World, audrey: Caller, sealed: int) -> None:
    answer = audrey.get("audit/checkpoint")

    assert fits(answer, "LogCheckpoint")
    told = answer.json
    opened, _ = note.opened(told["checkpoint"].encode(), [VerifierKey.parse(text) for text in told["vkeys"]])
    head = Checkpoint.parse(opened.text)
    assert (head.origin, head.size, head.root.hex()) == (told["origin"], told["size"], told["root"])
    assert (head.origin, head.size) == (f"localhost:8000/log/{acme.tenant_id}", sealed)


def test_each_record_is_proven_by_a_text_of_its_own(acme: World, audrey: Caller, sealed: int) -> None:
    with tenant_scope(acme.tenant_id):
        ids = list(Record.objects.order_by("id").values_list("id", flat=True))
        entries = logs.log_of(acme).entries(0, sealed)
    for record_id in (ids[0], ids[-1]):
        answer = audrey.get(f"audit/records/{record_id}/proof")

        assert fits(answer, "RecordProof")
        told = answer.json
        keys = [VerifierKey.parse(text) for text in told["vkeys"]]
        origin = f"localhost:8000/log/{acme.tenant_id}"
        assert Proof.parse(told["proof"]).check(entry=told["entry"].encode(), origin=origin, keys=keys).size == sealed
        assert entries[told["index"]] == told["entry"].encode()
        assert str(record_id) in told["entry"]


def test_a_record_that_is_not_sealed_yet_is_proven_in_a_few_seconds(acme: World, audrey: Caller, sealed: int) -> None:
    logs.append(acme, 1)
    with tenant_scope(acme.tenant_id):
        last = Record.objects.order_by("-id")[0].id

    answer = audrey.get(f"audit/records/{last}/proof")
    assert (answer.status, answer.code) == (409, "not_sealed_yet")
    seal(acme)
    assert audrey.get(f"audit/records/{last}/proof").status == 200


def test_a_tree_is_made_from_the_files_alone(acme: World, audrey: Caller, sealed: int) -> None:
    prefix = f"/log/{acme.tenant_id}"
    answer = raw(audrey, f"{prefix}/checkpoint")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    head = Checkpoint.parse(note.parse(answer.content).text)
    hashes = []
    for n in range(-(-head.size // 256)):
        tile, entries = tiles.of_size(0, n, head.size), tiles.of_size(ENTRIES, n, head.size)
        found = raw(audrey, f"{prefix}/{entries.path}")
        assert found.headers["Content-Type"] == "application/octet-stream"
        made = [merkle.leaf_hash(entry) for entry in tiles.read_entry_bundle(found.content)]
        assert raw(audrey, f"{prefix}/{tile.path}").content == b"".join(made)
        hashes += made

    assert merkle.root_of(hashes) == head.root
    assert raw(audrey, f"{prefix}/{Tile(0, 0, 7).path}").content == b"".join(hashes[:7])  # as it once was
    assert raw(audrey, f"{prefix}/{Tile(1, 0, 1).path}").content == merkle.root_of(hashes[:256])


@pytest.mark.parametrize(
    "path",
    [
        "tile/0/002",
        "tile/0/001",
        "tile/1/000.p/2",
        "tile/0/000.p/0",
        "tile/x/000",
        "tile/entries/009.p/1",
        "tile/63/000",
    ],
)
def test_what_the_tree_does_not_have_is_not_found(acme: World, audrey: Caller, sealed: int, path: str) -> None:
    answer = raw(audrey, f"/log/{acme.tenant_id}/{path}")

    assert (answer.status, answer.code) == (404, "not_found")


def test_reading_entries_and_proofs_leaves_a_record_and_hashes_leave_none(
    acme: World, audrey: Caller, sealed: int
) -> None:
    for path in ("checkpoint", "tile/0/000", "tile/entries/000"):
        assert raw(audrey, f"/log/{acme.tenant_id}/{path}").status == 200

    with tenant_scope(acme.tenant_id):
        [read] = Record.objects.filter(action="log.read")
    assert read.facts == {"file": "tile/entries/000", "via": read.facts["via"]}


@pytest.mark.parametrize("path", ["checkpoint", "tile/0/000", "tile/entries/000", "tile/0/999"])
def test_bob_is_refused_carol_finds_nothing_and_nobody_gets_in(
    acme: World, bob: Caller, carol: Caller, nobody: Caller, sealed: int, path: str
) -> None:
    address = f"/log/{acme.tenant_id}/{path}"

    assert (raw(bob, address).status, raw(bob, address).code) == (403, "forbidden")
    assert (raw(carol, address).status, raw(carol, address).code) == (404, "not_found")
    nowhere = raw(carol, f"/log/0198c2a0-0000-7000-8000-000000000000/{path}")
    assert raw(carol, address).content == nowhere.content
    assert raw(nobody, address).status == 401


def test_hashes_may_be_kept_for_ever_heads_and_entries_not(acme: World, audrey: Caller, sealed: int) -> None:
    kept = {
        path: raw(audrey, f"/log/{acme.tenant_id}/{path}").headers["Cache-Control"]
        for path in ("checkpoint", "tile/0/000", "tile/0/000.p/7", "tile/1/000.p/1", "tile/entries/000")
    }

    assert {path for path, told in kept.items() if told == "private, max-age=31536000, immutable"} == {
        "tile/0/000",
        "tile/0/000.p/7",
        "tile/1/000.p/1",
    }
    assert kept["checkpoint"] == kept["tile/entries/000"] == "no-store"


@pytest.fixture
def platform_log(database: None) -> str:
    """The platform's own log, with something in it."""
    with tenant_scope(PLATFORM):
        journal.record("a.b", stream=PLATFORM, actor="engine")
    with session.connect() as connection:
        sealer(connection).seal(PLATFORM)
    return f"/log/{PLATFORM}"


def test_the_platforms_own_log_is_read_by_its_staff(platform_log: str) -> None:
    user = staffer()
    client = staff(user)
    head = Checkpoint.parse(note.parse(client.get(f"{platform_log}/checkpoint").content).text)
    last = tiles.of_size(ENTRIES, (head.size - 1) // 256, head.size)
    answer = client.get(f"{platform_log}/{last.path}")

    entries = [merkle.leaf_hash(entry) for entry in tiles.read_entry_bundle(answer.content)]
    assert client.get(f"{platform_log}/{tiles.of_size(0, last.n, head.size).path}").content == b"".join(entries)
    assert head.origin == f"localhost:8000{platform_log}"
    with tenant_scope(PLATFORM):
        read = Record.objects.filter(action="log.read", actor=f"user:{user.id}")
        assert [record.facts for record in read] == [{"file": last.path}]


@pytest.mark.parametrize("path", ["checkpoint", "tile/0/000.p/1", "tile/entries/000.p/1"])
def test_and_by_nobody_else(acme: World, audrey: Caller, platform_log: str, path: str) -> None:
    address = f"{platform_log}/{path}"
    weak = User.objects.create(email=f"{uuid4().hex}@staff.example", password=hashed(), is_staff=True)

    assert staff().get(address).status_code == 200
    assert raw(audrey, address).status == 404  # a tenant's compliance staff, by key
    assert signed_in(peopled(), "alice").get(address).status_code == 404  # a member, by session
    assert staff(weak).get(address).status_code == 404  # without a second factor
    assert Client().get(address).status_code == 401
    assert staff().get(f"/log/{acme.tenant_id}/{path}").status_code == 401  # a session opens no tenant's log
    assert staff().post(address).status_code in (403, 405)


def raw(who: Caller, path: str) -> Answer:
    """Read a file of a log."""
    headers = {"Authorization": f"Bearer {who.key}"} if who.key else {}
    return Answer(Client(headers=headers).get(path))
