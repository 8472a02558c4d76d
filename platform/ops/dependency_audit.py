"""`make check`: what is installed is what was locked, and nothing of it has a known hole.

    python platform/ops/dependency_audit.py [ADVISORIES…]

Works without a network. Advisories are OSV documents (https://ossf.github.io/osv-schema/): files, folders or zip
archives of them, such as OSV's export of PyPI; ADVISORIES names them too, separated by commas. Those in
`ops/advisories.json` are always looked at. docs/security.md says what this can see and what it can't.
"""

import json
import os
import re
import sys
import zipfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

Json = Any

ROOT: Final = Path(__file__).resolve().parents[2]
LOCKS: Final = ("requirements.txt", "requirements-dev.txt")
BUNDLED: Final = Path(__file__).with_name("advisories.json")

#: What may be installed without being locked: this project, and what `venv` itself puts into every environment.
BESIDE_THE_LOCK: Final = frozenset({"countersign", "pip", "setuptools", "wheel"})

_HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}\Z")


@dataclass(frozen=True)
class Locked:
    """One line of a lock: a distribution, its only version, and when it applies."""

    name: str
    version: str
    applies: bool


class NotAnAdvisory(ValueError):
    """The file holds no OSV document."""


def main(arguments: list[str]) -> int:
    """Print each problem in a line; 1 if there is any."""
    given = [*arguments, *filter(None, os.environ.get("ADVISORIES", "").split(","))]
    locked, problems = read_locks([ROOT / name for name in LOCKS])
    problems += of_assets(ROOT / "package-lock.json")
    installed, elsewhere = read_installed(passed_over=BESIDE_THE_LOCK - {each.name for each in locked})
    problems += elsewhere + differences(locked, installed)
    try:
        advisories = [each for path in [BUNDLED, *map(Path, given)] for each in read_advisories(path)]
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        print(f"The advisories can't be read: {error}", file=sys.stderr)
        return 1
    problems += holes(installed, advisories)
    for problem in problems:
        print(problem, file=sys.stderr)
    if not problems:
        print(f"{len(installed)} installed distributions are as locked; {len(advisories)} advisories match none.")
    return 1 if problems else 0


# --- The lock -----------------------------------------------------------------------------------------------------


def read_locks(paths: Iterable[Path]) -> tuple[list[Locked], list[str]]:
    """Return what the files lock, and a sentence for each line that is not `name==version` with SHA-256 hashes."""
    locked, problems = [], []
    for path in paths:
        for line in _logical_lines(path.read_text()):
            words = line.split()
            hashes = [word for word in words if word.startswith("--")]
            text = " ".join(word for word in words if not word.startswith("--"))
            found = _pinned(text)
            if found is None or not hashes or not all(map(_HASH.match, hashes)):
                problems.append(f"{path.name}: {text or line!r} is not one version with SHA-256 hashes.")
            else:
                locked.append(found)
    return locked, problems


def _logical_lines(text: str) -> Iterator[str]:
    for line in text.replace("\\\n", " ").splitlines():
        plain = line.partition(" #")[0].strip()
        if plain and not plain.startswith("#"):
            yield plain


def _pinned(text: str) -> Locked | None:
    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        return None
    pins = list(requirement.specifier)
    if requirement.url or len(pins) != 1 or pins[0].operator != "==" or pins[0].version.endswith("*"):
        return None
    applies = requirement.marker is None or requirement.marker.evaluate()
    return Locked(canonicalize_name(requirement.name), pins[0].version, applies)


def of_assets(path: Path) -> list[str]:
    """Return a sentence for each package of the console's assets that is locked without a SHA-512 digest."""
    packages: dict[str, Json] = json.loads(path.read_text())["packages"]
    return [
        f"{path.name}: {name} has no SHA-512 digest."
        for name, package in packages.items()
        if name and not str(package.get("integrity", "")).startswith("sha512-")
    ]


# --- What is installed ----------------------------------------------------------------------------------------------


def read_installed(*, passed_over: Collection[str]) -> tuple[dict[str, str], list[str]]:
    """Return the installed versions by name, and a sentence for each that came from elsewhere than the index."""
    installed: dict[str, str] = {}
    problems = []
    for distribution in metadata.distributions():
        name = canonicalize_name(distribution.metadata["Name"])
        if name in passed_over:
            continue
        installed[name] = distribution.version
        if distribution.read_text("direct_url.json"):
            problems.append(f"{name} was installed from an address of its own, not from the package index.")
    return installed, problems


def differences(locked: Iterable[Locked], installed: Mapping[str, str]) -> list[str]:
    """Return a sentence for each distribution that is installed otherwise than locked."""
    wanted = {each.name: each.version for each in locked if each.applies}
    problems = [
        f"{name} {version} is locked, {installed.get(name, 'nothing')} is installed: run make setup."
        for name, version in wanted.items()
        if installed.get(name) is None or Version(installed[name]) != Version(version)
    ]
    return problems + [f"{name} is installed and not locked." for name in installed if name not in wanted]


# --- Advisories -----------------------------------------------------------------------------------------------------


def read_advisories(path: Path) -> list[Json]:
    """Return the OSV documents of a file (one, or a list), a folder or a zip archive; those of PyPI are enough.

    Raises `OSError`, `NotAnAdvisory`, and what JSON and zip raise.
    """
    if path.is_dir():
        texts = [each.read_text() for each in sorted(path.rglob("*.json"))]
    elif path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            texts = [archive.read(name).decode() for name in archive.namelist() if name.endswith(".json")]
    else:
        texts = [path.read_text()]
    found: list[Json] = []
    for text in texts:
        value = json.loads(text)
        found += value if isinstance(value, list) else [value]
    if not found or not all(isinstance(each, dict) and "id" in each for each in found):
        raise NotAnAdvisory(f"{path} holds no OSV documents.")
    return found


def holes(installed: Mapping[str, str], advisories: Iterable[Json]) -> list[str]:
    """Return a sentence for each installed version that an advisory is about; withdrawn ones are passed over."""
    found = set()
    for advisory in advisories:
        for affected in [] if advisory.get("withdrawn") else advisory.get("affected", []):
            package = affected.get("package", {})
            name = canonicalize_name(package.get("name", ""))
            if package.get("ecosystem") == "PyPI" and name in installed and _affects(affected, installed[name]):
                names = ", ".join([advisory["id"], *advisory.get("aliases", [])])
                found.add(f"{name} {installed[name]} has a known hole: {names}. {advisory.get('summary', '')}".strip())
    return sorted(found)


def _affects(affected: Json, installed: str) -> bool:
    version = Version(installed)
    if any(_version(each) == version for each in affected.get("versions", [])):
        return True
    return any(_within(each["events"], version) for each in affected.get("ranges", []) if each["type"] == "ECOSYSTEM")


def _within(events: list[dict[str, str]], version: Version) -> bool:
    """Follow the events in the order of their versions, as OSV's schema says under "Evaluation"."""
    inside = False
    for event in sorted(events, key=_place):
        place = _place(event)[0]
        if "introduced" in event and version >= place:
            inside = True
        elif ("fixed" in event and version >= place) or ("last_affected" in event and version > place):
            inside = False
    return inside


def _place(event: dict[str, str]) -> tuple[Version, bool]:
    kind, text = next(iter(event.items()))
    first = Version("0.dev0")  # what OSV's "0" means: before every version
    return (first if text == "0" else _version(text) or first), kind != "introduced"


def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
