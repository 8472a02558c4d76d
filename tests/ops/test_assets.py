"""The check that compares what is served with what is locked."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The parts of a checkout that the assets are made of."""
    for name in ("package.json", "package-lock.json", "platform/ops/assets.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(settings.BASE_DIR / name, tmp_path / name)
    shutil.copytree(settings.BASE_DIR / "static" / "vendor", tmp_path / "static" / "vendor")
    return tmp_path


def check(checkout: Path) -> tuple[int, str]:
    command = [sys.executable, str(checkout / "platform" / "ops" / "assets.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


def test_what_make_setup_copied_passes(checkout: Path) -> None:
    assert check(checkout) == (0, "")


def test_a_changed_file_is_named(checkout: Path) -> None:
    with (checkout / "static/vendor/github-hotkey/index.js").open("a") as file:
        file.write("alert(1)")

    code, said = check(checkout)

    assert code == 1
    assert "github-hotkey/index.js is changed, missing or not ours" in said


def test_a_file_that_nobody_named_is_named(checkout: Path) -> None:
    (checkout / "static/vendor/uplot/more.js").write_text("")

    assert "uplot/more.js is changed, missing or not ours" in check(checkout)[1]


def test_another_release_than_the_locked_one_is_named(checkout: Path) -> None:
    lock = json.loads((checkout / "package-lock.json").read_text())
    lock["packages"]["node_modules/uplot"]["integrity"] = "sha512-other"
    (checkout / "package-lock.json").write_text(json.dumps(lock))

    assert "uplot is not the locked release" in check(checkout)[1]


def test_no_copy_at_all_is_said(checkout: Path) -> None:
    shutil.rmtree(checkout / "static")

    assert "static/vendor: is missing" in check(checkout)[1]


def test_the_locks_name_no_registry() -> None:
    lock = json.loads((settings.BASE_DIR / "package-lock.json").read_text())
    requirements = [(settings.BASE_DIR / f"requirements{kind}.txt").read_text() for kind in ("", "-dev", "-node")]

    assert not any("resolved" in entry for entry in lock["packages"].values())
    assert not any(re.search(r"https?://|index-url|find-links", text) for text in requirements)


def test_nothing_points_to_maps_that_are_not_served() -> None:
    served = [path for path in (settings.BASE_DIR / "static" / "vendor").rglob("*") if path.suffix in {".js", ".css"}]

    assert served
    assert not [path for path in served if b"sourceMappingURL" in path.read_bytes()]
