"""An export holds what witnesses cosigned, and the verifier tells who did, and who did not."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

from audit.log import note
from audit.log.note import Signer, VerifierKey
from audit.sealer.sealer import Sealer
from audit.stored import execute
from audit.verify import manifest
from audit.verify.bundle import Report, verify
from audit.verify.files import Folder
from db.roles import seal
from tests.audit.exports import bundles
from tests.audit.sealer import logs
from tests.audit.sealer.conftest import acme, copies, made, sealer, superuser
from tests.checkpoints.witness import Witness
from tests.worlds import World

__all__ = ["acme", "copies", "made", "sealer", "superuser"]

ONE = Witness("witness.example/one", bytes([1]) * 32)
TWO = Witness("witness.example/two", bytes([2]) * 32)


def key(witness: Witness) -> VerifierKey:
    return VerifierKey.parse(witness.vkey)


def cosign(acme: World, witness: Witness, *, line: str | None = None) -> int:
    """Keep the witness's cosignature of the log's head; returns the head's size."""
    head = logs.signed(acme).head
    of = {"tenant": acme.tenant_id, "size": head.size, "witness": witness.name}
    with seal():
        execute(
            "INSERT INTO audit_cosignature (tenant_id, generation, witness, size, line) "
            "VALUES (%(tenant)s, 1, %(witness)s, %(size)s, %(line)s) RETURNING 1",
            of | {"line": line or witness.cosignature(head.text)},
        )
    return head.size


@pytest.fixture
def folder(acme: World, sealer: Sealer, tmp_path: Path) -> Path:
    """A bundle of a log that one witness cosigned twice, another one once, in between."""
    logs.append(acme, 300)
    sealer.seal(acme.tenant_id)
    cosign(acme, ONE)
    logs.append(acme, 100)
    sealer.seal(acme.tenant_id)
    cosign(acme, TWO)
    logs.append(acme, 300)
    sealer.seal(acme.tenant_id)
    cosign(acme, ONE)
    logs.append(acme, 5)
    sealer.seal(acme.tenant_id)
    bundles.export(acme, tmp_path / "b")
    return tmp_path / "b"


def verified(acme: World, folder: Path, *witnesses: Witness) -> Report:
    return verify(Folder(folder), keys=[bundles.key_of(acme)], witnesses=[key(each) for each in witnesses])


def test_each_witnesss_newest_cosignature_is_exported_and_verified(acme: World, folder: Path) -> None:
    assert len(list((folder / "witnessed").iterdir())) == 2

    report = verified(acme, folder, ONE, TWO)

    assert report.problems == []
    [told] = [sentence for sentence in report.proven if "cosigned" in sentence]
    assert told.startswith("2 of 2 witnesses cosigned what the log begins with: witness.example/")
    assert "2027-01-15 08:00:00 UTC" in told
    assert verified(acme, folder).problems == []


def test_a_period_has_them_too_wherever_it_begins(acme: World, folder: Path, tmp_path: Path) -> None:
    for number, first in enumerate((350, 600)):
        bundles.export(acme, tmp_path / f"p{number}", first=first)
        assert verified(acme, tmp_path / f"p{number}", ONE, TWO).problems == []


def test_one_who_has_not_cosigned_is_missed(acme: World, folder: Path) -> None:
    other = Witness("witness.example/one", bytes([3]) * 32)

    for witnesses in ((other,), (ONE, other)):
        [problem] = verified(acme, folder, *witnesses).problems
        assert problem == f"{other.name} ({key(other).key_id.hex()}) has not cosigned it."


def test_what_a_witness_did_not_sign_does_not_prove(acme: World, sealer: Sealer, tmp_path: Path) -> None:
    logs.append(acme, 3)
    sealer.seal(acme.tenant_id)
    cosign(acme, ONE, line=ONE.cosignature(logs.signed(acme).head.text.replace("log", "lag")))
    bundles.export(acme, tmp_path / "b")

    assert verified(acme, tmp_path / "b").problems == []  # nobody says who that is
    [problem] = verified(acme, tmp_path / "b", ONE).problems
    assert "has a cosignature of witness.example/one that is not one of this checkpoint" in problem


def test_a_cosigned_tree_that_is_not_the_logs_does_not_prove_even_when_the_log_signs_it(
    acme: World, folder: Path
) -> None:
    """Whoever has the log's keys shows one tree to the witness and another one to the auditor."""
    signer = bundles.signer_of(acme)
    [(place, whole)] = [
        (path, path.read_text()) for path in (folder / "witnessed").iterdir() if ONE.name in path.read_text()
    ]
    text, _, rest = whole.partition("\n\n")
    lines = text.split("\n")
    forged = "\n".join([*lines[:2], note.encode(bytes(32)), ""])
    signed = note.sign(forged, [signer]).whole + ONE.cosignature(forged)
    place.write_text(signed + "\n" + rest.partition("\n\n")[2])
    sign_again(folder, signer)

    problems = verified(acme, folder, ONE).problems

    assert len(problems) == 1
    assert "does not begin with that tree" in problems[0]


def test_names_that_tell_another_size_and_files_that_do_not_belong_are_found(acme: World, folder: Path) -> None:
    signer = bundles.signer_of(acme)
    [one, *_] = sorted((folder / "witnessed").iterdir())
    one.rename(one.with_name("7"))
    sign_again(folder, signer)
    assert any("witnessed/7 is of" in each for each in verified(acme, folder).problems)
    (folder / "witnessed" / "7").rename(folder / "witnessed" / "007")
    sign_again(folder, signer)
    assert "witnessed/007 does not belong into this bundle." in verified(acme, folder).problems


def test_the_command_takes_witnesses(acme: World, folder: Path, tmp_path: Path) -> None:
    keys = tmp_path / "witnesses"
    keys.write_text(f"{ONE.vkey}\n{TWO.vkey}\n")

    def run(*more: object) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "audit.verify", str(folder), "--key", bundles.key_of(acme).text]
        command += map(str, more)
        return subprocess.run(command, cwd=settings.BASE_DIR, capture_output=True, text=True, check=False)

    ended = run("--witness", keys)
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stdout
    assert "2 of 2 witnesses cosigned" in ended.stdout
    assert "No witness was named" in run().stdout
    assert run("--witness", bundles.key_of(acme).text).returncode == 2  # a log's key
    missing = run("--witness", ONE.vkey, "--witness", Witness("witness.example/3", bytes(32)).vkey)
    assert missing.returncode == 1
    assert "NOT PROVEN: witness.example/3" in missing.stdout


def sign_again(folder: Path, signer: Signer) -> None:
    """Make the manifest of what is there now, and sign it with the log's key."""
    before = json.loads((folder / manifest.NAME).read_bytes())
    names = Folder(folder).names() - {manifest.NAME, manifest.NOTE}
    hashes = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in sorted(names)}
    data = json.dumps(before | {"files": hashes}).encode()
    (folder / manifest.NAME).write_bytes(data)
    (folder / manifest.NOTE).write_text(manifest.signed(data, [signer]).whole)
