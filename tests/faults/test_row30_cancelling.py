"""Row 30, but for children: a run is cancelled while it finishes; it ends once, and as whoever asked was told."""

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
