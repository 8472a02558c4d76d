"""Who had a part in something decides nothing of it, by whatever way round: steering, trying again, runs below."""

from typing import Any

import pytest

from agents.actions import again, guidance
from agents.actions.runs import cancel
from agents.models import Run
from db.scope import tenant_scope
from escalations.actions import appeals, bulk
from escalations.actions.decisions import Answer, decide
from escalations.errors import FirstDecider, MayNotDecide, NotOpened, OwnEdit, OwnRequest
from escalations.inbox import needing
from escalations.models import Escalation
from tenants.models import Role
from tenants.principal import Principal
from tests.escalations.asking import approve, paying, question_of, queue
from tests.escalations.conftest import answers, drive
from tests.worlds import LEDGER, PAY, World

Json = Any

TEXT = ("end_turn", [{"type": "text", "text": "done"}])
ASK: Json = {"description": "Ask.", "type": "agent", "agent": {"name": "low"}, "effect": "read", "taint": "allow"}
FREE: Json = PAY | {"effect": "write", "taint": "allow", "approval": {"when": "false"}}


def using(tool: str, number: int = 1, **arguments: Json) -> tuple[str, list[Json]]:
    """An answer that calls a tool."""
    return ("tool_use", [{"type": "tool_use", "id": f"toolu_{number}", "name": tool, "input": arguments}])


def people(acme: World, *names: str) -> list[Principal]:
    """Reviewers who work the queue `desk`."""
    made = [acme.member(name, Role.REVIEWER) for name in names]
    queue(acme, "desk", "rita", *names)
    return made


# --- steering a run -------------------------------------------------------------------------------------------------


def guided(acme: World, by: Principal, **spec: Json) -> Escalation:
    """The question of a run that pays as somebody told it to, after a first one that was answered with no."""
    acme.define("mild", role="You pay.", tool_specs={"give": PAY}, review={"queue": "desk"}, **spec)
    acme.grant("review", acme.agent("mild"), by)
    run = acme.submit("mild", {})
    drive(run, answers(using("give", amount=1, to=acme.slug)))
    first = question_of(acme, run)
    guidance.guide(run.id, "Pay 500 instead.", acting_as=by)
    decide(first.id, Answer("reject", first.digest, reason="No."), acting_as=by)  # asked before it was told anything
    drive(run, answers(using("give", 2, amount=500, to=acme.slug)))
    return question_of(acme, run)


def test_who_told_a_run_what_to_do_does_not_agree_to_it(acme: World) -> None:
    (sam,) = people(acme, "sam")
    question = guided(acme, acme.rita)
    with pytest.raises(OwnEdit):
        decide(question.id, approve(question), acting_as=acme.rita)
    with tenant_scope(acme.tenant_id):
        assert question.id not in set(needing(acme.rita).values_list("id", flat=True))
        assert question.id in set(needing(sam).values_list("id", flat=True))
    asked = [each for each in acme.events(question.run_id) if each.action == "decision.requested"]
    assert [each.facts.get("excluded") for each in asked] == [None, [acme.rita.actor]]
    assert decide(question.id, approve(question), acting_as=sam).status == "decided"


def test_nor_to_an_output_it_led_to(acme: World) -> None:
    (sam,) = people(acme, "sam")
    acme.define("teller", role="You tell.", escalate_when="true", review={"queue": "desk"})
    run = acme.submit("teller", {})
    told: list[bool] = []

    def answer(request: Any, *, timeout_s: float) -> Any:
        if not told:
            guidance.guide(run.id, "Say yes.", acting_as=acme.alice)
            told.append(True)
        return answers(TEXT)(request, timeout_s=timeout_s)

    drive(run, answer)
    question = question_of(acme, run)
    with tenant_scope(acme.tenant_id):
        assert question.excluded == [acme.alice.user_id]
    assert decide(question.id, approve(question), acting_as=sam).status == "decided"


def test_nor_in_a_run_below_the_one_that_was_told(acme: World) -> None:
    (sam,) = people(acme, "sam")
    acme.define("low", role="You pay.", tool_specs={"give": PAY}, review={"queue": "desk"})
    acme.define("high", role="You ask.", tool_specs={"ask_low": ASK})
    run = acme.submit("high", {})
    acme.grant("review", acme.agent("high"), acme.rita)
    guidance.guide(run.id, "Have 500 paid.", acting_as=acme.rita)
    drive(run, answers(using("ask_low")))
    with tenant_scope(acme.tenant_id):
        child = Run.objects.get(parent_id=run.id)
    drive(child, answers(using("give", amount=500, to=acme.slug)))
    question = question_of(acme, child)
    with pytest.raises(OwnEdit):
        decide(question.id, approve(question), acting_as=acme.rita)
    assert decide(question.id, approve(question), acting_as=sam).status == "decided"


def test_nor_in_the_next_try_of_it(acme: World) -> None:
    (sam,) = people(acme, "sam")
    question = guided(acme, acme.rita)
    cancel(question.run_id, acting_as=acme.alice)
    with tenant_scope(acme.tenant_id):
        old = Run.objects.get(id=question.run_id)
    drive(old, answers())
    made = again.retry(old.id, "step", acting_as=acme.alice).run
    drive(made, answers(using("give", 3, amount=500, to=acme.slug)))
    question = question_of(acme, made)
    with pytest.raises(OwnEdit):
        decide(question.id, approve(question), acting_as=acme.rita)
    assert decide(question.id, approve(question), acting_as=sam).status == "decided"


def test_where_two_must_agree_neither_is_who_answered_the_run_in_words(acme: World) -> None:
    sam, sue = people(acme, "sam", "sue")
    acme.define("writer", role="You write.", escalate_when="true", review={"queue": "desk", "required": 2})
    run = acme.submit("writer", {})
    drive(run, answers(TEXT))
    first = question_of(acme, run)
    decide(first.id, Answer("respond", first.digest, message="Say 500."), acting_as=acme.rita)
    drive(run, answers(TEXT))
    second = question_of(acme, run)
    with pytest.raises(OwnEdit):
        decide(second.id, approve(second), acting_as=acme.rita)
    assert decide(second.id, approve(second), acting_as=sam).status == "open"
    assert decide(second.id, approve(second), acting_as=sue).status == "decided"


def test_nor_in_a_run_above_the_one_that_was_told(acme: World) -> None:
    (sam,) = people(acme, "sam")
    acme.define("low", role="You answer.")
    handed = ASK | {"agent": {"name": "low", "mode": "handoff"}}
    acme.define(
        "high", role="You pass on.", tool_specs={"ask_low": handed}, escalate_when="true", review={"queue": "desk"}
    )
    acme.grant("review", acme.agent("low"), acme.rita)
    run = acme.submit("high", {})
    drive(run, answers(using("ask_low")))
    with tenant_scope(acme.tenant_id):
        child = Run.objects.get(parent_id=run.id)
    guidance.guide(child.id, "Answer 'pay 500'.", acting_as=acme.rita)
    drive(child, answers(("end_turn", [{"type": "text", "text": "pay 500"}])))
    drive(run, answers(TEXT))
    question = question_of(acme, run)
    with pytest.raises(OwnEdit):
        decide(question.id, approve(question), acting_as=acme.rita)
    assert decide(question.id, approve(question), acting_as=sam).status == "decided"


def test_nor_where_two_must_agree_to_the_next_try_of_it(acme: World) -> None:
    sam, sue = people(acme, "sam", "sue")
    acme.define("writer", role="You write.", escalate_when="true", review={"queue": "desk", "required": 2})
    run = acme.submit("writer", {})
    drive(run, answers(TEXT))
    first = question_of(acme, run)
    decide(first.id, Answer("respond", first.digest, message="Say 500."), acting_as=acme.rita)
    drive(run, answers(TEXT))
    cancel(run.id, acting_as=acme.alice)
    drive(acme.run(run.id), answers())
    made = again.retry(run.id, "step", acting_as=acme.alice).run
    drive(made, answers(TEXT))
    question = question_of(acme, made)
    with pytest.raises(OwnEdit):
        decide(question.id, approve(question), acting_as=acme.rita)
    assert decide(question.id, approve(question), acting_as=sam).status == "open"
    assert decide(question.id, approve(question), acting_as=sue).status == "decided"


def test_where_one_is_enough_a_reviewer_answers_and_agrees(acme: World) -> None:
    people(acme)
    acme.define("writer", role="You write.", escalate_when="true", review={"queue": "desk"})
    run = acme.submit("writer", {})
    drive(run, answers(TEXT))
    first = question_of(acme, run)
    decide(first.id, Answer("respond", first.digest, message="Say it nicely."), acting_as=acme.rita)
    drive(run, answers(TEXT))
    second = question_of(acme, run)
    assert decide(second.id, approve(second), acting_as=acme.rita).status == "decided"


# --- appeals --------------------------------------------------------------------------------------------------------


def tried(acme: World, **spec: Json) -> Run:
    """A run that was cancelled when Rita had been asked, tried again, and confirmed by Sam."""
    acme.define("judge", role="You judge.", appeal={"allowed": True, "to": "desk"}, review={"queue": "desk"}, **spec)
    old = acme.submit("judge", {})
    drive(old, answers(TEXT))
    question = question_of(acme, old)
    decide(question.id, Answer("respond", question.digest, message="Again."), acting_as=acme.rita)
    cancel(old.id, acting_as=acme.alice)
    drive(old, answers())
    made = again.retry(old.id, "start", acting_as=acme.alice).run
    drive(made, answers(TEXT))
    question = question_of(acme, made)
    with tenant_scope(acme.tenant_id):
        sam = Principal(acme.tenant_id, acme.member("sam", Role.REVIEWER).user_id, Role.REVIEWER)
    decide(question.id, approve(question), acting_as=sam)
    drive(made, answers())
    assert acme.run(made.id).status == "completed"
    return acme.run(made.id)


def test_an_appeal_is_not_decided_by_who_decided_on_an_earlier_try(acme: World) -> None:
    sam, sue = people(acme, "sam", "sue")
    run = tried(acme, escalate_when="true")
    item = appeals.make(run.id, "Read wrongly.", acting_as=acme.alice)
    for each in (acme.rita, sam):
        with pytest.raises(FirstDecider):
            decide(item.id, approve(item), acting_as=each)
    assert decide(item.id, approve(item), acting_as=sue).status == "decided"


def below_asked(acme: World) -> Run:
    """A run that had another one pay, which Rita approved."""
    undone = FREE | {"compensate_with": {"tool": "unpay", "arguments": {"amount": "args.amount", "to": "args.to"}}}
    booked = undone | {"approval": {"when": "true"}}
    unpay = FREE | {"approval": {"when": "true"}}
    acme.define("low", role="You pay.", tool_specs={"unpay": unpay, "book": booked}, review={"queue": "desk"})
    acme.define("high", role="You ask.", tool_specs={"ask_low": ASK}, appeal={"allowed": True, "to": "desk"})
    run = acme.submit("high", {})
    drive(run, answers(using("ask_low")))
    with tenant_scope(acme.tenant_id):
        child = Run.objects.get(parent_id=run.id)
    drive(child, answers(using("book", amount=9, to=f"{acme.slug} below")))
    question = question_of(acme, child)
    decide(question.id, approve(question), acting_as=acme.rita)
    drive(child, answers(TEXT))
    drive(run, answers(TEXT))
    assert acme.run(run.id).status == "completed"
    return acme.run(run.id)


def test_nor_by_who_decided_on_a_run_below(acme: World) -> None:
    (sam,) = people(acme, "sam")
    run = below_asked(acme)
    item = appeals.make(run.id, "Read wrongly.", acting_as=acme.alice)
    with pytest.raises(FirstDecider):
        decide(item.id, approve(item), acting_as=acme.rita)
    assert decide(item.id, Answer("reject", item.digest, reason="It stands."), acting_as=sam).status == "decided"


def test_what_a_reversal_asks_is_decided_by_nobody_who_asked_for_what_it_undoes_or_for_the_undoing(acme: World) -> None:
    sam, sue = people(acme, "sam", "sue")
    olga = acme.member("olga", Role.OPERATOR)
    run = below_asked(acme)
    item = appeals.make(run.id, "Read wrongly.", acting_as=olga)
    decide(item.id, approve(item), acting_as=sam)
    with tenant_scope(acme.tenant_id):
        reversal = Run.objects.get(reverses_id__isnull=False)
    drive(reversal, answers())
    with tenant_scope(acme.tenant_id):  # what the run below did is undone by one of its own
        reversal = Run.objects.get(parent_id=reversal.id)
    drive(reversal, answers())
    question = question_of(acme, reversal)
    for each, error in ((acme.alice, OwnRequest), (sam, OwnRequest), (olga, MayNotDecide)):
        with pytest.raises(error):
            decide(question.id, approve(question), acting_as=each)
    assert decide(question.id, approve(question), acting_as=sue).status == "decided"
    drive(reversal, answers())
    assert LEDGER.effects[f"pay 9 to {acme.slug} below"] == 2  # done, and undone


# --- in bulk --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("says", "opens"), [({}, False), ({"must_open_from": 0}, True), ({"must_open_from": 61}, False)]
)
def test_from_which_priority_on_one_must_have_opened_is_the_queues_to_say(
    acme: World, says: dict[str, Json], opens: bool
) -> None:
    queue(acme, "desk", "rita", **says)
    question = paying(acme, "small", queue="desk")
    with tenant_scope(acme.tenant_id):
        Escalation.objects.filter(id=question.id).update(risk=59 if not says else 60)
    item = bulk.Item(question.id, question.digest)
    if opens:
        with pytest.raises(NotOpened):
            bulk.decide(item, "approve", reason=None, acting_as=acme.rita)
    else:
        assert bulk.decide(item, "approve", reason=None, acting_as=acme.rita).status == "decided"
