"""What the audit of the dependencies sees: an unpinned line, a strange version, a known hole."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from ops import dependency_audit
from ops.dependency_audit import Locked, NotAnAdvisory, differences, holes, of_assets, read_advisories, read_locks

HASH = "--hash=sha256:" + "0" * 64
SCRIPT = Path(settings.BASE_DIR) / "platform" / "ops" / "dependency_audit.py"


def advisory(*events: dict[str, str], package: str = "django", **more: Any) -> dict[str, Any]:
    ranges = [{"type": "ECOSYSTEM", "events": list(events)}]
    affected = {"package": {"ecosystem": "PyPI", "name": package}, "ranges": ranges}
    return {"id": "TEST-1", "aliases": ["CVE-0000-1"], "affected": [affected], **more}


def audit(*advisories: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(SCRIPT), *map(str, advisories)], capture_output=True, text=True)


def test_this_environment_is_as_locked_and_has_no_known_hole() -> None:
    done = audit()

    assert (done.returncode, done.stderr) == (0, "")


def test_a_planted_hole_in_what_is_installed_fails(tmp_path: Path) -> None:
    import django

    planted = tmp_path / "planted.json"
    planted.write_text(json.dumps(advisory({"introduced": "0"}, {"last_affected": django.__version__})))

    done = audit(planted)

    assert done.returncode == 1
    assert f"django {django.__version__} has a known hole: TEST-1, CVE-0000-1." in done.stderr


@pytest.mark.parametrize("version", ["4.2", "4.2.20", "5.0.9", "5.1", "5.1.8", "5.2"])
def test_what_is_known_of_django_is_found_in_old_versions(version: str) -> None:
    bundled = read_advisories(dependency_audit.BUNDLED)

    assert any("CVE-2025-32873" in hole for hole in holes({"django": version}, bundled))


@pytest.mark.parametrize(
    ("version", "events", "inside"),
    [
        ("1.0", [{"introduced": "0"}, {"fixed": "1.0"}], False),
        ("0.9.9", [{"introduced": "0"}, {"fixed": "1.0"}], True),
        ("1.0rc1", [{"introduced": "0"}, {"fixed": "1.0"}], True),
        ("1.0.post1", [{"introduced": "0"}, {"fixed": "1.0"}], False),
        ("0.dev1", [{"introduced": "0"}, {"fixed": "1.0"}], True),
        ("1.9", [{"introduced": "2.0"}, {"fixed": "2.1"}], False),
        ("2.0", [{"introduced": "2.0"}, {"fixed": "2.1"}], True),
        ("3.0", [{"introduced": "2.0"}], True),
        ("1.5", [{"introduced": "0"}, {"fixed": "1.0"}, {"introduced": "2.0"}, {"fixed": "2.5"}], False),
        ("2.4", [{"introduced": "2.0"}, {"fixed": "2.5"}, {"introduced": "0"}, {"fixed": "1.0"}], True),
        ("1.10", [{"introduced": "1.9"}, {"last_affected": "1.10"}], True),
        ("1.11", [{"introduced": "1.9"}, {"last_affected": "1.10"}], False),
        ("1!0.5", [{"introduced": "0"}, {"fixed": "2.0"}], False),
    ],
)
def test_a_version_lies_within_a_range_as_osv_says(version: str, events: list[dict[str, str]], inside: bool) -> None:
    assert bool(holes({"django": version}, [advisory(*events)])) is inside


def test_a_version_that_is_named_is_found_without_a_range() -> None:
    named = {"package": {"ecosystem": "PyPI", "name": "PyYAML"}, "versions": ["5.3", "not a version"]}

    assert holes({"pyyaml": "5.3.0"}, [{"id": "X", "affected": [named]}]) == ["pyyaml 5.3.0 has a known hole: X."]
    assert holes({"pyyaml": "5.4"}, [{"id": "X", "affected": [named]}]) == []


def test_names_are_compared_as_the_index_does() -> None:
    assert holes({"typing-extensions": "1"}, [advisory({"introduced": "0"}, package="Typing_Extensions")])


def test_other_ecosystems_and_withdrawn_advisories_are_passed_over() -> None:
    other = advisory({"introduced": "0"})
    other["affected"][0]["package"]["ecosystem"] = "npm"

    assert holes({"django": "5.2"}, [other]) == []
    assert holes({"django": "5.2"}, [advisory({"introduced": "0"}, withdrawn="2026-01-01T00:00:00Z")]) == []


def test_ranges_of_commits_are_passed_over() -> None:
    commits = advisory({"introduced": "0"})
    commits["affected"][0]["ranges"][0]["type"] = "GIT"

    assert holes({"django": "5.2"}, [commits]) == []


def test_advisories_come_in_files_folders_and_archives(tmp_path: Path) -> None:
    one = advisory({"introduced": "0"})
    (tmp_path / "folder" / "deeper").mkdir(parents=True)
    (tmp_path / "folder" / "deeper" / "a.json").write_text(json.dumps(one))
    (tmp_path / "list.json").write_text(json.dumps([one, one]))
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("TEST-1.json", json.dumps(one))

    assert [len(read_advisories(tmp_path / name)) for name in ("folder", "list.json", "all.zip")] == [1, 2, 1]


@pytest.mark.parametrize("text", ["[]", "{}", '["x"]', "{", ""])
def test_a_file_that_holds_none_fails_the_audit(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)

    done = audit(path)

    assert done.returncode == 1
    assert "The advisories can't be read" in done.stderr


def test_an_empty_folder_holds_none(tmp_path: Path) -> None:
    with pytest.raises(NotAnAdvisory):
        read_advisories(tmp_path)


@pytest.mark.parametrize(
    "line",
    [
        "django",
        f"django>=5 {HASH}",
        f"django==5.* {HASH}",
        f"django===5.2 {HASH}",
        "django==5.2",
        f"django==5.2 {HASH[:-1]}",
        "django==5.2 --hash=md5:" + "0" * 32,
        f"django @ https://files.example/django.whl {HASH}",
        f"git+https://code.example/django {HASH}",
        f"-e . {HASH}",
        "--index-url https://index.example",
        "--extra-index-url https://index.example",
        "-r other.txt",
    ],
)
def test_a_line_that_is_no_single_version_with_its_digest_is_a_problem(tmp_path: Path, line: str) -> None:
    path = tmp_path / "requirements.txt"
    path.write_text(f"# a comment\nidna==3.7 \\\n    {HASH}\n{line}\n")

    locked, problems = read_locks([path])

    assert [each.name for each in locked] == ["idna"]
    assert len(problems) == 1


def test_a_line_for_other_machines_does_not_apply_here(tmp_path: Path) -> None:
    path = tmp_path / "requirements.txt"
    path.write_text(f"Colorama==1 ; sys_platform == 'nowhere' {HASH}\n")

    assert read_locks([path]) == ([Locked("colorama", "1", False)], [])


def test_what_is_installed_otherwise_than_locked_is_a_problem() -> None:
    locked = [Locked("a", "1.0", True), Locked("b", "1", True), Locked("c", "1", True), Locked("d", "1", False)]

    problems = differences(locked, {"a": "1.0.0", "b": "2", "x": "1"})

    assert problems == [
        "b 1 is locked, 2 is installed: run make setup.",
        "c 1 is locked, nothing is installed: run make setup.",
        "x is installed and not locked.",
    ]


def test_what_came_from_elsewhere_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "evil-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n")
    (folder / "direct_url.json").write_text('{"url": "https://files.example/evil.whl"}')
    monkeypatch.syspath_prepend(tmp_path)

    installed, problems = dependency_audit.read_installed(passed_over=dependency_audit.BESIDE_THE_LOCK)

    assert installed["evil"] == "1.0"
    assert problems == ["evil was installed from an address of its own, not from the package index."]


def test_assets_have_digests(tmp_path: Path) -> None:
    path = tmp_path / "package-lock.json"
    good = {"integrity": "sha512-x"}
    path.write_text(json.dumps({"packages": {"": {}, "a": good, "b": {"integrity": "sha1-x"}, "c": {}}}))

    assert of_assets(path) == [
        "package-lock.json: b has no SHA-512 digest.",
        "package-lock.json: c has no SHA-512 digest.",
    ]
    assert of_assets(Path(settings.BASE_DIR) / "package-lock.json") == []
