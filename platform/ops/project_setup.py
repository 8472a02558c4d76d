"""`make setup`: everything a clean clone needs, into .venv and static/vendor.

    python3 platform/ops/project_setup.py

Each step is done again only when what it depends on has changed, so that a second call takes a moment. Any Python from
3.11 on may run it; it needs the standard library only.
"""

import compileall
import hashlib
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMPS = VENV / "setup"
HERE = ROOT / "platform" / "ops"
PACKAGES = ("agents", "audit", "escalations", "platform")


@dataclass(frozen=True)
class Step:
    """One thing to set up."""

    name: str
    """What is said while it is done."""
    stamp: str
    """The name of the file that remembers the state it was done for."""
    depends_on: tuple[Path, ...]
    """The files whose change means to do it again."""
    do: Callable[[], None]

    def state(self) -> str:
        """A digest of the Python in use and of the files the step depends on."""
        digest = hashlib.sha256(f"{sys.version_info[:2]} {ROOT}".encode())
        for path in self.depends_on:
            digest.update(path.read_bytes())
        return digest.hexdigest()


def main() -> None:
    """Do the steps whose state has changed, in order."""
    if not PYTHON.exists():
        _timed("Making .venv", _make_venv)
    for step in STEPS:
        stamp = STAMPS / step.stamp
        if not stamp.exists() or stamp.read_text() != step.state():
            _timed(step.name, step.do)
            STAMPS.mkdir(exist_ok=True)
            stamp.write_text(step.state())
    _compile()


def _timed(name: str, do: Callable[[], None]) -> None:
    print(f"{name} …", flush=True)
    start = time.monotonic()
    do()
    print(f"  done in {time.monotonic() - start:.1f} s", flush=True)


def _make_venv() -> None:
    made = subprocess.run([sys.executable, "-m", "venv", str(VENV)], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        sys.exit(f"{made.stdout}{made.stderr}\nNo .venv: install your system's package python3-venv and try again.")


def _pip(*arguments: str) -> None:
    command = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments]
    if subprocess.run(command, cwd=ROOT, check=False).returncode != 0:
        sys.exit("The dependencies can't be installed: the lines above say why. Is the package index reachable?")


def _requirements() -> None:
    _pip("--require-hashes", "-r", "requirements.txt", "-r", "requirements-dev.txt")


def _project() -> None:
    _pip("--no-build-isolation", "--no-deps", "--editable", ".")


def _assets() -> None:
    if subprocess.run([str(PYTHON), str(HERE / "assets.py")], cwd=ROOT, check=False).returncode != 0:
        sys.exit("The console's assets can't be set up: the lines above say why.")


def _compile() -> None:
    """Write the bytecode of what has changed: where Python may not write it itself, each process would make it anew."""
    if not all([compileall.compile_dir(ROOT / name, quiet=1) for name in PACKAGES]):
        sys.exit("Not all of the code is Python: the lines above say what isn't.")


STEPS = (
    Step(
        "Installing the locked dependencies into .venv",
        "requirements",
        (ROOT / "requirements.txt", ROOT / "requirements-dev.txt"),
        _requirements,
    ),
    Step("Putting the project on .venv's path", "project", (ROOT / "pyproject.toml",), _project),
    Step(
        "Copying the console's assets into static/vendor",
        "assets",
        (ROOT / "package-lock.json", ROOT / "requirements-node.txt", HERE / "assets.py"),
        _assets,
    ),
)

if __name__ == "__main__":
    main()
