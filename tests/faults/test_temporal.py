"""Rows 1 to 6 and 8 on the Temporal engine: a few points of each in `make test`, all of them in `make test-all`."""

from pathlib import Path

import pytest

from tests.faults import test_kill_points, test_row08_frozen
from tests.faults.rig import Rig
from tests.faults.test_kill_points import PARTS, points, sample

#: How many points `make test` tries.
KILLED = 4
FROZEN = 2


@pytest.fixture(scope="module")
def engine() -> str:
    """The engine that drives the runs."""
    return "temporal"


def test_a_worker_killed_at_any_of_some_points_loses_nothing(rig: Rig) -> None:
    every = points(rig)
    assert len(every) > 100

    found = test_kill_points.failures(rig, sample(every, KILLED))

    assert not found, "\n".join(found)


def test_a_worker_frozen_at_some_points_is_fenced(rig: Rig, tmp_path: Path) -> None:
    found = test_row08_frozen.failures(rig, sample(points(rig), FROZEN), tmp_path / "clock")

    assert not found, "\n".join(found)


@pytest.mark.large
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("part", range(PARTS))
def test_a_worker_killed_at_any_point_loses_nothing(rig: Rig, part: int) -> None:
    found = test_kill_points.failures(rig, points(rig)[part::PARTS])

    assert not found, "\n".join(found)
