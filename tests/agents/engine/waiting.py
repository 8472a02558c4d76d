"""Waiting for a run in a test's own thread, while workers drive it."""

import time
from collections.abc import Callable

from agents.models import Run
from tests.agents.engine.conftest import PATIENCE_S
from tests.worlds import World


def until(acme: World, run: Run, reached: Callable[[Run], bool]) -> Run:
    """Wait for the run to come so far."""
    patience = time.monotonic() + PATIENCE_S
    while not reached(now := acme.run(run.id)):
        assert time.monotonic() < patience, (now.status, acme.actions(run.id))
        time.sleep(0.02)
    return now


def ended(acme: World, run: Run) -> Run:
    """Wait for the run's end."""
    return until(acme, run, lambda now: now.ended_at is not None)
