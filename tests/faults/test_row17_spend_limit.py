"""Row 17: the provider's spend limit is not tried again until a person says so."""

import pytest

from tests.faults.provider import calls, checked, gifts, meeting, of_type
from tests.faults.rig import Rig, eventually

pytestmark = pytest.mark.usefixtures("database")


def test_nobody_calls_again_before_a_person_says_so(rig: Rig) -> None:
    before = calls(rig, "spend_limit")
    run = meeting(rig, "spend_limit")
    with rig.worker():
        (question,) = rig.open_questions(rig.settle(run, people=False))
    assert (question["kind"], question["reason"]) == ("budget", "provider_spend_limit")
    with rig.worker():
        other = meeting(rig, "overloaded")
        assert rig.settle(other)["status"] == "completed"
        assert [event["type"] for event in rig.events(run)].count("model.requested") == 1
        assert calls(rig, "spend_limit") == before + 1

        rig.answer(question, "approve")

        with checked(rig, run):
            assert rig.settle(run)["status"] == "completed"
    assert gifts(rig, run) == 1
    assert [each["code"] for each in of_type(rig.events(run), "model.failed")] == ["spend_limit"]


def test_a_no_ends_the_run(rig: Rig) -> None:
    run = meeting(rig, "spend_limit")
    with checked(rig, run), rig.worker():
        (question,) = rig.open_questions(rig.settle(run, people=False))
        rig.answer(question, "reject", reason="We spend no more.")
        assert eventually(lambda: rig.run(run)["status"] == "failed")
    assert rig.run(run)["error"]["code"] == "provider_spend_limit"
    assert gifts(rig, run) == 0
