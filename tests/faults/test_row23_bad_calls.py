"""Row 23: unknown tools, bad arguments and duplicate ids have no effect, and the model is told."""

import pytest

from tests.faults.provider import checked, gifts, meeting, of_type
from tests.faults.rig import Rig

pytestmark = pytest.mark.usefixtures("database")


def test_what_cannot_be_called_is_not_and_the_model_is_told(rig: Rig) -> None:
    run = meeting(rig, "mistakes")
    with checked(rig, run), rig.worker():
        ended = rig.settle(run)
    assert (ended["status"], ended["output"]) == ("completed", "Nothing came of it.")
    events = rig.events(run)
    denied = of_type(events, "tool.denied")
    assert [each["code"] for each in denied] == ["unknown_tool", "invalid_arguments", "invalid_arguments"]
    assert all(each["error"] for each in denied)
    (failed,) = of_type(events, "tool.failed")  # within the schema, but no part of an address
    assert failed["code"] == "bad_arguments"
    assert gifts(rig, run) == 0
    assert not rig.effects.ledger.asked(run)


def test_calls_of_the_same_id_are_not_made(rig: Rig) -> None:
    run = meeting(rig, "same_ids")
    with checked(rig, run), rig.worker():
        ended = rig.settle(run)
    assert (ended["status"], ended["output"]) == ("completed", "Better so.")
    (rejected,) = of_type(rig.events(run), "output.rejected")
    assert rejected["code"] == "bad_tool_calls"
    assert gifts(rig, run) == 0
