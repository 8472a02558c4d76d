"""What the measurements share."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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


def end_when_told() -> None:
    """Have SIGTERM end this process as Ctrl-C does: what it started is stopped on the way out."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


def run(command: list[str], *, timeout_s: float | None = None, **options: Any) -> "subprocess.CompletedProcess[str]":
    """Run a program to its end, as `subprocess.run` does, but let one that has to be given up stop what it started."""
    with subprocess.Popen(command, text=True, **options) as process:
        try:
            out, err = process.communicate(timeout=timeout_s)
        except BaseException:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
            raise
    return subprocess.CompletedProcess(command, process.returncode, out, err)
