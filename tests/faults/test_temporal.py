"""Rows 1 to 6 and 8 on the Temporal engine: a few points in `make test`; `make test-all` has every row on it,
and more points.
"""

from pathlib import Path

import pytest

from tests.faults import test_kill_points, test_row08_frozen
from tests.faults.rig import Rig
from tests.faults.test_kill_points import points, sample

#: How many points `make test` tries.
KILLED = 3
FROZEN = 1


@pytest.fixture(scope="module")
def engine() -> str:
    """The engine that drives the runs."""
    return "temporal"


@pytest.fixture(scope="module")
def every(rig: Rig) -> list[str]:
    """All points of a run."""
    return points(rig)


def test_a_worker_killed_at_any_of_some_points_loses_nothing(rig: Rig, every: list[str]) -> None:
    assert len(every) > 100

    found = test_kill_points.failures(rig, sample(every, KILLED))

    assert not found, "\n".join(found)


def test_a_worker_frozen_at_some_points_is_fenced(rig: Rig, every: list[str], tmp_path: Path) -> None:
    found = test_row08_frozen.failures(rig, sample(test_row08_frozen.stops(every), FROZEN), tmp_path / "clock")

    assert not found, "\n".join(found)
