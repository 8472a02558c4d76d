"""`audit export`, `seal` and `python -m audit.verify`, as people call them."""

import json
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from audit import journal
from audit.models import Record
from audit.stored import StoredLog
from db.scope import PLATFORM, tenant_scope
from ops import verifier
from tests.worlds import World, world


@pytest.fixture
def acme(database: None) -> World:
    """A fresh tenant."""
    return world()


def command(*arguments: str) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


def verify(*arguments: object) -> "subprocess.CompletedProcess[str]":
    """Run the verifier as a stranger does: without settings, and without a database."""
    python = [sys.executable, "-m", "audit.verify", *map(str, arguments)]
    bare = {"PATH": "/usr/bin:/bin", "PYTHONPATH": ""}
    return subprocess.run(python, cwd=settings.BASE_DIR, env=bare, capture_output=True, text=True, check=False)


def test_an_export_is_sealed_up_to_now_and_verified_by_anybody(acme: World, tmp_path: Path) -> None:
    today = datetime.now(UTC).date()
    told = command(
        "audit",
        "export",
        "--tenant",
        acme.slug,
        "--from",
        f"{today - timedelta(days=1)}",
        "--to",
        f"{today + timedelta(days=1)}",
        "--out",
        str(tmp_path / "b"),
    )

    with tenant_scope(acme.tenant_id):
        exported = Record.objects.get(action="log.exported")
        count = Record.objects.count() - 1
    assert told.startswith(f"{count} leaves of localhost:8000/log/{acme.tenant_id}, of {count}, are in ")
    assert exported.facts == {"from": 0, "to": count, "size": count, "payloads": True, "format": "bundle"}
    key, held = tmp_path / "b" / "vkey", tmp_path / "b" / "checkpoint"
    ended = verify(tmp_path / "b", "--key", key.read_text().split()[0], "--checkpoint", held)
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stdout
    assert "Everything proves." in ended.stdout
    assert "bundle's own word" not in ended.stdout
    assert "bundle's own word" in verify(tmp_path / "b").stdout
    assert verify(tmp_path / "b", "--key", key).returncode == 0


def test_the_keys_of_a_log_are_told_for_auditors_to_pin(acme: World, tmp_path: Path) -> None:
    command("audit", "export", "--tenant", acme.slug, "--out", str(tmp_path / "b"))

    (tmp_path / "pinned").write_text(command("audit", "vkey", "--tenant", acme.slug))

    assert (tmp_path / "pinned").read_text() == (tmp_path / "b" / "vkey").read_text()
    assert "bundle's own word" not in verify(tmp_path / "b", "--key", tmp_path / "pinned").stdout


def test_the_verifier_says_what_does_not_prove(acme: World, tmp_path: Path) -> None:
    command("audit", "export", "--tenant", acme.slug, "--out", str(tmp_path / "b"))
    lines = (tmp_path / "b" / "entries.jsonl").read_text().splitlines()
    (tmp_path / "b" / "entries.jsonl").write_text(
        "\n".join([lines[0].replace("tenant.created", "tenant.deleted"), *lines[1:], ""])
    )

    ended = verify(tmp_path / "b")

    assert ended.returncode == 1
    assert "NOT PROVEN: entries.jsonl was changed" in ended.stdout
    assert "NOT PROVEN: Line 0 tells of another leaf than is in the tree." in ended.stdout
    assert verify(tmp_path / "nowhere").returncode == 2
    assert verify(tmp_path / "b", "--key", "nonsense").returncode == 2


def test_the_verifier_is_one_file_too_and_the_same_each_time(acme: World, tmp_path: Path) -> None:
    command("audit", "export", "--tenant", acme.slug, "--out", str(tmp_path / "b"))
    made = [tmp_path / name for name in ("one.pyz", "other.pyz")]
    for target in made:
        verifier.main(str(target))

    ended = subprocess.run(
        [sys.executable, "-I", made[0], tmp_path / "b"], cwd=tmp_path, capture_output=True, check=False
    )

    assert ended.returncode == 0, ended
    assert made[0].read_bytes() == made[1].read_bytes()


def test_the_verifier_loads_neither_django_nor_the_platform() -> None:
    loaded = "import sys, audit.verify.__main__; print(sorted({name.partition('.')[0] for name in sys.modules}))"
    ended = subprocess.run(
        [sys.executable, "-c", loaded], cwd=settings.BASE_DIR, capture_output=True, text=True, check=True
    )

    names = set(json.loads(ended.stdout.replace("'", '"')))
    assert not names & {"django", "db", "psycopg", "config", "agents"}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--from", "yesterday"], "is no day"),
        (["--from", "2026-11-01T00:00:00"], "says no time zone"),
        (["--tenant", "nobody-of-that-name"], "There is no tenant"),
    ],
)
def test_what_cannot_be_exported_is_said(acme: World, tmp_path: Path, given: list[str], words: str) -> None:
    with pytest.raises(CommandError, match=words):
        command("audit", "export", "--tenant", acme.slug, "--out", str(tmp_path / "b"), *given)


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_records_are_exported_as_rows(acme: World, tmp_path: Path, form: str) -> None:
    out = tmp_path / "rows"
    command("audit", "export", "--tenant", acme.slug, "--format", form, "--out", str(out))

    assert "tenant.created" in (out / f"records.{form}").read_text()
    with pytest.raises(CommandError, match="folder of its own"):
        command("audit", "export", "--tenant", acme.slug, "--format", form, "--out", str(out))


def test_the_platforms_log_is_exported_too(acme: World, tmp_path: Path) -> None:
    with tenant_scope(PLATFORM):
        journal.record("a.b", stream=PLATFORM, actor="engine")

    command("audit", "export", "--tenant", "platform", "--out", str(tmp_path / "b"))

    assert verify(tmp_path / "b").returncode == 0


def test_sealing_by_hand_and_after_a_restore(acme: World, tmp_path: Path) -> None:
    with suppress(CommandError):  # other tests leave logs that refuse, and hinder nobody's
        command("seal")
    copy = settings.AUDIT_CHECKPOINTS_DIR / str(acme.tenant_id)
    held = copy.read_bytes()
    copy.unlink()
    with pytest.raises(CommandError, match="is missing, which tells a restored backup"):
        command("audit", "export", "--tenant", acme.slug, "--out", str(tmp_path / "b"))

    assert "goes on behind" in command("seal", "--accept", acme.slug)
    assert copy.read_bytes() == held
    assert "sealed 0 records" in command("seal", "--sweep", str(acme.tenant_id))

    assert f"in localhost:8000/log/{acme.tenant_id}/2" in command("seal", "--restart", acme.slug)
    with tenant_scope(acme.tenant_id):
        log = StoredLog.of(acme.tenant_id)
        assert log is not None
        assert log.size() == Record.objects.count()
        assert Record.objects.filter(action="log.restarted", facts__isnull=False).count() == 1
    command("audit", "export", "--tenant", acme.slug, "--out", str(tmp_path / "b2"))
    assert verify(tmp_path / "b2").returncode == 0
