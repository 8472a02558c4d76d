"""Rows 9 and 10: wake-ups and tasks that come ten times, and a step longer than the broker's patience: one executes."""

import threading
from uuid import uuid4

import pytest

from tests.faults.effects import Fault
from tests.faults.invariants import broken
from tests.faults.rig import Rig, eventually

#: Seconds after which the broker delivers a task again.
RETRY_S = 1


def test_a_wake_up_delivered_ten_times_is_one(rig: Rig) -> None:
    with rig.worker(), rig.worker(), rig.worker():
        runs = [rig.start("payer", {"case": uuid4().hex[:8]}) for _ in range(5)]
        for run in runs:
            rig.settle(run, people=False)
            _wake(rig, run)  # for nothing: it still waits
        for run in runs:
            (question,) = rig.open_questions(rig.run(run))
            woken = threading.Thread(target=_wake, args=(rig, run))
            woken.start()
            rig.answer(question)
            _wake(rig, run)
            woken.join()
        for run in runs:
            assert rig.settle(run)["status"] == "completed"

    for run in runs:
        assert list(rig.effects.ledger.of(run).values()) == [1]
        assert broken(rig.alice, run, rig.effects.ledger, rig.look) == []


def _wake(rig: Rig, run: str) -> None:
    """Do what `wake` does, ten times."""
    for _ in range(10):
        rig.look.execute("UPDATE agents_run SET ready_at = now() WHERE id = %s AND status = 'waiting'", [run])
        rig.look.execute("NOTIFY countersign_runs")


@pytest.mark.parametrize("engine", ["django_q"], indirect=True)
def test_a_task_delivered_ten_times_is_one_driver(rig: Rig) -> None:
    tasks = [rig.forge.start("tests.faults.processes:task", instance="ten", slot=0) for _ in range(10)]
    try:
        assert eventually(lambda: sum(task.has_said_something() for task in tasks) == 9)
        case = uuid4().hex[:8]
        assert rig.settle(rig.start("reader", {"case": case}))["status"] == "completed"

        (driving,) = [task for task in tasks if not task.has_said_something()]
        assert {task.hear() for task in tasks if task is not driving} == {"taken"}
        assert len(rig.effects.ledger.at(f"/read/{case}")) == 1
    finally:
        for task in tasks:
            task.end()


@pytest.mark.parametrize("engine", ["django_q"], indirect=True)
def test_a_step_longer_than_the_brokers_retry_is_done_once(rig: Rig) -> None:
    case, answer = uuid4().hex[:8], threading.Event()
    rig.effects.will(f"/read/{case}", Fault(200, done=True, held=answer))
    with rig.forge.running("tests.faults.processes:cluster", retry_s=RETRY_S) as cluster:
        run = rig.start("reader", {"case": case})
        assert eventually(lambda: rig.effects.waiting(f"/read/{case}"))
        assert cluster.hear() == "taken"  # it was delivered again
        answer.set()
        ended = rig.settle(run)

    assert ended["status"] == "completed"
    assert len(rig.effects.ledger.at(f"/read/{case}")) == 1
    assert [event["type"] for event in rig.events(run)].count("run.resumed") == 0
    assert broken(rig.alice, run, rig.effects.ledger, rig.look) == []
