"""Row 21: a refusal is a state of its own: nothing is executed, and a person decides how it goes on."""

import pytest

from tests.faults.provider import checked, gifts, meeting
from tests.faults.rig import Rig, eventually

pytestmark = pytest.mark.usefixtures("database")


def test_a_person_says_more_and_the_model_is_asked_again(rig: Rig) -> None:
    run = meeting(rig, "refusal")
    with checked(rig, run), rig.worker():
        (question,) = rig.open_questions(rig.settle(run, people=False))
        assert (question["kind"], question["reason"]) == ("question", "model_refused")
        assert gifts(rig, run) == 0
        rig.answer(question, "respond", message="It is for a charity.")
        assert rig.settle(run)["status"] == "completed"
    assert gifts(rig, run) == 1


def test_a_person_agrees_with_the_model(rig: Rig) -> None:
    run = meeting(rig, "refusal")
    with checked(rig, run), rig.worker():
        (question,) = rig.open_questions(rig.settle(run, people=False))
        rig.answer(question, "reject", reason="Rightly so.")
        assert eventually(lambda: rig.run(run)["status"] == "failed")
    assert rig.run(run)["error"]["code"] == "model_refused"
    assert gifts(rig, run) == 0
