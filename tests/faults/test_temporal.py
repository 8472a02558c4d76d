"""Rows 1 to 6 and 8 on the Temporal engine: a few points in `make test`; `make test-all` has every row on it,
and more points.
"""

from pathlib import Path

import pytest

from tests.faults import test_kill_points, test_row08_frozen, with_child
from tests.faults.rig import Rig
from tests.faults.test_kill_points import points, sample

#: How many points `make test` tries.
KILLED = 3
FROZEN = 1

#: How many points of runs with children, of all ways to have them, `make test` tries; and of each way `make test-all`.
WITH_CHILDREN = 2
MANY_WITH_CHILDREN = 20


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


def test_a_worker_killed_at_some_points_loses_no_child(rig: Rig) -> None:
    way = sample(list(with_child.SHAPES), 1)[0]
    shape = with_child.SHAPES[way]

    _, failed = with_child.tried(
        rig, sample(with_child.points(rig, shape), WITH_CHILDREN), enough=test_kill_points.ENOUGH, shape=shape
    )

    assert not failed, "\n".join([way, *failed])


@pytest.mark.large
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("way", list(with_child.SHAPES))
def test_a_worker_killed_at_many_points_loses_no_child(rig: Rig, way: str) -> None:
    shape = with_child.SHAPES[way]

    met, failed = with_child.tried(
        rig, sample(with_child.points(rig, shape), MANY_WITH_CHILDREN), enough=test_kill_points.ENOUGH, shape=shape
    )

    assert not failed, "\n".join(failed)
    assert met >= MANY_WITH_CHILDREN // 2
