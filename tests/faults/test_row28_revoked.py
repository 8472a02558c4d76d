"""Row 28: a grant is taken back in mid-run; the next call is denied."""

import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest

from tenants.models import Role
from tests.api.conftest import caller
from tests.faults.effects import Fault
from tests.faults.provider import checked, gifts, of_type
from tests.faults.rig import Rig, eventually

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def dan(rig: Rig) -> str:
    """A developer who may run the careful agent, and use its tools by grants of his own; his e-mail address."""
    name = f"dan-{uuid4().hex[:6]}"
    principal = rig.world.member(name, Role.DEVELOPER)
    rig.world.grant("run", rig.world.agent("careful"), principal)
    rig.keys["dan"] = caller(rig.world, principal).key or ""
    email = f"{name}@{rig.world.slug}.example"
    for tool in ("read", "book", "pay"):
        rig.alice.post(f"tools/{tool}/grants", {"user": email, "permission": "use"})
    return email


def take_back(rig: Rig, tool: str, email: str) -> None:
    """Take the grant back, over REST."""
    (grant,) = [each for each in rig.alice.every(f"tools/{tool}/grants") if each.get("user") == email]
    rig.alice.delete(f"tools/{tool}/grants/{grant['id']}")


def test_the_next_call_is_denied(rig: Rig, dan: str) -> None:
    case, held = uuid4().hex[:8], threading.Event()
    rig.effects.will(f"/once/{case}", Fault(200, done=True, held=held))
    run: str = rig.api("dan").post("runs", {"agent": "careful", "input": {"case": case}})["id"]
    with checked(rig, run), rig.worker():
        assert eventually(lambda: "tool book" in (rig.run(run)["doing"] or ""))
        take_back(rig, "pay", dan)
        held.set()
        assert rig.settle(run)["status"] == "completed"
    (denied,) = of_type(rig.events(run), "tool.denied")
    assert (denied["tool"], denied["code"]) == ("pay", "not_granted")
    assert gifts(rig, run) == 1  # the booking


def test_an_approval_given_before_does_not_help(rig: Rig, dan: str) -> None:
    run: str = rig.api("dan").post("runs", {"agent": "careful", "input": {"case": uuid4().hex[:8]}})["id"]
    with rig.worker():
        (question,) = rig.open_questions(rig.settle(run, people=False))
    rig.answer(question, "approve")
    take_back(rig, "pay", dan)
    with checked(rig, run), rig.worker():
        assert rig.settle(run)["status"] == "completed"
    (denied,) = of_type(rig.events(run), "tool.denied")
    assert (denied["tool"], denied["code"]) == ("pay", "not_granted")
    assert gifts(rig, run) == 1  # the booking


def test_a_call_lost_with_its_worker_is_not_made_again_without_its_grant(rig: Rig, dan: str) -> None:
    case, held = uuid4().hex[:8], threading.Event()
    rig.effects.will(f"/once/{case}", Fault(200, done=True, held=held))
    run: str = rig.api("dan").post("runs", {"agent": "careful", "input": {"case": case}})["id"]
    with rig.worker():
        assert eventually(lambda: rig.run(run)["doing"] == "tool book")
    held.set()
    assert eventually(lambda: gifts(rig, run) == 1)
    take_back(rig, "book", dan)
    rig.expire(run)
    with checked(rig, run), rig.worker():
        (question,) = rig.open_questions(rig.settle(run, people=False))
        assert question["kind"] == "reconcile"
        assert rig.settle(run)["status"] == "completed"
    assert len(rig.effects.ledger.at(f"/once/{case}")) == 1


def test_in_a_race_no_call_is_begun_behind_the_loss_of_its_grant(rig: Rig, dan: str) -> None:
    case = uuid4().hex[:8]
    runs = [rig.api("dan").post("runs", {"agent": "careful", "input": {"case": f"{case}{n}"}})["id"] for n in range(6)]
    with rig.worker(), rig.worker():
        questions = [rig.open_questions(rig.settle(run, people=False))[0] for run in runs]
        with ThreadPoolExecutor(4) as pool:
            answers = [pool.submit(rig.answer, question, "approve") for question in questions]
            take_back(rig, "pay", dan)
            (since,) = rig.look.execute("SELECT clock_timestamp()").fetchone() or (None,)
            for each in answers:
                each.result()
        for run in runs:
            assert rig.settle(run)["status"] == "completed"
    begun = rig.look.execute(
        "SELECT count(*) FROM audit_record WHERE stream = ANY(%s) AND action = 'tool.requested' AND at > %s",
        [runs, since],
    ).fetchone()
    assert begun == (0,)
    for run in runs:
        events = rig.events(run)
        paid = [each for each in of_type(events, "tool.requested") if each["tool"] == "pay"]
        assert gifts(rig, run) == 1 + len(paid)  # the booking, and what was begun before
        assert len(paid) + len(of_type(events, "tool.denied")) == 1
