"""The demo on Temporal, and from one engine to the other and back on the same data."""

from pathlib import Path

import pytest

from ops.demo.cases import CASES
from tests.journeys.test_demo import play, runs_of
from tests.ops.processes import of_installation


@pytest.mark.large
@pytest.mark.timeout(600)
def test_every_run_ends_as_it_must_on_temporal_and_after_a_change_of_engines(
    used_dir: Path, temporal_address: str
) -> None:
    for variables in (
        {"ENGINE": "temporal", "TEMPORAL_ADDRESS": temporal_address, "TEMPORAL_TASK_QUEUE": f"demo-{used_dir.name}"},
        {"ENGINE": "django_q"},
    ):
        runs = runs_of(play(used_dir, **variables))
        assert of_installation(used_dir) == []
        assert runs.keys() == {(case.tenant, case.name) for case in CASES}
        assert {run["status"] for run in runs.values()} == {"completed"}
