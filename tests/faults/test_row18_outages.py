"""Row 18: after 529, 500 or a time-out, the call is made again after a pause that grows, has a cap and is spread."""

from datetime import datetime, timedelta

import pytest

from agents.core.decide import PROVIDER_ATTEMPTS
from tests.faults.processes import BACKOFF_S
from tests.faults.provider import checked, gifts, meeting, of_type
from tests.faults.rig import Rig

pytestmark = pytest.mark.usefixtures("database")


@pytest.mark.parametrize(
    ("fault", "code", "times"),
    [("overloaded", "overloaded", 3), ("server_error", "provider_error", 3), ("timeout", "timeout", 1)],
)
def test_it_is_tried_again_after_growing_pauses(rig: Rig, fault: str, code: str, times: int) -> None:
    run = meeting(rig, fault, limits={"model_s": 2} if fault == "timeout" else {})
    with checked(rig, run), rig.worker():
        assert rig.settle(run)["status"] == "completed"
    events = rig.events(run)
    assert [each["code"] for each in of_type(events, "model.failed")] == [code] * times
    pauses = of_type(events, "run.waiting")
    for place, pause in enumerate(pauses):
        told = datetime.fromisoformat(pause["until"]) - datetime.fromisoformat(pause["at"])
        assert told <= timedelta(seconds=BACKOFF_S * 2**place)
    assert len(pauses) == times
    assert gifts(rig, run) == 1


def test_an_outage_that_does_not_pass_is_put_to_a_person(rig: Rig) -> None:
    run = meeting(rig, "always_down")
    with checked(rig, run), rig.worker():
        (question,) = rig.open_questions(rig.settle(run, people=False))
        assert (question["kind"], question["reason"]) == ("question", "provider_unavailable")
        assert len(of_type(rig.events(run), "model.failed")) == PROVIDER_ATTEMPTS
        rig.answer(question, "respond", message="It is up again.")
        assert rig.settle(run)["status"] == "completed"
    assert gifts(rig, run) == 1
