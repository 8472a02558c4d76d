"""Row 32: a run that kills its worker each time is set aside, with the reason; the others go on."""

from uuid import uuid4

import pytest
from django.conf import settings

from tests.faults.provider import checked, gifts, of_type
from tests.faults.rig import Rig, eventually

pytestmark = pytest.mark.usefixtures("database")

#: Where its workers die: in what they do first.
POISON = "lease 1: before the model's call #1"

#: Where they die when they take up what has a history: before it is read, when it was, when its step is made.
IN_THE_FOLD = [f"lease 1: {point} #1" for point in ("after commit", "after lock", "before history", "after history")]


def poisoned(rig: Rig) -> tuple[str, dict[str, str]]:
    """A run that has killed as many workers as are allowed, set aside by the next one; and the question it asks."""
    run = rig.start("payer", {"case": uuid4().hex[:8]})
    for _ in range(settings.RUN_TRIES):
        with rig.worker(die_at=POISON) as worker:
            assert eventually(worker.is_dead)
        rig.expire(run)
    with rig.worker():
        (question,) = rig.open_questions(rig.settle(run, people=False))
        other = rig.start("reader", {"case": uuid4().hex[:8]})
        assert rig.settle(other)["status"] == "completed"
    assert rig.is_let_go(run)
    return run, question


def test_one_that_kills_while_its_history_is_read_is_set_aside_too(rig: Rig) -> None:
    run = rig.start("payer", {"case": uuid4().hex[:8]})
    for point in [POISON, *IN_THE_FOLD]:
        with rig.worker(die_at=point) as worker:
            assert eventually(worker.is_dead)
        rig.expire(run)
    with rig.worker():
        (question,) = rig.open_questions(rig.settle(run, people=False))
        assert question["reason"] == "worker_died"
        rig.answer(question, "approve")
        with checked(rig, run):
            assert rig.settle(run)["status"] == "completed"


def test_it_waits_for_a_person_and_goes_on_when_one_says_so(rig: Rig) -> None:
    run, question = poisoned(rig)
    assert (question["kind"], question["reason"]) == ("question", "worker_died")
    assert len([each for each in of_type(rig.events(run), "model.failed") if each["code"] == "lost"]) >= 1
    rig.answer(question, "approve")
    with checked(rig, run), rig.worker():
        assert rig.settle(run)["status"] == "completed"
    assert gifts(rig, run) == 1


def test_it_ends_when_a_person_gives_it_up(rig: Rig) -> None:
    run, question = poisoned(rig)
    rig.answer(question, "reject", reason="It is cursed.")
    with checked(rig, run), rig.worker():
        assert eventually(lambda: rig.run(run)["status"] == "failed")
    assert rig.run(run)["error"]["code"] == "worker_died"
    assert gifts(rig, run) == 0
