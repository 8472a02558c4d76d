"""Row 30: a run is cancelled while it finishes, with the runs that it started; each ends once, and as was told."""

import random
import threading
import time
from functools import partial
from uuid import uuid4

import pytest

from ops.demo.rest import RestError
from tests.faults.effects import Fault
from tests.faults.provider import checked, gifts
from tests.faults.rig import Rig, eventually

#: How many runs race.
RACES = 12

pytestmark = pytest.mark.usefixtures("database")


def cancel(rig: Rig, run: str) -> bool:
    """Ask for a run's end; returns whether it was taken, or the run had ended."""
    try:
        rig.alice.post(f"runs/{run}/cancel", {})
    except RestError as error:
        if error.status != 409:
            raise
        return False
    return True


def has_begun(rig: Rig, run: str) -> bool:
    """Whether the model has answered once."""
    return bool(rig.run(run)["usage"]["model_calls"])


def test_what_was_taken_ends_the_run_and_what_came_too_late_does_not(rig: Rig) -> None:
    with rig.worker():
        for _ in range(RACES):
            run = rig.start("reader", {"case": uuid4().hex[:8]})
            with checked(rig, run):
                assert eventually(partial(has_begun, rig, run))
                time.sleep(random.random() / 30)  # noqa: S311 - the last model call takes about so long
                taken = cancel(rig, run)
                ended = rig.settle(run)
            assert ended["status"] == ("cancelled" if taken else "completed")
            assert not cancel(rig, run)
            assert rig.run(run) == ended


def test_a_call_in_the_air_comes_home_before_the_run_ends(rig: Rig) -> None:
    case, held = uuid4().hex[:8], threading.Event()
    rig.effects.will(f"/once/{case}", Fault(200, done=True, held=held))
    run = rig.start("careful", {"case": case})
    with checked(rig, run), rig.worker():
        assert eventually(lambda: rig.run(run)["doing"] == "tool book")
        assert cancel(rig, run)
        held.set()
        assert rig.settle(run)["status"] == "cancelled"
    types = [event["type"] for event in rig.events(run)]
    assert types.index("run.cancel_requested") < types.index("run.cancelled")
    assert types.count("tool.requested") == types.count("tool.finished") == 2
    assert gifts(rig, run) == 1


def test_of_many_who_cancel_and_decide_at_once_one_has_it_ended(rig: Rig) -> None:
    run = rig.start("payer", {"case": uuid4().hex[:8]})
    with checked(rig, run), rig.worker():
        (question,) = rig.open_questions(rig.settle(run, people=False))
        asking = [threading.Thread(target=cancel, args=[rig, run]) for _ in range(8)]
        asking.append(threading.Thread(target=rig.answer, args=[question, "approve"]))
        random.shuffle(asking)
        for each in asking:
            each.start()
        for each in asking:
            each.join()
        ended = rig.settle(run)
    assert ended["status"] in {"cancelled", "completed"}
    assert [event["type"] for event in rig.events(run)].count("run.cancel_requested") <= 1
    assert ended["status"] == "cancelled" or gifts(rig, run) == 1


def has_children(rig: Rig, run: str) -> bool:
    """Whether the run has started others."""
    return bool(rig.run(run)["children"])


def test_a_run_that_is_cancelled_while_its_child_finishes_ends_once_and_so_does_the_child(rig: Rig) -> None:
    with rig.worker():
        for _ in range(RACES):
            run = rig.start("boss", {"case": uuid4().hex[:8]})
            with checked(rig, run):
                assert eventually(partial(has_children, rig, run))
                time.sleep(random.random() / 10)  # noqa: S311 - the child takes about so long
                taken = cancel(rig, run)
                ended = rig.settle(run)
            assert ended["status"] == ("cancelled" if taken else "completed")
            (child,) = (rig.run(each) for each in ended["children"])
            assert child["status"] in ({"cancelled", "completed"} if taken else {"completed"})
            assert child["ended_at"] <= ended["ended_at"]


def is_asked_to_end(rig: Rig, run: str) -> bool:
    """Whether its journal holds the request."""
    return any(event["type"] == "run.cancel_requested" for event in rig.events(run))


def test_a_cancelled_run_takes_all_that_it_started_with_it(rig: Rig) -> None:
    """One child has a call in the air, which comes home; the other one waits for a person, whose answer is moot."""
    case, held = uuid4().hex[:8], threading.Event()
    rig.effects.will(f"/read/{case}", Fault(200, done=True, held=held))
    run = rig.start("chair", {"case": case})
    with checked(rig, run), rig.worker():
        assert eventually(lambda: len(rig.run(run)["children"]) == 2)
        children = rig.run(run)["children"]
        assert eventually(lambda: any(rig.run(each)["waiting_for"] == "decision" for each in children))
        assert eventually(lambda: rig.effects.waiting(f"/read/{case}"))
        asked = [each for child in children for each in rig.open_questions(rig.run(child))]
        assert cancel(rig, run)
        assert eventually(lambda: all(is_asked_to_end(rig, each) for each in children))
        held.set()
        ended = rig.settle(run)
    assert ended["status"] == "cancelled"
    assert [rig.run(each)["status"] for each in children] == ["cancelled"] * 2
    assert [rig.alice.get(f"escalations/{each['id']}")["status"] for each in asked] == ["withdrawn"]
    assert [gifts(rig, each) for each in children] == [0, 0]
