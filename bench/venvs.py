"""Throw-away virtual environments for the peers, one each, under bench/venvs. Standard library only."""

import hashlib
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PEERS = tuple(sorted(path.stem for path in (HERE / "requirements").glob("*.txt")))


def python_of(peer: str) -> str:
    """Return the interpreter of the peer's environment, made at the first use and again when its list changes.

    Raises RuntimeError with pip's last line when its packages cannot be installed.
    """
    listed = HERE / "requirements" / f"{peer}.txt"
    home = HERE / "venvs" / peer
    python, done = home / "bin" / "python", home / "installed"
    wanted = hashlib.sha256(listed.read_bytes() + sys.version.encode()).hexdigest()
    if done.exists() and done.read_text() == wanted:
        return str(python)
    print(f"Installing the packages of {peer} …", file=sys.stderr, flush=True)
    _run([sys.executable, "-m", "venv", "--clear", str(home)])
    _run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(listed)])
    done.write_text(wanted)
    return str(python)


def _run(command: list[str]) -> None:
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        lines = [line for line in ended.stderr.splitlines() if line.startswith("ERROR")] or ended.stderr.splitlines()
        raise RuntimeError(lines[-1] if lines else f"{command[0]} ended with {ended.returncode}")
