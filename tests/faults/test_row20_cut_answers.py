"""Row 20: an answer that stopped in mid tool_use, at max_tokens or the context window, executes nothing."""

import pytest

from tests.faults.provider import checked, gifts, meeting, of_type
from tests.faults.rig import Rig

pytestmark = pytest.mark.usefixtures("database")


def test_the_model_is_told_that_it_was_cut_off(rig: Rig) -> None:
    run = meeting(rig, "max_tokens")
    with checked(rig, run), rig.worker():
        ended = rig.settle(run)
    assert (ended["status"], ended["output"]) == ("completed", "Briefly.")
    (rejected,) = of_type(rig.events(run), "output.rejected")
    assert rejected["code"] == "max_tokens"
    assert gifts(rig, run) == 0


def test_a_full_context_window_is_put_to_a_person(rig: Rig) -> None:
    run = meeting(rig, "context_window")
    with checked(rig, run), rig.worker():
        (question,) = rig.open_questions(rig.settle(run, people=False))
        assert question["reason"] == "context_window_exceeded"
        rig.answer(question, "respond", message="Be brief.")
        ended = rig.settle(run)
    assert (ended["status"], ended["output"]) == ("completed", "Briefly.")
    assert gifts(rig, run) == 0
