"""Row 25: the connection breaks behind a POST that must not be repeated; a person says what came of it."""

import pytest

from tests.faults.agents import http
from tests.faults.effects import Fault
from tests.faults.provider import checked, gifts, of_type
from tests.faults.rig import Rig

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def giver(rig: Rig) -> str:
    """An agent that pays without asking."""
    pay = http("POST", f"{rig.effects.url}/each/{{case}}", effect="write", retries={"attempts": 3})
    rig.world.define("giver", role="You only pay.", tool_specs={"pay": pay})
    rig.world.grant("review", rig.world.agent("giver"), rig.world.rita)
    return "giver"


@pytest.mark.parametrize("status", [0, 504], ids=["reset", "lost by a gateway"])
@pytest.mark.parametrize("done", [True, False], ids=["it was done", "it was not done"])
def test_a_person_finds_out_and_it_is_done_once(rig: Rig, giver: str, done: bool, status: int) -> None:
    case = f"reset-{done}-{status}"
    rig.effects.will(f"/each/{case}", Fault(status, done=done))
    run = rig.start(giver, {"case": case})
    with checked(rig, run), rig.worker():
        (question,) = rig.open_questions(rig.settle(run, people=False))
        assert (question["kind"], question["reason"]) == ("reconcile", "outcome_unknown")
        assert len(rig.effects.ledger.at(f"/each/{case}")) == 1

        rig.answer(question)  # what the ledger says

        assert rig.settle(run)["status"] == "completed"
    assert gifts(rig, run) == 1
    assert len({each["idempotency_key"] for each in of_type(rig.events(run), "tool.requested")}) == 1


def test_the_model_can_be_told_that_nobody_knows(rig: Rig, giver: str) -> None:
    rig.effects.will("/each/told", Fault(0, done=True))
    run = rig.start(giver, {"case": "told"})
    with checked(rig, run), rig.worker():
        (question,) = rig.open_questions(rig.settle(run, people=False))
        rig.answer(question, "respond", message="The bank will not say.")
        assert rig.settle(run)["status"] == "completed"
    assert gifts(rig, run) == 1
