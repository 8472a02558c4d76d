"""Deciding: who may, what counts, and that one decision comes of any number of attempts."""

import threading
from dataclasses import replace
from uuid import uuid4

import pytest
from django.db import connections

from access.errors import AccessDenied, MissingScope
from agents.actions.runs import cancel
from agents.errors import InvalidArguments
from agents.models import Run
from db.scope import tenant_scope
from escalations.actions.decisions import Answer, decide
from escalations.errors import (
    AlreadyDecided,
    AnswerNotAllowed,
    DigestDiffers,
    EscalationError,
    MayNotDecide,
    MessageMissing,
    OwnRequest,
    UnknownEscalation,
)
from escalations.models import Escalation
from escalations.permissions import check_decide
from tenants.actions import members, tenants
from tenants.models import Role
from tenants.principal import COMMAND, Principal
from tests.escalations.conftest import answers, drive
from tests.worlds import LEDGER, PAY, World, world

TEXT = ("end_turn", [{"type": "text", "text": "done"}])


def approve(question: Escalation) -> Answer:
    return Answer("approve", question.digest)


def test_an_approval_wakes_the_run_which_makes_the_call_once(acme: World, asking: Run, question: Escalation) -> None:
    decided = decide(question.id, approve(question), acting_as=acme.rita)
    assert decided.status == "decided"
    assert acme.run(asking.id).ready_at is not None
    drive(asking, answers(TEXT))
    assert acme.run(asking.id).status == "completed"
    assert LEDGER.effects[f"pay 5 to {acme.slug}"] == 1


def test_the_decision_stands_in_the_runs_journal_before_it_is_resumed(
    acme: World, asking: Run, question: Escalation
) -> None:
    decide(question.id, Answer("reject", question.digest, reason="too much"), acting_as=acme.rita)
    made = acme.events(asking.id)[-1]
    assert (made.action, made.actor) == ("decision.made", acme.rita.actor)
    assert made.facts["decision"] == "reject"
    assert made.payload["reason"] == "too much"
    assert "too much" not in str(made.facts)


def test_the_requester_may_not_decide(acme: World, question: Escalation) -> None:
    with pytest.raises(OwnRequest):
        decide(question.id, approve(question), acting_as=acme.alice)


def test_a_member_without_the_right_does_not_even_see_it(acme: World, question: Escalation) -> None:
    with pytest.raises((UnknownEscalation, AccessDenied)):
        decide(question.id, approve(question), acting_as=acme.bob)
    with tenant_scope(acme.tenant_id):
        other = members.put(
            tenant=tenants.by_slug(acme.slug), email=f"r2@{acme.slug}.example", role=Role.REVIEWER, acting_as=COMMAND
        )
    with pytest.raises(UnknownEscalation):
        decide(question.id, approve(question), acting_as=Principal(acme.tenant_id, other.user_id, Role.REVIEWER))


def test_another_tenants_question_does_not_exist(acme: World, question: Escalation) -> None:
    carol = world().alice
    with pytest.raises(UnknownEscalation):
        decide(question.id, approve(question), acting_as=carol)
    with pytest.raises(UnknownEscalation):
        decide(uuid4(), approve(question), acting_as=carol)


def test_a_service_account_may_not_decide(acme: World, question: Escalation) -> None:
    service = replace(acme.rita, is_service=True)
    with pytest.raises(MayNotDecide):
        decide(question.id, approve(question), acting_as=service)


def test_a_key_without_the_scope_may_not_decide(acme: World, question: Escalation) -> None:
    reading = replace(acme.rita, scopes=frozenset({"escalations:read"}))
    with pytest.raises(MissingScope):
        decide(question.id, approve(question), acting_as=reading)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer("approve", "0" * 64), DigestDiffers),
        (Answer("expire", ""), AnswerNotAllowed),
        (Answer("edit", ""), InvalidArguments),
        (Answer("respond", "", message=" "), MessageMissing),
    ],
)
def test_a_wrong_answer_changes_nothing(
    acme: World, asking: Run, question: Escalation, answer: Answer, error: type[EscalationError]
) -> None:
    before = acme.actions(asking.id)
    answer = answer if answer.digest else replace(answer, digest=question.digest)
    with pytest.raises(error):
        decide(question.id, answer, acting_as=acme.rita)
    assert acme.actions(asking.id) == before
    with tenant_scope(acme.tenant_id):
        assert Escalation.objects.get(id=question.id).votes.count() == 0


def test_fifty_at_once_make_one_decision(acme: World, asking: Run, question: Escalation) -> None:
    agent = acme.agent("payer")
    reviewers = []
    for number in range(50):
        with tenant_scope(acme.tenant_id):
            member = members.put(
                tenant=tenants.by_slug(acme.slug),
                email=f"n{number}@{acme.slug}.example",
                role=Role.REVIEWER,
                acting_as=COMMAND,
            )
        reviewer = Principal(acme.tenant_id, member.user_id, Role.REVIEWER)
        acme.grant("review", agent, reviewer)
        reviewers.append(reviewer)
    outcomes: list[str] = []

    def try_it(reviewer: Principal, number: int) -> None:
        decision = "approve" if number % 2 else "reject"
        try:
            decide(question.id, Answer(decision, question.digest), acting_as=reviewer)
            outcomes.append("decided")
        except AlreadyDecided:
            outcomes.append("late")
        finally:
            connections.close_all()

    threads = [threading.Thread(target=try_it, args=(each, number)) for number, each in enumerate(reviewers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["decided"] + ["late"] * 49
    assert acme.actions(asking.id).count("decision.made") == 1


def test_what_an_ended_run_asked_is_withdrawn(acme: World, asking: Run, question: Escalation) -> None:
    cancel(asking.id, acting_as=acme.alice)
    drive(asking, answers())
    assert acme.run(asking.id).status == "cancelled"
    with tenant_scope(acme.tenant_id):
        assert Escalation.objects.get(id=question.id).status == "withdrawn"
    with pytest.raises(AlreadyDecided):
        decide(question.id, approve(question), acting_as=acme.rita)


def test_an_approval_by_two_needs_two_different_people(acme: World) -> None:
    acme.define("careful", role="You pay.", tool_specs={"pay2": PAY | {"approval": {"when": "true", "required": 2}}})
    sam = members.put(
        tenant=tenants.by_slug(acme.slug), email=f"sam@{acme.slug}.example", role=Role.OPERATOR, acting_as=COMMAND
    )
    run = acme.submit("careful", {"to": acme.slug})
    pay = {"type": "tool_use", "id": "toolu_1", "name": "pay2", "input": {"amount": 6, "to": acme.slug}}
    drive(run, answers(("tool_use", [pay])))
    acme.grant("review", acme.agent("careful"), acme.rita)
    with tenant_scope(acme.tenant_id):
        question = Escalation.objects.get(run_id=run.id)
    assert decide(question.id, approve(question), acting_as=acme.rita).status == "open"
    with pytest.raises(EscalationError, match="already"):
        decide(question.id, approve(question), acting_as=acme.rita)
    second = Principal(acme.tenant_id, sam.user_id, Role.OPERATOR)
    assert decide(question.id, approve(question), acting_as=second).status == "decided"


def test_an_answer_after_the_expiry_does_not_count(acme: World) -> None:
    approval = {"when": "true", "expires_s": 60}
    acme.define("brief", role="You pay.", tool_specs={"pay3": PAY | {"approval": approval}})
    acme.grant("review", acme.agent("brief"), acme.rita)
    run = acme.submit("brief", {"to": acme.slug})
    pay = {"type": "tool_use", "id": "toolu_1", "name": "pay3", "input": {"amount": 7, "to": acme.slug}}
    drive(run, answers(("tool_use", [pay])))
    with tenant_scope(acme.tenant_id):
        question = Escalation.objects.get(run_id=run.id)
        Escalation.objects.filter(id=question.id).update(expires_at=question.requested_at)
    with pytest.raises(AlreadyDecided, match="expired"):
        decide(question.id, approve(question), acting_as=acme.rita)


def test_who_asks_while_their_answer_is_written_is_told_that_it_is_decided(
    acme: World, asking: Run, question: Escalation
) -> None:
    with tenant_scope(acme.tenant_id):
        seen_before = Escalation.objects.get(id=question.id)
        run = Run.objects.select_related("agent").get(id=asking.id)
    decide(question.id, approve(question), acting_as=acme.rita)
    with tenant_scope(acme.tenant_id):
        check_decide(acme.rita, seen_before, run)  # not `SecondVote`: what follows finds out
    with pytest.raises(AlreadyDecided):
        decide(question.id, approve(question), acting_as=acme.rita)
