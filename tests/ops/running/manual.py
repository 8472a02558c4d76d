"""The commands of docs/running.md, taken from the page itself."""

import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from django.conf import settings

PAGE = settings.BASE_DIR / "docs" / "running.md"

_HEADING = re.compile(r"^#{2,3} (.+)$", re.MULTILINE)
_BLOCK = re.compile(r"^( *)```sh\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


@lru_cache(maxsize=1)
def blocks() -> dict[tuple[str, int], str]:
    """Every block of shell commands, by the heading above it and its number there."""
    found: dict[tuple[str, int], str] = {}
    text = PAGE.read_text()
    headings = [*_HEADING.finditer(text)]
    for place, heading in enumerate(headings):
        end = headings[place + 1].start() if place + 1 < len(headings) else len(text)
        for number, block in enumerate(_BLOCK.finditer(text, heading.end(), end)):
            found[heading[1], number] = textwrap.dedent(block[2])
    return found


def text(heading: str, number: int) -> str:
    """One block's commands."""
    return blocks()[heading, number].strip()


def run(heading: str, number: int, environment: Mapping[str, str], *, at: Path) -> str:
    """Run a block in a folder from which the project is seen; return what it printed.

    A heading's block is named where it is run, literally, so that `test_manual` can tell which are.
    """
    for name in ("manage.py", "platform"):
        if not (at / name).exists():
            (at / name).symlink_to(settings.BASE_DIR / name)
    path = f"{Path(sys.executable).parent}:{environment.get('PATH', os.environ['PATH'])}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text(heading, number)],
        cwd=at,
        env={**environment, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
