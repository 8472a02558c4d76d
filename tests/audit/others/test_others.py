"""A bundle verified with other people's tools: Go's `golang.org/x/mod/sumdb`, and openssl as README.txt says.

They are Debian's `golang-go` and `golang-golang-x-mod-dev`, which `.ci/run` installs.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connections
from pytest_django.plugin import DjangoDbBlocker

from audit import proving
from audit.log import note
from audit.sealer import keys
from audit.sealer.loop import sealer
from db import session
from db.scope import tenant_scope
from tenants.models import Role
from tests.api.conftest import caller, member, server
from tests.audit.exports.bundles import export
from tests.audit.sealer import logs
from tests.worlds import World, world

__all__ = ["server"]

#: Where Debian's packages of Go libraries are.
GOPATH = "/usr/share/gocode"


@pytest.fixture(scope="module")
def exported(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[World, Path]]:
    """A tenant's log of several tiles; a bundle of the whole of it, one of a period, and a record's proof."""
    with django_db_blocker.unblock():
        acme, folder = world(), tmp_path_factory.mktemp("exported")
        with session.connect() as connection:
            for count in (600, 300):
                logs.append(acme, count)
                sealer(connection).seal(acme.tenant_id)
        size = logs.signed(acme).head.size
        export(acme, folder / "whole")
        export(acme, folder / "period", first=size - 300, end=size - 10)
        with tenant_scope(acme.tenant_id):
            record = logs.log_of(acme)._rows(
                "SELECT record_id FROM audit_leaf WHERE tenant_id = %(tenant)s AND index = %(index)s", index=513
            )[0][0]
            _, proof, entry = proving.proof_of(acme.tenant_id, record)
        (folder / "proof").write_text(proof.text)
        (folder / "entry").write_bytes(entry)
        yield acme, folder
        connections.close_all()


@pytest.fixture(scope="module")
def verifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program that verifies a bundle."""
    return built("verify", tmp_path_factory)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program that reads a served log."""
    return built("client", tmp_path_factory)


def built(name: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the program of that name, beside this file, with Debian's packages."""
    go = shutil.which("go")
    assert go, "Go is missing: apt-get install golang-go golang-golang-x-mod-dev"
    program = tmp_path_factory.mktemp("go") / name
    environment = {
        "PATH": os.environ["PATH"],
        "GOPATH": GOPATH,
        "GO111MODULE": "off",
        "GOCACHE": str(settings.BASE_DIR / ".cache" / "go"),
        "GOPROXY": "off",
        "GOFLAGS": "",
    }
    source = Path(__file__).with_name(f"{name}.go")
    subprocess.run([go, "build", "-o", program, source], env=environment, check=True)
    return program


def run(*arguments: object, given: str = "") -> "subprocess.CompletedProcess[str]":
    return subprocess.run(list(map(str, arguments)), input=given, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", ["whole", "period"])
def test_gos_own_packages_verify_it(exported: tuple[World, Path], verifier: Path, name: str) -> None:
    _, folder = exported
    vkey = (folder / name / "vkey").read_text().split()[0]

    ended = run(verifier, folder / name, vkey, folder / "proof", folder / "entry")

    assert ended.returncode == 0, ended.stderr
    assert "record at 513 proven" in ended.stdout
    assert re.search(r"[0-9]+ leaves of 9[0-9]{2} verified", ended.stdout)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("tile/0/000", "leaf 1 is not in the tree"),
        ("tile/entries/001", "leaf 256 is not in the tree"),
        ("checkpoint", "signature"),
    ],
)
def test_and_find_what_was_changed(
    exported: tuple[World, Path], verifier: Path, tmp_path: Path, name: str, words: str
) -> None:
    _, folder = exported
    shutil.copytree(folder / "whole", tmp_path / "copy")
    data = bytearray((tmp_path / "copy" / name).read_bytes())
    data[20] ^= 1
    (tmp_path / "copy" / name).write_bytes(data)

    ended = run(verifier, tmp_path / "copy", (folder / "whole" / "vkey").read_text().split()[0])

    assert ended.returncode == 1
    assert words in ended.stderr


def test_what_the_readme_says_about_openssl_is_true(exported: tuple[World, Path], tmp_path: Path) -> None:
    _, folder = exported
    shutil.copytree(folder / "whole", tmp_path / "copy")
    readme = (tmp_path / "copy" / "README.txt").read_text()
    stock = readme.partition("With stock tools")[2].splitlines()
    commands = [line.strip() for line in stock if line.startswith("     ")]

    def follow() -> "subprocess.CompletedProcess[str]":
        script = ["bash", "-c", "set -e\n" + "\n".join(commands)]
        return subprocess.run(script, cwd=tmp_path / "copy", capture_output=True, text=True, check=False)

    ended = follow()
    assert ended.returncode == 0, ended.stderr
    verified, computed, told = ended.stdout.splitlines()
    assert verified == "Signature Verified Successfully"
    assert computed.split()[0] == told
    checkpoint = tmp_path / "copy" / "checkpoint"
    checkpoint.write_text(checkpoint.read_text().replace("/log/", "/lag/", 1))
    assert follow().returncode == 1


def test_gos_own_client_reads_the_log_that_is_served(
    exported: tuple[World, Path], client: Path, server: tuple[str, int], tmp_path: Path
) -> None:
    acme, folder = exported
    auditor = caller(acme, member(acme, Role.COMPLIANCE, "audrey"), "audit:read")
    vkey, held = auditor.get("audit/checkpoint").json["vkeys"][0], folder / "whole" / "checkpoint"
    with session.connect() as connection:
        logs.append(acme, 300)
        sealer(connection).seal(acme.tenant_id)
    size = logs.signed(acme).head.size
    address = f"http://{server[0]}:{server[1]}/log/{acme.tenant_id}"

    ended = run(client, address, vkey, held, size - 3, given=str(auditor.key))

    assert ended.returncode == 0, ended.stderr
    leaf, said = ended.stdout.splitlines()
    with tenant_scope(acme.tenant_id):
        assert leaf.encode() == logs.log_of(acme).entries(size - 3, size - 2)[0]
    assert re.fullmatch(rf"{size} leads on from 9[0-9]{{2}}", said)

    (tmp_path / "other").write_bytes(_other_log(acme))
    others = world()
    stranger = caller(others, member(others, Role.COMPLIANCE, "carol"), "audit:read")
    for given, checkpoint, words in (
        (auditor.key, tmp_path / "other", "invalid transparency proof"),
        (stranger.key, held, "404"),
        ("", held, "401"),
    ):
        assert words in run(client, address, vkey, checkpoint, 5, given=str(given)).stderr


def _other_log(acme: World) -> bytes:
    """Return a checkpoint that the log's own key signed, of a tree that the log never was."""
    head = replace(logs.signed(acme).head, size=500, root=bytes(32))
    return note.sign(head.text, keys.signers(head.origin)).whole.encode()
