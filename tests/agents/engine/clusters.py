"""Real `qcluster`s, each as a host of its own would run one, and web servers beside them."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO

from django.conf import settings
from django.db import connection

from agents.engine.django_q import SLOTS
from tests.ops.processes import PATIENCE_SECONDS, eventually, manage

#: Drivers at work in this run's database.
_DRIVERS = """
SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
WHERE d.datname = current_database() AND l.locktype = 'advisory' AND l.granted AND l.classid = %s
"""


class Cluster:
    """A running qcluster."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: IO[bytes]) -> None:
        self.process = process
        self._log = log

    def said(self) -> str:
        """What it wrote so far."""
        self._log.seek(0)
        return self._log.read().decode()

    def stop(self) -> int:
        """Tell it to stop, and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_SECONDS)

    def kill(self) -> None:
        """End all its processes as the loss of its host would."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@contextmanager
def cluster(
    environment: dict[str, str], model_url: str, *, short_slices: bool = False, **variables: str
) -> Iterator[Cluster]:
    """Run a qcluster of one worker until the block is left."""
    path = f"{settings.BASE_DIR}:{settings.BASE_DIR / 'platform'}"
    model = {"ANTHROPIC_BASE_URL": model_url, "ANTHROPIC_API_KEY": "rehearsal"}
    own = environment | model | {"PYTHONPATH": path} | variables
    command = manage("qcluster", "--workers", "1")
    if short_slices:
        command[1:2] = ["-m", "tests.agents.engine.short_slices"]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command, env=own, cwd=settings.BASE_DIR, stdout=log, stderr=log, start_new_session=True
        )
        made = Cluster(process, log)
        try:
            yield made
        except BaseException:
            print(made.said()[-6000:], file=sys.stderr)
            raise
        finally:
            made.kill()


@contextmanager
def web(environment: dict[str, str]) -> Iterator[str]:
    """Serve pages and REST from a process of its own; yields its address."""
    with subprocess.Popen(
        manage("web", "--port", "0"), env=environment, stdout=subprocess.PIPE, text=True, cwd=settings.BASE_DIR
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().split()[1]
        finally:
            process.terminate()


def drivers() -> int:
    """Return how many drivers are at work."""
    with connection.cursor() as cursor:
        cursor.execute(_DRIVERS, [SLOTS])
        found: int = cursor.fetchone()[0]
        return found


def wait_for_drivers(number: int) -> None:
    """Wait until so many drivers are at work."""
    assert eventually(lambda: drivers() == number), f"{drivers()} drivers are at work"
