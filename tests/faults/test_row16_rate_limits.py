"""Row 16: told by 429 when to come again, a run waits that long, durably."""

from datetime import datetime, timedelta

import pytest

from tests.faults.provider import checked, gifts, meeting, of_type
from tests.faults.rig import Rig, eventually

pytestmark = pytest.mark.usefixtures("database")


def test_it_waits_as_long_as_it_is_told_though_the_worker_dies(rig: Rig) -> None:
    run = meeting(rig, "rate_limited")
    with rig.worker():
        assert eventually(lambda: rig.run(run)["waiting_for"] == "provider")
        assert rig.is_let_go(run)
    with checked(rig, run), rig.worker():
        assert rig.settle(run)["status"] == "completed"
    events = rig.events(run)
    (failed,), (waited,) = of_type(events, "model.failed"), of_type(events, "run.waiting")
    until = datetime.fromisoformat(waited["until"])
    assert failed["code"] == waited["reason"] == "rate_limited"
    assert until >= datetime.fromisoformat(failed["at"]) + timedelta(seconds=1.5)  # the answer's time, by both clocks
    assert datetime.fromisoformat(of_type(events, "model.requested")[1]["at"]) >= until
    assert gifts(rig, run) == 1


def test_an_hour_is_an_hour_and_holds_no_worker(rig: Rig) -> None:
    run = meeting(rig, "rate_limited_for_long")
    with rig.worker():
        assert eventually(lambda: rig.run(run)["waiting_for"] == "provider")
        other = meeting(rig, "rate_limited")
        with checked(rig, other):
            assert rig.settle(other)["status"] == "completed"
        assert rig.is_let_go(run)
    (failed,), (waited,) = (of_type(rig.events(run), each) for each in ("model.failed", "run.waiting"))
    told = datetime.fromisoformat(waited["until"]) - datetime.fromisoformat(failed["at"])
    assert timedelta(minutes=59) < told < timedelta(minutes=61)
    assert rig.run(run)["waiting_for"] == "provider"
