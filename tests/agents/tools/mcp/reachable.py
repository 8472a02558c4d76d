"""Programs that every account of the machine can run, as MCP servers need them when the tests run as root."""

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

NOBODY = 61183


@cache
def public_folder() -> Path:
    """Return a folder that everybody can read."""
    folder = Path(tempfile.mkdtemp(prefix="countersign-tests-"))
    folder.chmod(0o755)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@cache
def python() -> str:
    """Return a Python that everybody can run: ours, the system's, or a copy of ours."""
    for path in (sys.executable, "/usr/bin/python3"):
        if _runs([path, "-c", "import json"]):
            return path
    base = Path(sys.base_prefix)
    copy = public_folder() / "python"
    skip = shutil.ignore_patterns("site-packages", "test", "__pycache__", "share", "*.a")
    shutil.copytree(base, copy, ignore=skip, symlinks=True)
    return str(copy / "bin" / "python3")


def script(source: Path, name: str = "") -> str:
    """Return the path of a copy of a script that everybody can read."""
    copy = public_folder() / (name or source.name)
    copy.write_bytes(source.read_bytes())
    copy.chmod(0o755)
    return str(copy)


def wrapper(name: str, *words: str) -> str:
    """Return the path of a program that runs a command with what it is given."""
    path = public_folder() / name
    path.write_text("#!/bin/sh\nexec " + " ".join(f"'{word}'" for word in words) + ' "$@"\n')
    path.chmod(0o755)
    return str(path)


RUN = """import runpy
import sys

sys.path.insert(0, sys.argv.pop(1))
runpy.run_module("{}", run_name="__main__")
"""


def with_packages(interpreter: str, packages: str, module: str) -> str:
    """Return the path of a program that runs a module of installed packages, of a copy if nobody else can read them."""
    if not _runs([interpreter, "-c", f"import sys; sys.path.insert(0, {packages!r}); import mcp"]):
        copy = public_folder() / "packages"
        shutil.copytree(packages, copy, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
        packages = str(copy)
    path = public_folder() / f"{module}.py"
    path.write_text(RUN.format(module))
    return wrapper(module, interpreter, str(path), packages)


def _runs(command: Sequence[str]) -> bool:
    identity = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
    try:
        return subprocess.run(command, cwd="/", capture_output=True, check=False, **identity).returncode == 0  # type: ignore[call-overload, no-any-return]
    except OSError:
        return False
