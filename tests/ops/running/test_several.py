"""Several web processes and workers on one server of an operator's, behind a proxy, replaced while they work."""

from pathlib import Path

import pytest

from tests.ops.processes import eventually
from tests.ops.running import fleet
from tests.ops.running.fleet import Fleet, Load
from tests.ops.running.postgres import Postgres

pytestmark = [pytest.mark.large, pytest.mark.timeout(900)]


def test_all_share_the_work_and_any_may_be_replaced_under_load(data_dir: Path, external: Postgres) -> None:
    with (
        fleet.stage(data_dir, external) as running,
        Fleet({**running.child_environment(), "TRUST_PROXY": "1"}, data_dir) as many,
        fleet.proxy(many) as front,
    ):
        for kind in ("web", "web", "qcluster", "qcluster"):
            many.start(kind)
        # Each cluster has a driver of its own; none takes another's away.
        assert eventually(lambda: fleet.drivers(external) == 2), many.said()

        with Load(fleet.api(running, front.url)) as load:
            assert load.goes_on(4), many.said()
            assert all(url in front.served for url in many.urls())
            for process in list(many.processes):
                many.replace(process)
                assert load.goes_on(), many.said()
            assert fleet.drivers(external) == 2

        assert load.failures == []
        assert set(load.started) == set(load.ended)
        assert set(load.ended.values()) == {"completed"}
        # Each run was made once, though the proxy may have asked twice.
        assert len(set(load.started)) == len(load.started)
