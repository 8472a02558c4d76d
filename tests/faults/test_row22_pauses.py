"""Row 22: an answer that pauses is sent back as it came, and the model goes on."""

import pytest

from tests.faults.provider import checked, gifts, meeting, of_type
from tests.faults.rig import Rig

pytestmark = pytest.mark.usefixtures("database")


def test_a_paused_turn_is_continued(rig: Rig) -> None:
    run = meeting(rig, "pause_turn")
    with checked(rig, run), rig.worker():
        assert rig.settle(run)["status"] == "completed"
    stops = [each["stop_reason"] for each in of_type(rig.events(run), "model.answered")]
    assert stops == ["pause_turn", "tool_use", "end_turn"]
    assert gifts(rig, run) == 1
