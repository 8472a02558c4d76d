"""Row 12: whoever the server chooses as a deadlock's victim tries again, and nothing is done twice.

The other side takes the same rows in the wrong order, with all the patience the server allows: it is never the victim.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from ops.demo.rest import RestError
from tests.faults.effects import Fault
from tests.faults.provider import checked, gifts
from tests.faults.rig import Rig, eventually

pytestmark = pytest.mark.usefixtures("database")

Session = psycopg.Connection[tuple[Any, ...]]


@contextmanager
def patient(rig: Rig) -> Iterator[Session]:
    """A session in a transaction that the server lets wait the longest."""
    with psycopg.connect(rig.look.info.dsn, password=rig.look.info.password) as session:
        session.execute("SET LOCAL deadlock_timeout = '1h'")
        yield session


def is_waited_for(rig: Rig, session: Session) -> bool:
    """Whether another session waits for what this one has locked."""
    query = "SELECT FROM pg_stat_activity WHERE %s = ANY(pg_blocking_pids(pid))"
    return rig.look.execute(query, [session.info.backend_pid]).rowcount > 0


def test_a_step_is_written_once(rig: Rig) -> None:
    case, held = uuid4().hex[:8], threading.Event()
    rig.effects.will(f"/read/{case}", Fault(200, done=True, held=held))
    run = rig.start("reader", {"case": case})
    with checked(rig, run), rig.worker(), patient(rig) as other:
        assert eventually(lambda: rig.run(run)["doing"] == "tool read")
        other.execute("SELECT FROM quotas_window FOR UPDATE")
        held.set()
        # The last step has the run's row, and settles; the other one has the month's.
        assert eventually(lambda: is_waited_for(rig, other))
        other.execute("UPDATE agents_run SET priority = priority WHERE id = %s", [run])
        assert rig.run(run)["status"] == "running"
        other.rollback()
        assert rig.settle(run)["status"] == "completed"
    assert [event["type"] for event in rig.events(run)].count("run.completed") == 1


def test_an_answer_is_told_to_come_again_and_counts_once(rig: Rig) -> None:
    run = rig.start("payer", {"case": uuid4().hex[:8]})
    told: list[Any] = []

    def decide(question: Any) -> None:
        body = {"decision": "approve", "digest": question["proposal"]["digest"]}
        try:
            told.append(rig.api("rita").post(f"escalations/{question['id']}/decide", body))
        except RestError as error:
            told.append(error)

    with checked(rig, run), rig.worker():
        (question,) = rig.open_questions(rig.settle(run, people=False))
        with patient(rig) as other:
            other.execute("SELECT FROM escalations_escalation WHERE id = %s FOR UPDATE", [question["id"]])
            asking = threading.Thread(target=decide, args=[question])
            asking.start()
            assert eventually(lambda: is_waited_for(rig, other))
            other.execute("UPDATE agents_run SET priority = priority WHERE id = %s", [run])
            asking.join()
            other.rollback()
        (error,) = told
        assert isinstance(error, RestError)
        assert error.status == 503
        assert gifts(rig, run) == 0

        decide(question)

        assert rig.settle(run)["status"] == "completed"
    assert gifts(rig, run) == 1
