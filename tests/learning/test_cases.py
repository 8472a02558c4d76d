"""What a reviewer corrects can be kept as a case of the agent."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connections

from access.errors import MissingGrant
from agents.models import Run
from db.scope import tenant_scope
from escalations.actions import answers as taking_back
from escalations.actions import decisions
from escalations.actions.decisions import Answer
from escalations.errors import UnknownEscalation
from escalations.models import Escalation
from learning.actions import cases
from learning.errors import NothingToLearn, NotOfThisAgent
from learning.models import Case
from learning.presenters import cases_json
from tests.api.conftest import caller
from tests.escalations.asking import approve, mail, paying, question_of, queue
from tests.escalations.conftest import answers, drive
from tests.locks import until_waited_for
from tests.worlds import World, world


@pytest.fixture
def acme(database: None) -> World:
    made = world()
    queue(made, "credit", "rita")
    return made


def shown(acme: World, case: Case) -> Any:
    with tenant_scope(acme.tenant_id):
        [told] = cases_json([case], payloads=True)
        return told


def answered(acme: World, text: str = "yes") -> tuple[Run, Escalation]:
    """A run whose output is to be confirmed."""
    acme.define("talker", role="You talk.", escalate_when="true", review={"queue": "credit"})
    run = acme.submit("talker", {"name": "Ada", "amount": 1.50})
    drive(run, answers(("end_turn", [{"type": "text", "text": text}])))
    return run, question_of(acme, run)


def test_an_edit_is_kept_with_the_input_and_what_was_expected_in_its_place(acme: World) -> None:
    run, question = answered(acme)
    decisions.decide(
        question.id,
        Answer("edit", question.digest, reason="too short", output="Yes, by all means."),
        acting_as=acme.rita,
    )

    case = cases.keep(question.id, tag="happy", note="Be friendly.", acting_as=acme.rita)

    told = shown(acme, case)
    assert (told["run"], told["source"], told["tag"], told["kept_by"]) == (
        str(run.id),
        "edit",
        "happy",
        mail(acme, "rita"),
    )
    assert told["input"] == {"name": "Ada", "amount": 1.50}
    assert told["expected"] == {"what": "output", "output": "Yes, by all means.", "reason": "too short"}
    assert cases.keep(question.id, acting_as=acme.rita).id == case.id


def test_a_call_that_was_edited_or_rejected_is_kept_as_what_to_call_or_not(acme: World) -> None:
    edited = paying(acme, "lender", queue="credit")
    rejected = paying(acme, "payer", queue="credit")
    wanted = {"amount": 3, "to": "nobody"}
    decisions.decide(edited.id, Answer("edit", edited.digest, arguments=wanted), acting_as=acme.rita)
    decisions.decide(rejected.id, Answer("reject", rejected.digest, reason="no"), acting_as=acme.rita)

    first, second = (shown(acme, cases.keep(each.id, acting_as=acme.rita)) for each in (edited, rejected))

    assert first["expected"] == {"what": "call", "tool": "pay_lender", "arguments": wanted}
    assert second["expected"]["what"] == "not_call"
    assert (second["expected"]["tool"], second["expected"]["reason"]) == ("pay_payer", "no")


def test_an_approval_teaches_nothing_and_is_not_made_either_when_it_was_to_be_kept(acme: World) -> None:
    _, question = answered(acme)
    rita = caller(acme, acme.rita, "escalations:read", "escalations:decide")

    answer = rita.post(
        f"escalations/{question.id}/decide",
        {"decision": "approve", "digest": question.digest, "keep_as_case": True},
    )

    assert (answer.status, answer.code) == (422, "nothing_to_learn")
    assert question_of(acme, acme.run(question.run_id)).id == question.id


def test_deciding_keeps_it_in_one_go_and_who_edits_the_agent_reads_it(acme: World) -> None:
    _, question = answered(acme)
    rita = caller(acme, acme.rita, "escalations:read", "escalations:decide", "agents:read")
    said = {"decision": "reject", "digest": question.digest, "reason": "wrong", "keep_as_case": True}
    assert rita.post(f"escalations/{question.id}/decide", said).status == 200

    alice = caller(acme, acme.alice, "agents:read", "agents:write", "escalations:decide")
    [case] = alice.get("agents/talker/cases?tag=edge").json["results"]
    assert case["expected"] == {"what": "not_output", "output": "yes", "reason": "wrong"}
    bob = caller(acme, acme.bob, "agents:read")
    redacted = bob.get(f"agents/talker/cases/{case['id']}").json
    assert (redacted["input"], redacted["expected"], redacted["note"]) == (None, None, None)

    assert alice("DELETE", f"/api/v1/agents/talker/cases/{case['id']}").status == 204
    assert alice.get(f"agents/talker/cases/{case['id']}").status == 404


def test_what_was_taken_back_is_no_case(acme: World) -> None:
    queue(acme, "credit", "rita", undo_s=600)
    question = paying(acme, "lender", queue="credit")
    decisions.decide(question.id, Answer("reject", question.digest, reason="no"), acting_as=acme.rita)
    cases.keep(question.id, acting_as=acme.rita)

    taking_back.undo(question.id, acting_as=acme.rita)

    with tenant_scope(acme.tenant_id):
        assert not cases.kept().exists()


def test_two_who_keep_it_at_once_keep_one_case(acme: World) -> None:
    question = paying(acme, "lender", queue="credit")
    decisions.decide(question.id, Answer("reject", question.digest, reason="no"), acting_as=acme.rita)

    def keep() -> Case:
        try:
            return cases.keep(question.id, acting_as=acme.rita)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as other:
        with tenant_scope(acme.tenant_id):
            first = cases.keep(question.id, acting_as=acme.rita)
            second = other.submit(keep)
            until_waited_for()
        assert second.result().id == first.id


def test_nothing_is_kept_of_an_answer_that_is_taken_back_meanwhile(acme: World) -> None:
    queue(acme, "credit", "rita", undo_s=600)
    question = paying(acme, "lender", queue="credit")
    decisions.decide(question.id, Answer("reject", question.digest, reason="no"), acting_as=acme.rita)

    def keep() -> None:
        try:
            with pytest.raises(NothingToLearn):
                cases.keep(question.id, acting_as=acme.rita)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as other:
        with tenant_scope(acme.tenant_id):
            taking_back.undo(question.id, acting_as=acme.rita)
            kept = other.submit(keep)
            until_waited_for()
        kept.result()


def test_who_may_not_decide_keeps_nothing_and_nobody_keeps_another_tenants(acme: World) -> None:
    _, question = answered(acme)
    other = world()
    with pytest.raises(NothingToLearn):
        cases.keep(question.id, acting_as=acme.rita)
    with pytest.raises(UnknownEscalation):
        cases.keep(question.id, acting_as=other.rita)
    with pytest.raises(MissingGrant):
        cases.keep_run(question.run_id, "right", of="talker", acting_as=acme.rita)
    with pytest.raises(NotOfThisAgent):
        cases.keep_run(question.run_id, "right", of="talker", acting_as=other.alice)
    decisions.decide(question.id, approve(question), acting_as=acme.rita)

    case = cases.keep_run(question.run_id, "right", of="talker", acting_as=acme.alice)
    assert shown(acme, case)["expected"] == {"what": "output", "output": "right"}
