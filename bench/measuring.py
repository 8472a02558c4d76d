"""What the measurements share."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent

#: The environment of the processes that measure this checkout, wherever the interpreter's own packages lead.
OURS = {**os.environ, "PYTHONPATH": os.pathsep.join(str(path) for path in (HERE, ROOT, ROOT / "platform"))}


@contextmanager
def fake_model(*arguments: str) -> Iterator[str]:
    """Run the fake model server; yields its address."""
    command = [sys.executable, str(HERE / "fake_model.py"), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield f"http://127.0.0.1:{server.stdout.readline().strip()}"
        finally:
            server.terminate()
