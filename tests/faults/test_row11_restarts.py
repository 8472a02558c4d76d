"""Row 11: PostgreSQL restarts and workers are killed under load; every run is right in the end: `make chaos`, small."""

import subprocess
import sys

import pytest
from django.conf import settings


def chaos(*arguments: str) -> str:
    """Let it play on a server of its own; returns its last line."""
    command = [sys.executable, "-m", "tests.faults.chaos", *arguments]
    done = subprocess.run(command, cwd=settings.BASE_DIR, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()[-1]


def test_every_run_is_right_after_restarts() -> None:
    assert "every run right, the ledger exact" in chaos("--runs", "20", "--restart-s", "2", "4")


@pytest.mark.large
@pytest.mark.timeout(1200)
def test_every_one_of_many_is() -> None:
    assert "every run right, the ledger exact" in chaos("--runs", "300", "--restart-s", "5", "10")
