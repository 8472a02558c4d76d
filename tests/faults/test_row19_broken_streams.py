"""Row 19: of an answer that broke off after its 200, nothing is executed; the call is made again."""

import pytest

from tests.faults.provider import checked, gifts, meeting, of_type
from tests.faults.rig import Rig

pytestmark = pytest.mark.usefixtures("database")


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("stream_error", "overloaded"),
        ("stall", "timeout"),
        ("cut_stream", "broken_stream"),
        ("cut_json", "broken_stream"),
    ],
)
def test_nothing_of_it_is_executed_and_the_call_is_made_again(rig: Rig, fault: str, code: str) -> None:
    run = meeting(rig, fault, limits={"model_s": 2} if fault == "stall" else {})
    with checked(rig, run), rig.worker():
        assert rig.settle(run)["status"] == "completed"
    events = rig.events(run)
    (failed,) = of_type(events, "model.failed")
    assert failed["code"] == code
    types = [event["type"] for event in events]
    assert types.index("model.failed") < types.index("model.answered") < types.index("tool.requested")
    assert gifts(rig, run) == 1
