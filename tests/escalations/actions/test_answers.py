"""Answers that can be taken back, votes of those who may vote no more, and outputs that people write themselves."""

import threading

import pytest
from django.db import connections

from agents.actions import guidance
from agents.actions.runs import cancel
from agents.core.exact import disclose
from agents.errors import GuidanceMissing, InvalidOutput, RunEnded, UnknownRun
from agents.models import Run
from audit import journal
from db.scope import tenant_scope
from escalations.actions import answers as answering
from escalations.actions import bulk, life, queues
from escalations.actions.decisions import Answer, decide
from escalations.errors import AlreadyDecided, InEffect, NotOpened, NotYours, OwnEdit
from escalations.models import Escalation, Queue
from tenants.actions import settings
from tenants.models import Role
from tests.escalations.asking import again, approve, demote, mail, paying, question_of, queue, time_comes
from tests.escalations.conftest import answers, drive
from tests.worlds import LEDGER, VERDICT, World, world

TEXT = ("end_turn", [{"type": "text", "text": "done"}])
SECRET = "AKIA" + "IOSFODNN7" + "EXAMPLE"  # in parts, for scanners of the code
DECISIONS = ("decision.answered", "decision.undone", "decision.made")


@pytest.fixture
def waiting(acme: World) -> Escalation:
    """A question in a queue that lets answers be taken back."""
    queue(acme, "credit", "rita", undo_s=600)
    return paying(acme, "lender", queue="credit")


def told(acme: World, question: Escalation) -> list[str]:
    """What happened to the question in its run."""
    return [action for action in acme.actions(question.run_id) if action in DECISIONS]


def run_of(acme: World, question: Escalation) -> Run:
    return acme.run(question.run_id)


# --- taken back -----------------------------------------------------------------------------------------------------


def test_an_answer_waits_until_it_can_be_taken_back_no_more(acme: World, waiting: Escalation) -> None:
    decided = decide(waiting.id, approve(waiting), acting_as=acme.rita)
    assert decided.status == "decided"
    assert told(acme, waiting) == ["decision.answered"]
    assert run_of(acme, waiting).ready_at is None

    time_comes(acme, waiting, of="effective_at")

    assert told(acme, waiting) == ["decision.answered", "decision.made"]
    drive(run_of(acme, waiting), answers(TEXT))
    assert run_of(acme, waiting).status == "completed"
    assert LEDGER.effects[f"pay 7 to {acme.slug} lender"] == 1


def test_who_gave_it_takes_it_back_and_the_question_is_open_again(acme: World, waiting: Escalation) -> None:
    decide(waiting.id, approve(waiting), acting_as=acme.rita)
    answering.undo(waiting.id, acting_as=acme.rita)

    assert again(acme, waiting).status == "open"
    assert told(acme, waiting) == ["decision.answered", "decision.undone"]
    time_comes(acme, waiting, of="effective_at")
    assert told(acme, waiting) == ["decision.answered", "decision.undone"]
    assert decide(waiting.id, Answer("reject", waiting.digest, reason="No."), acting_as=acme.rita).decision == "reject"


def test_nobody_else_takes_it_back_and_nobody_too_late(acme: World, waiting: Escalation) -> None:
    sam = acme.member("sam", Role.OWNER)
    with pytest.raises(InEffect):
        answering.undo(waiting.id, acting_as=acme.rita)
    decide(waiting.id, approve(waiting), acting_as=acme.rita)
    with pytest.raises(NotYours):
        answering.undo(waiting.id, acting_as=sam)
    with pytest.raises(AlreadyDecided):
        decide(waiting.id, approve(waiting), acting_as=sam)
    time_comes(acme, waiting, of="effective_at")
    with pytest.raises(InEffect):
        answering.undo(waiting.id, acting_as=acme.rita)


def test_it_takes_effect_once_however_often_it_is_looked_at(acme: World, waiting: Escalation) -> None:
    decide(waiting.id, approve(waiting), acting_as=acme.rita)
    for _ in range(3):
        time_comes(acme, waiting, of="effective_at")
    assert told(acme, waiting).count("decision.made") == 1


def test_the_answer_of_one_who_was_demoted_meanwhile_lapses(acme: World, waiting: Escalation) -> None:
    decide(waiting.id, approve(waiting), acting_as=acme.rita)
    demote(acme, acme.rita)
    time_comes(acme, waiting, of="effective_at")
    assert told(acme, waiting) == ["decision.answered", "decision.undone"]
    assert again(acme, waiting).status == "open"


def test_a_run_that_ends_meanwhile_withdraws_what_was_answered(acme: World, waiting: Escalation) -> None:
    decide(waiting.id, approve(waiting), acting_as=acme.rita)
    cancel(waiting.run_id, acting_as=acme.alice)
    drive(run_of(acme, waiting), answers())
    assert again(acme, waiting).status == "withdrawn"
    time_comes(acme, waiting, of="effective_at")
    assert "decision.made" not in acme.actions(waiting.run_id)


def test_a_question_does_not_expire_while_its_answer_can_be_taken_back(acme: World) -> None:
    queue(acme, "credit", "rita", undo_s=600)
    question = paying(acme, "lender", queue="credit", expires_s=3600)
    decide(question.id, approve(question), acting_as=acme.rita)
    run = run_of(acme, question)
    with tenant_scope(acme.tenant_id):
        Run.objects.filter(id=run.id).update(ready_at=run.created_at)
    drive(run, answers())
    assert run_of(acme, question).status == "waiting"
    answering.undo(question.id, acting_as=acme.rita)
    drive(run_of(acme, question), answers())
    parked = run_of(acme, question)
    assert parked.due_at == again(acme, question).expires_at


def test_without_room_before_it_expires_an_answer_takes_effect_at_once(acme: World) -> None:
    queue(acme, "credit", "rita", undo_s=600)
    question = paying(acme, "lender", queue="credit", expires_s=60)
    decide(question.id, approve(question), acting_as=acme.rita)
    assert told(acme, question) == ["decision.made"]


def test_taken_back_or_in_effect_but_never_both_nor_twice(acme: World, waiting: Escalation) -> None:
    """Its time comes while it is taken back: for who undoes, it has not come yet when the others find that it has."""
    decide(waiting.id, approve(waiting), acting_as=acme.rita)
    outcomes: list[str] = []

    def effect() -> None:
        try:
            time_comes(acme, waiting, of="effective_at")
        finally:
            connections.close_all()

    def undo() -> None:
        try:
            answering.undo(waiting.id, acting_as=acme.rita)
            outcomes.append("undone")
        except InEffect:
            outcomes.append("too late")
        finally:
            connections.close_all()

    threads = [threading.Thread(target=effect if place % 2 else undo) for place in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    happened = told(acme, waiting)[1:]
    assert happened == (["decision.undone"] if "undone" in outcomes else ["decision.made"])
    assert outcomes.count("undone") <= 1


# --- of several -----------------------------------------------------------------------------------------------------


def test_a_vote_counts_for_as_long_as_who_gave_it_may_give_it(acme: World) -> None:
    sam, sue = acme.member("sam", Role.REVIEWER), acme.member("sue", Role.REVIEWER)
    queue(acme, "credit", "rita", "sam", "sue")
    question = paying(acme, "lender", queue="credit", required=2)

    decide(question.id, approve(question), acting_as=acme.rita)
    demote(acme, acme.rita)

    assert decide(question.id, approve(question), acting_as=sam).status == "open"
    assert decide(question.id, approve(question), acting_as=sue).status == "decided"


def test_two_who_agreed_lapse_when_one_of_them_may_not_any_more(acme: World) -> None:
    sam = acme.member("sam", Role.REVIEWER)
    queue(acme, "credit", "rita", "sam", undo_s=600)
    question = paying(acme, "lender", queue="credit", required=2)
    decide(question.id, approve(question), acting_as=acme.rita)
    decide(question.id, approve(question), acting_as=sam)
    demote(acme, acme.rita)
    time_comes(acme, question, of="effective_at")
    assert told(acme, question) == ["decision.answered", "decision.undone"]
    assert decide(question.id, approve(question), acting_as=sam).status == "open"


# --- an output ------------------------------------------------------------------------------------------------------


def output(decision: str, confidence: float) -> tuple[str, list[dict[str, str]]]:
    return ("end_turn", [{"type": "text", "text": f'{{"decision": "{decision}", "confidence": {confidence}}}'}])


RULES = [{"id": "sure", "assert": "output.confidence >= 0.5", "message": "Too unsure.", "on_fail": "retry"}]


def confirming(acme: World, **review: object) -> Escalation:
    acme.define(
        "judge",
        role="You judge.",
        output_schema=VERDICT,
        rules=RULES,
        escalate_when="output.decision == 'escalate'",
        review={"queue": "credit", **review},
    )
    queue(acme, "credit", "rita", "sam") if acme.member("sam", Role.REVIEWER) else None
    run = acme.submit("judge", {})
    drive(run, answers(output("escalate", 0.9)))
    return question_of(acme, run)


def test_an_output_that_a_person_writes_is_what_the_run_gives_out(acme: World) -> None:
    question = confirming(acme)
    assert "edit" in question.allowed
    mine = {"decision": "approve", "confidence": 0.7}

    decide(question.id, Answer("edit", question.digest, output=mine, reason="Seen the papers."), acting_as=acme.rita)
    drive(run_of(acme, question), answers())

    assert acme.actions(question.run_id)[-3:-1] == ["output.accepted", "budget.settled"]
    ended = acme.events(question.run_id)[-1]
    assert (ended.action, disclose(ended.payload["output"])) == ("run.completed", mine)


@pytest.mark.parametrize(
    ("mine", "pointer"),
    [
        ({"decision": "maybe", "confidence": 0.7}, "/output/decision"),
        ({"decision": "approve", "confidence": 0.1}, "/output"),
        (None, "/output"),
    ],
)
def test_nobody_gives_out_what_the_agent_may_not(acme: World, mine: object, pointer: str) -> None:
    question = confirming(acme)
    with pytest.raises(InvalidOutput) as caught:
        decide(question.id, Answer("edit", question.digest, output=mine), acting_as=acme.rita)
    assert caught.value.errors[0]["pointer"] == pointer
    assert again(acme, question).status == "open"


def test_where_two_must_agree_the_author_of_an_output_is_not_one_of_them(acme: World) -> None:
    question = confirming(acme, required=2)
    mine = {"decision": "approve", "confidence": 0.7}
    decide(question.id, Answer("edit", question.digest, output=mine), acting_as=acme.rita)
    drive(run_of(acme, question), answers())

    asked = question_of(acme, run_of(acme, question))
    assert (asked.kind, asked.reason, asked.required) == ("output", "edited", 2)
    with pytest.raises(OwnEdit):
        decide(asked.id, approve(asked), acting_as=acme.rita)


def test_nor_does_who_edited_before_agree_to_what_another_made_of_it(acme: World) -> None:
    question = confirming(acme, required=2)
    sam = acme.member("sam", Role.REVIEWER)
    run = run_of(acme, question)
    for editor, confidence in ((acme.rita, 0.7), (sam, 0.8)):
        mine = {"decision": "approve", "confidence": confidence}
        asked = question_of(acme, run)
        decide(asked.id, Answer("edit", asked.digest, output=mine), acting_as=editor)
        drive(run_of(acme, question), answers())
    asked = question_of(acme, run)
    for editor in (acme.rita, sam):
        with pytest.raises(OwnEdit):
            decide(asked.id, approve(asked), acting_as=editor)


def guarded(acme: World, *, then: str) -> Escalation:
    """A question about a reason with an address in it, of an agent that keeps secrets back."""
    rules = [{"find": ["secrets"], "then": "block"}, {"find": ["email"], "then": then}]
    queue(acme, "credit", "rita")
    acme.define(
        "clerk",
        role="You answer letters.",
        guards={"output": {"rules": rules}},
        escalate_when="true",
        review={"queue": "credit"},
    )
    run = acme.submit("clerk", {})
    drive(run, answers(("end_turn", [{"type": "text", "text": "Write to ada@lovelace.example."}])))
    return question_of(acme, run)


def test_what_a_person_writes_is_masked_like_what_a_model_does(acme: World) -> None:
    question = guarded(acme, then="mask")
    mine = "Write to grace@hopper.example instead."
    decide(question.id, Answer("edit", question.digest, output=mine), acting_as=acme.rita)
    drive(run_of(acme, question), answers())

    [accepted] = [each for each in acme.events(question.run_id) if each.action == "output.accepted"][1:]
    ended = acme.events(question.run_id)[-1]
    assert ended.action == "run.completed"
    assert "grace" not in str(ended.payload) + str(accepted.payload)
    assert accepted.facts["guard"] == [{"finder": "email", "then": "mask", "count": 1}]


def test_nobody_writes_a_secret_into_an_output_that_keeps_them_back(acme: World) -> None:
    question = guarded(acme, then="mask")
    with pytest.raises(InvalidOutput, match="credential"):
        decide(question.id, Answer("edit", question.digest, output=f"Use {SECRET}."), acting_as=acme.rita)
    assert again(acme, question).status == "open"


def test_who_was_asked_about_an_address_may_write_another(acme: World) -> None:
    asking = guarded(acme, then="escalate")
    assert (asking.reason, asking.rule) == ("guarded", "email; true")
    decide(asking.id, Answer("edit", asking.digest, output="Write to grace@hopper.example."), acting_as=acme.rita)
    drive(run_of(acme, asking), answers())
    assert acme.events(asking.run_id)[-1].action == "run.completed"


# --- many at once ---------------------------------------------------------------------------------------------------


def test_much_at_stake_is_not_decided_in_bulk_unless_it_was_opened(acme: World, question: Escalation) -> None:
    with tenant_scope(acme.tenant_id):
        Escalation.objects.filter(id=question.id).update(risk=80)
    item = bulk.Item(question.id, question.digest)
    with pytest.raises(NotOpened):
        bulk.decide(item, "approve", reason=None, acting_as=acme.rita)
    with tenant_scope(acme.tenant_id):
        life.note_opened(again(acme, question), acting_as=acme.rita)
        life.note_opened(again(acme, question), acting_as=acme.rita)
        assert question.openings.count() == 1
    assert bulk.decide(item, "approve", reason=None, acting_as=acme.rita).status == "decided"


# --- guidance -------------------------------------------------------------------------------------------------------


def test_what_people_say_reaches_the_model_behind_the_results_it_waits_for(acme: World, question: Escalation) -> None:
    guidance.guide(question.run_id, "Mind the tax.", acting_as=acme.rita)
    assert run_of(acme, question).ready_at is None
    decide(question.id, approve(question), acting_as=acme.rita)
    heard = []

    def answer(request, *, timeout_s):  # type: ignore[no-untyped-def]
        heard.append(request.messages[-1])
        return answers(TEXT)(request, timeout_s=timeout_s)

    drive(run_of(acme, question), answer)

    [said] = heard
    assert [block["type"] for block in said["content"]] == ["tool_result", "text"]
    assert said["content"][-1]["text"] == "[a person says] Mind the tax."
    with tenant_scope(acme.tenant_id):
        [told_so] = [each for each in journal.read(question.run_id) if each.action == "run.guided"]
    assert told_so.actor == acme.rita.actor
    assert "tax" not in str(told_so.facts)


def test_an_answer_given_before_it_was_heard_is_asked_for_again(acme: World) -> None:
    acme.define("talker", role="You talk.")
    run = acme.submit("talker", {})
    calls = []

    def answer(request, *, timeout_s):  # type: ignore[no-untyped-def]
        calls.append(request.messages)
        if len(calls) == 1:
            guidance.guide(run.id, "Say it in French.", acting_as=acme.alice)
        return answers(TEXT)(request, timeout_s=timeout_s)

    drive(run, answer)

    assert acme.run(run.id).status == "completed"
    assert len(calls) == 2
    assert calls[1][-1]["content"][-1]["text"] == "[a person says] Say it in French."


def test_a_run_that_is_over_is_told_nothing(acme: World, question: Escalation) -> None:
    with pytest.raises(GuidanceMissing):
        guidance.guide(question.run_id, " ", acting_as=acme.alice)
    with pytest.raises(UnknownRun):
        guidance.guide(question.run_id, "Hello.", acting_as=world().alice)
    cancel(question.run_id, acting_as=acme.alice)
    drive(run_of(acme, question), answers())
    with pytest.raises(RunEnded):
        guidance.guide(question.run_id, "Too late.", acting_as=acme.alice)


# --- what the tenant settles ------------------------------------------------------------------------------------------


def test_where_the_queue_says_nothing_the_tenant_says_how_long_an_answer_can_be_taken_back(acme: World) -> None:
    queue(acme, "credit", "rita")
    queue(acme, "desk", "rita", undo_s=0)
    settings.put(acme.tenant_id, undo_s=600, webhook_hosts=None, acting_as="test")
    quiet, none = paying(acme, "lender", queue="credit"), paying(acme, "payer2", queue="desk")
    nowhere = paying(acme, "payer3")
    acme.grant("review", acme.agent("payer3"), acme.rita)

    for question in (quiet, none, nowhere):
        decide(question.id, approve(question), acting_as=acme.rita)

    assert [again(acme, each).is_pending for each in (quiet, none, nowhere)] == [True, False, True]
    with tenant_scope(acme.tenant_id):
        assert queues.spec_of(Queue.objects.get(slug="credit")) == {"members": [mail(acme, "rita")], "teams": []}
        assert queues.spec_of(Queue.objects.get(slug="desk"))["undo_s"] == 0


def test_a_queue_that_the_last_release_wrote_keeps_its_time(acme: World) -> None:
    queue(acme, "credit", "rita", undo_s=600)
    with tenant_scope(acme.tenant_id):
        Queue.objects.update(own_undo_s=None)
    question = paying(acme, "lender", queue="credit")

    decide(question.id, approve(question), acting_as=acme.rita)

    assert again(acme, question).is_pending
