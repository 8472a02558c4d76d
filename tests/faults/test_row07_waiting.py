"""Row 7: workers die while a run waits for a person; it goes on waiting, and the answer still works."""

from uuid import uuid4

import pytest

from tests.faults.provider import checked, gifts
from tests.faults.rig import Rig

pytestmark = pytest.mark.usefixtures("database")


@pytest.mark.parametrize(("decision", "paid"), [("approve", 1), ("reject", 0)])
def test_an_answer_given_while_no_worker_lives_is_carried_out_later(rig: Rig, decision: str, paid: int) -> None:
    run = rig.start("payer", {"case": uuid4().hex[:8]})
    with rig.worker():
        (question,) = rig.open_questions(rig.settle(run, people=False))
    assert rig.run(run)["waiting_for"] == "decision"

    rig.answer(question, decision, reason="Because.")

    assert rig.alice.get(f"escalations/{question['id']}")["status"] == "decided"
    assert gifts(rig, run) == 0
    with checked(rig, run), rig.worker():
        assert rig.settle(run)["status"] == "completed"
    assert gifts(rig, run) == paid


def test_it_waits_through_workers_that_come_and_go(rig: Rig) -> None:
    run = rig.start("payer", {"case": uuid4().hex[:8]})
    with rig.worker():
        rig.settle(run, people=False)
    asked = rig.events(run)
    for _ in range(3):
        other = rig.start("reader", {"case": uuid4().hex[:8]})
        with rig.worker():
            assert rig.settle(other)["status"] == "completed"
    assert rig.events(run) == asked
    with checked(rig, run), rig.worker():
        assert rig.settle(run)["status"] == "completed"
    assert gifts(rig, run) == 1
