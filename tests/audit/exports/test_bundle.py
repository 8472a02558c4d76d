"""A bundle holds what it says, and its verifier says so."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from audit import journal
from audit.exports import bundle
from audit.exports.errors import FolderNotEmpty, NothingSealed
from audit.exports.period import of_time
from audit.log import tiles
from audit.log.tiles import ENTRIES
from audit.sealer.sealer import Sealer
from audit.stored import StoredLog
from db.models import new_id
from db.scope import tenant_scope
from tests.audit.exports.bundles import export, signer_of, verified
from tests.audit.sealer import logs
from tests.audit.sealer.conftest import Superuser, acme, copies, sealer, superuser
from tests.worlds import World, world

__all__ = ["acme", "copies", "sealer", "superuser"]


@pytest.fixture
def sealed(acme: World, sealer: Sealer) -> list[int]:
    """A log of three checkpoints; returns their sizes."""
    sizes = []
    for count in (10, 600, 300):
        logs.append(acme, count)
        sealer.seal(acme.tenant_id)
        sizes.append(logs.signed(acme).head.size)
    return sizes


def test_the_whole_log_proves(acme: World, sealed: list[int], tmp_path: Path) -> None:
    made = export(acme, tmp_path / "bundle")

    report = verified(acme, tmp_path / "bundle")
    assert report.problems == []
    assert (made.first, made.end, made.size) == (0, sealed[-1], sealed[-1])
    assert not (tmp_path / "bundle" / "previous").exists()
    assert "All 9" in " ".join(report.proven)
    lines = (tmp_path / "bundle" / "entries.jsonl").read_bytes().splitlines()
    assert [json.loads(line)["index"] for line in lines] == list(range(sealed[-1]))


def test_a_period_begins_at_a_checkpoint_and_proves_what_lies_before_by_hash(
    acme: World, sealed: list[int], tmp_path: Path
) -> None:
    made = export(acme, tmp_path / "bundle", first=sealed[1] + 5, end=sealed[1] + 50)

    assert verified(acme, tmp_path / "bundle").problems == []
    assert (made.first, made.end, made.size) == (sealed[1], sealed[1] + 50, sealed[2])
    assert len((tmp_path / "bundle" / "entries.jsonl").read_bytes().splitlines()) == 50
    bundles = {tile.path for tile in tiles.covering(made.first, made.end, made.size) if tile.level == ENTRIES}
    assert {path for path in made.files if "entries/" in path} == bundles


def test_a_period_of_time_is_the_leaves_of_its_records(acme: World, sealed: list[int], sealer: Sealer) -> None:
    now = datetime.now(UTC)
    with tenant_scope(acme.tenant_id):
        log = logs.log_of(acme)
        everything = of_time(log, since=now - timedelta(hours=1), until=now + timedelta(hours=1))
        nothing = of_time(log, since=now + timedelta(hours=1))
        before = of_time(log, until=now - timedelta(hours=1))

    assert (everything.first, everything.end) == (0, sealed[-1])
    assert (nothing.first, nothing.end) == (before.first, before.end) == (sealed[-1], sealed[-1])


def test_an_empty_period_proves_too(acme: World, sealed: list[int], tmp_path: Path) -> None:
    with tenant_scope(acme.tenant_id):
        log = logs.log_of(acme)
        period = of_time(log, since=datetime.now(UTC) + timedelta(hours=1))
        bundle.write(tmp_path / "bundle", log, period, signers=[signer_of(acme)])

    assert verified(acme, tmp_path / "bundle").problems == []


def test_payloads_that_were_not_asked_for_are_withheld_and_listed(
    acme: World, sealed: list[int], tmp_path: Path
) -> None:
    made = export(acme, tmp_path / "bundle", payloads=False)

    assert verified(acme, tmp_path / "bundle").problems == []
    assert len(made.withheld) >= 910
    assert b'"value"' not in (tmp_path / "bundle" / "entries.jsonl").read_bytes()


def test_an_erased_payload_leaves_every_proof_valid(
    acme: World, sealed: list[int], superuser: Superuser, tmp_path: Path
) -> None:
    with tenant_scope(acme.tenant_id):
        record = logs.log_of(acme)._rows(
            "SELECT record_id FROM audit_leaf WHERE tenant_id = %(tenant)s AND index = %(index)s", index=sealed[0]
        )[0][0]
    superuser.execute("DELETE FROM audit_payload WHERE record_id = %s", [record])

    made = export(acme, tmp_path / "bundle")

    assert made.erased == {sealed[0]: "erased"}
    assert verified(acme, tmp_path / "bundle").problems == []

    made = export(acme, tmp_path / "without", payloads=False)
    assert made.erased == {sealed[0]: "erased"}, "and not withheld: nobody has it any more"
    assert sealed[0] not in made.withheld
    assert verified(acme, tmp_path / "without").problems == []


def test_each_checkpoint_that_was_held_is_the_logs_beginning(acme: World, sealed: list[int], tmp_path: Path) -> None:
    export(acme, tmp_path / "whole")
    export(acme, tmp_path / "part", first=sealed[1])
    with tenant_scope(acme.tenant_id):
        held = [signed.note for size in sealed if (signed := logs.log_of(acme).signed(at_most=size))]

    assert [verified(acme, tmp_path / "whole", held=each).problems for each in held] == [[], [], []]
    assert [bool(verified(acme, tmp_path / "part", held=each).problems) for each in held] == [True, False, False]
    assert "have one exported from then on" in verified(acme, tmp_path / "part", held=held[0]).problems[0]


def test_facts_and_payloads_of_any_shape_prove(acme: World, sealer: Sealer, tmp_path: Path) -> None:
    odd = {"x": [1.5, 1e21, -0.0, 2**53, '\u2028\u00e9\U0001f600\n"\\', ',"salt":"00"}}'], "": None}
    with tenant_scope(acme.tenant_id):
        for payload in (odd, [], "", 0, False, {"salt": "00", "value": 1}, [odd]):
            journal.record("a.b", stream=new_id(), actor="engine", facts={"a": ["\u20ac", 2**53 - 1]}, payload=payload)
    sealer.seal(acme.tenant_id)

    export(acme, tmp_path / "bundle")

    assert verified(acme, tmp_path / "bundle").problems == []


def test_lines_may_be_written_by_any_json_library(acme: World, sealed: list[int], tmp_path: Path) -> None:
    from audit.verify.leaves import check

    export(acme, tmp_path / "bundle")
    data = (tmp_path / "bundle" / "entries.jsonl").read_bytes().splitlines()
    with tenant_scope(acme.tenant_id):
        entries = logs.log_of(acme).entries(0, len(data))
    for index in (0, 1, len(data) - 1):
        rewritten = json.dumps(dict(reversed(json.loads(data[index]).items())), indent=None).encode()
        assert check(index, entries[index], rewritten)[1] == check(index, entries[index], data[index])[1]


def test_what_is_not_sealed_or_not_empty_is_refused(acme: World, sealed: list[int], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FolderNotEmpty):
        export(acme, tmp_path)
    other = world()
    with tenant_scope(other.tenant_id), pytest.raises(NothingSealed):
        of_time(StoredLog(other.tenant_id, 1, "o"))
