"""Whatever is done to a bundle on its way is found: bits, bytes, lines and files, in any of its parts."""

import hashlib
import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connections
from pytest_django.plugin import DjangoDbBlocker

from audit.log import note, tiles
from audit.log.note import Signer, VerifierKey
from audit.log.tiles import WIDTH
from audit.sealer.copies import Copies
from audit.verify import manifest
from audit.verify.bundle import verify
from audit.verify.files import Folder
from db import session
from tests.audit.exports.bundles import export, key_of, signer_of
from tests.audit.sealer import logs
from tests.audit.sealer.conftest import made
from tests.audit.verify.test_witnesses import cosign
from tests.checkpoints.witness import Witness
from tests.worlds import World, world

Json = Any

MUTATIONS = 200


@pytest.fixture(scope="module")
def exported(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[World, Path]]:
    """A bundle of a period with every kind of file, and a payload that was withheld."""
    with django_db_blocker.unblock():
        acme = world()
        folder = tmp_path_factory.mktemp("exported") / "bundle"
        with session.connect() as connection:
            sealer = made(connection, Copies(settings.AUDIT_CHECKPOINTS_DIR), seeds=settings.AUDIT_SIGNING_KEYS)
            for count in (300, 300):
                logs.append(acme, count)
                sealer.seal(acme.tenant_id)
                cosign(acme, Witness("witness.example/one", bytes(32)))
        first = logs.signed(acme).head.size - 300
        export(acme, folder, first=first, end=first + 290)
        yield acme, folder
        connections.close_all()


def proves(acme: World, folder: Path, *, keys: list[VerifierKey] | None = None) -> bool:
    return not verify(Folder(folder), keys=keys or [key_of(acme)]).problems


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def turn_a_bit(chance: random.Random, path: Path) -> None:
    data = bytearray(path.read_bytes())
    at = chance.randrange(len(data) * 8)
    data[at // 8] ^= 1 << at % 8
    path.write_bytes(data)


def insert_a_byte(chance: random.Random, path: Path) -> None:
    data = path.read_bytes()
    at = chance.randrange(len(data) + 1)
    path.write_bytes(data[:at] + bytes([chance.choice([0, 10, 32, 48, 255])]) + data[at:])


def take_bytes_out(chance: random.Random, path: Path) -> None:
    data = path.read_bytes()
    at = chance.randrange(len(data))
    path.write_bytes(data[:at] + data[at + chance.randint(1, 40) :])


def cut(chance: random.Random, path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: chance.randrange(len(data))])


def append_to(chance: random.Random, path: Path) -> None:
    path.write_bytes(path.read_bytes() + chance.choice([b"\n", b" ", b"{}\n", path.read_bytes()]))


def lose(chance: random.Random, path: Path) -> None:
    path.unlink()


def add_beside(chance: random.Random, path: Path) -> None:
    shutil.copy(path, path.with_name(f"{path.name}.{chance.randrange(100)}"))


def swap_lines(chance: random.Random, path: Path) -> None:
    parts = path.read_bytes().split(b"\n")
    one, other = chance.sample(range(len(parts)), 2) if len(parts) > 1 else (0, 0)
    parts[one], parts[other] = parts[other], parts[one]
    if parts == path.read_bytes().split(b"\n"):
        parts.append(b"x")
    path.write_bytes(b"\n".join(parts))


KINDS: tuple[Callable[[random.Random, Path], None], ...] = (
    turn_a_bit,
    insert_a_byte,
    take_bytes_out,
    cut,
    append_to,
    lose,
    add_beside,
    swap_lines,
)


def test_the_bundle_proves_before_anything_is_done_to_it(exported: tuple[World, Path]) -> None:
    assert proves(*exported)


@pytest.mark.parametrize("seed", range(len(KINDS)))
def test_two_hundred_random_mutations_are_found(exported: tuple[World, Path], tmp_path: Path, seed: int) -> None:
    acme, folder = exported
    chance, mutate = random.Random(seed), KINDS[seed]  # noqa: S311 - the same ones in every run
    before = contents(folder)
    names = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    for number in range(MUTATIONS // len(KINDS)):
        copy = tmp_path / str(number)
        shutil.copytree(folder, copy)
        name = names[(number * 7 + seed) % len(names)] if number % 3 else chance.choice(names)
        mutate(chance, copy / name)
        assert contents(copy) != before, (mutate.__name__, name, number)
        assert not proves(acme, copy), (mutate.__name__, name, number)
        shutil.rmtree(copy)


# --- by one who can sign manifests anew, but not what was signed before ----------------------------------------------


def signed_anew(acme: World, folder: Path, change: Callable[[Json], None] | None = None) -> None:
    """Bring the manifest to the files as they are now, and sign it."""
    value = json.loads((folder / manifest.NAME).read_bytes())
    there = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    value["files"] = {
        name: hashlib.sha256(data).hexdigest()
        for name, data in there.items()
        if name not in (manifest.NAME, manifest.NOTE)
    }
    if change is not None:
        change(value)
    data = json.dumps(value).encode()
    (folder / manifest.NAME).write_bytes(data)
    (folder / manifest.NOTE).write_bytes(manifest.signed(data, [signer_of(acme)]).whole.encode())


def edited(line: bytes, **changes: Json) -> bytes:
    value = json.loads(line)
    value["leaf"] |= changes
    return json.dumps(value).encode()


def lines_of(folder: Path) -> list[bytes]:
    return (folder / "entries.jsonl").read_bytes().splitlines()


def write_lines(folder: Path, lines: list[bytes]) -> None:
    (folder / "entries.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))


def edit_a_leaf(folder: Path) -> None:
    lines = lines_of(folder)
    write_lines(folder, [edited(lines[0], actor="user:somebody"), *lines[1:]])


def edit_a_payload(folder: Path) -> None:
    lines = lines_of(folder)
    value = json.loads(lines[5])
    value["payload"]["value"] = {"name": "somebody"}
    write_lines(folder, [*lines[:5], json.dumps(value).encode(), *lines[6:]])


def drop_a_payload(folder: Path) -> None:
    lines = lines_of(folder)
    value = json.loads(lines[5])
    value["payload"] = None
    write_lines(folder, [*lines[:5], json.dumps(value).encode(), *lines[6:]])


def invent_a_payload(folder: Path) -> None:
    lines = lines_of(folder)
    write_lines(folder, [edited(lines[0], commitment=None), *lines[1:]])


def drop_a_line(folder: Path) -> None:
    lines = lines_of(folder)
    write_lines(folder, [*lines[:5], *lines[6:]])


def drop_the_last_line(folder: Path) -> None:
    write_lines(folder, lines_of(folder)[:-1])


def add_a_line(folder: Path) -> None:
    lines = lines_of(folder)
    write_lines(folder, [*lines, lines[-1]])


def repeat_an_index(folder: Path) -> None:
    lines = lines_of(folder)
    write_lines(folder, [*lines[:5], lines[4], *lines[6:]])


def swap_two_entries(folder: Path) -> None:
    path = next((folder / "tile" / "entries").rglob("*.p/*"), None) or next((folder / "tile" / "entries").glob("*"))
    entries = list(tiles.read_entry_bundle(path.read_bytes()))
    path.write_bytes(tiles.entry_bundle([entries[1], entries[0], *entries[2:]]))


def turn_a_hash(folder: Path) -> None:
    path = next(path for path in (folder / "tile" / "0").rglob("*") if path.is_file())
    path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])


def another_consistency_proof(folder: Path) -> None:
    lines = (folder / "previous").read_bytes().splitlines()
    (folder / "previous").write_bytes(b"\n".join([*lines[:-1], note.encode(bytes(32)).encode(), b""]))


BY_THE_LOG_ITSELF = (
    edit_a_leaf,
    edit_a_payload,
    drop_a_payload,
    invent_a_payload,
    drop_a_line,
    drop_the_last_line,
    add_a_line,
    repeat_an_index,
    swap_two_entries,
    turn_a_hash,
    another_consistency_proof,
)


@pytest.mark.parametrize("change", BY_THE_LOG_ITSELF)
def test_what_does_not_fit_together_is_found_whoever_signed_the_manifest(
    exported: tuple[World, Path], tmp_path: Path, change: Callable[[Path], None]
) -> None:
    acme, folder = exported
    shutil.copytree(folder, tmp_path / "copy")
    signed_anew(acme, tmp_path / "copy")
    assert proves(acme, tmp_path / "copy")

    change(tmp_path / "copy")
    signed_anew(acme, tmp_path / "copy")

    assert not proves(acme, tmp_path / "copy")


@pytest.mark.parametrize(
    "change",
    [
        {"from": 0},
        {"to": 5},
        {"size": 10_000},
        {"origin": "log.example/log/other"},
        {"erased": [{"index": 310, "why": "erased"}]},
        {"withheld": [{"index": 0, "why": "outside"}]},
        {"withheld": [{"index": 310}]},
        {"files": {}},
        {"files": {"../outside": "0" * 64}},
        {"more": 1},
        {"from": "0"},
        {"from": True},
    ],
)
def test_a_manifest_that_tells_otherwise_is_found(exported: tuple[World, Path], tmp_path: Path, change: Json) -> None:
    acme, folder = exported
    shutil.copytree(folder, tmp_path / "copy")

    signed_anew(acme, tmp_path / "copy", lambda value: value.update(change))

    assert not proves(acme, tmp_path / "copy")


def test_another_logs_key_proves_nothing(exported: tuple[World, Path]) -> None:
    acme, folder = exported
    other = note.Signer(key_of(acme).name, bytes(32)).key

    assert not proves(acme, folder, keys=[other])


def test_the_key_of_another_log_signs_nothing_of_this_one(exported: tuple[World, Path], tmp_path: Path) -> None:
    acme, folder = exported
    other, own = Signer("log.example/log/other", bytes(range(32))), key_of(acme)
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    (copy / "vkey").write_text(f"{own.text}\n{other.key.text}\n")
    signed_anew(acme, copy)
    assert proves(acme, copy, keys=[own, other.key])

    (copy / manifest.NOTE).write_text(manifest.signed((copy / manifest.NAME).read_bytes(), [other]).whole)

    assert not proves(acme, copy, keys=[own, other.key])
    assert verify(Folder(copy)).problems  # nor when the bundle's own keys are believed


def test_a_period_that_the_files_cannot_hold_is_refused_before_any_work(
    exported: tuple[World, Path], tmp_path: Path
) -> None:
    acme, folder = exported
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    head, size = note.parse((copy / "checkpoint").read_bytes()).text.split("\n"), WIDTH << 12
    (copy / "checkpoint").write_text(note.sign("\n".join([head[0], str(size), *head[2:]]), [signer_of(acme)]).whole)
    signed_anew(acme, copy, lambda value: value.update({"from": 0, "to": size, "size": size}))

    problems = verify(Folder(copy), keys=[key_of(acme)]).problems

    assert len(problems) == 1
    assert f"{size} leaves need {1 << 12} files of entries" in problems[0]
