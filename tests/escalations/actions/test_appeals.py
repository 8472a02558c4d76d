"""Appeals and second tries: decided by others than the first time, undone when upheld, and nothing done twice."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from agents.actions import again
from agents.actions.lineage import requesters
from agents.actions.runs import cancel
from agents.core.exact import disclose
from agents.errors import NothingToCarryOn, PartOfAnother, RunNotEnded, UnknownRun
from agents.models import Run
from db.scope import tenant_scope
from escalations.actions import appeals
from escalations.actions.decisions import Answer, decide
from escalations.errors import FirstDecider, NoAppeal, OwnRequest, UnknownEscalation
from escalations.models import Escalation
from escalations.presenters import evidence_json
from tenants.models import Role
from tests.escalations.asking import approve, mail, question_of, queue
from tests.escalations.conftest import answers, drive
from tests.worlds import LEDGER, LOOKUP, PAY, World, world

Json = Any

TEXT = ("end_turn", [{"type": "text", "text": "done"}])
BOOK: Json = PAY | {
    "effect": "write",
    "taint": "allow",
    "compensate_with": {"tool": "unpay", "arguments": {"amount": "args.amount", "to": "'back to ' + args.to"}},
}
ASK: Json = {"description": "Ask.", "type": "agent", "agent": {"name": "booker"}, "effect": "read", "taint": "allow"}
UNDO: Json = PAY | {"effect": "write", "taint": "allow", "approval": {"when": "false"}}


def calling(tool: str, place: int = 1, **arguments: Json) -> tuple[str, list[Json]]:
    return ("tool_use", [{"type": "tool_use", "id": f"toolu_{place}", "name": tool, "input": arguments}])


def decided(acme: World, **appeal: Json) -> Run:
    """A run that paid, whose output Rita confirmed."""
    acme.member("sam", Role.REVIEWER)
    queue(acme, "desk", "rita")
    queue(acme, "appeals", "rita", "sam")
    given = {"allowed": True, "within_s": 3600, "to": "appeals", **appeal}
    acme.define(
        "judge",
        role="You judge.",
        tool_specs={"unpay": UNDO, "book": BOOK},
        escalate_when="true",
        review={"queue": "desk"},
        appeal=given,
    )
    run = acme.submit("judge", {})
    drive(run, answers(calling("book", amount=9, to=acme.slug), TEXT))
    question = question_of(acme, run)
    decide(question.id, approve(question), acting_as=acme.rita)
    drive(run, answers())
    assert acme.run(run.id).status == "completed"
    return acme.run(run.id)


def sam(acme: World) -> Any:
    return acme.member("sam", Role.REVIEWER)


def test_every_final_decision_says_whether_and_until_when(acme: World) -> None:
    run = decided(acme)
    with tenant_scope(acme.tenant_id):
        found = appeals.of(run)
        assert found.why_not is None
        assert run.ended_at is not None
        assert found.until == run.ended_at + timedelta(hours=1)
        Run.objects.filter(id=run.id).update(ended_at=timezone.now() - timedelta(hours=2))
        assert appeals.of(acme.run(run.id)).why_not == "The time to appeal is over."
    with pytest.raises(NoAppeal):
        appeals.make(run.id, "Too late.", acting_as=acme.alice)


def test_an_agent_that_says_nothing_of_appeals_allows_none(acme: World) -> None:
    run = decided(acme, allowed=False)
    with pytest.raises(NoAppeal, match="cannot"):
        appeals.make(run.id, "But.", acting_as=acme.alice)
    with pytest.raises(UnknownRun):
        appeals.make(run.id, "But.", acting_as=world().alice)


def test_an_appeal_is_decided_by_people_who_had_no_part_in_it_with_the_whole_history(acme: World) -> None:
    run = decided(acme)
    item = appeals.make(run.id, "It was read wrongly.", acting_as=acme.alice)

    with pytest.raises(NoAppeal, match="already"):
        appeals.make(run.id, "Again.", acting_as=acme.alice)
    with pytest.raises(FirstDecider):
        decide(item.id, approve(item), acting_as=acme.rita)
    with pytest.raises(OwnRequest):
        decide(item.id, approve(item), acting_as=acme.alice)
    with pytest.raises(UnknownEscalation):
        decide(item.id, approve(item), acting_as=world().rita)
    with tenant_scope(acme.tenant_id):
        told = [each["type"] for each in evidence_json(item, payloads=True)]
    assert {"tool.finished", "decision.requested", "decision.made", "run.completed"} <= set(told)

    decide(item.id, Answer("reject", item.digest, reason="It stands."), acting_as=sam(acme))
    with tenant_scope(acme.tenant_id):
        assert appeals.of(run).status == "rejected"
    assert LEDGER.effects[f"pay 9 to back to {acme.slug}"] == 0


def test_an_appeal_that_is_upheld_undoes_what_the_run_did(acme: World) -> None:
    run = decided(acme)
    item = appeals.make(run.id, "It was read wrongly.", acting_as=acme.alice)
    decide(item.id, approve(item), acting_as=sam(acme))

    with tenant_scope(acme.tenant_id):
        found = appeals.of(run)
    assert found.status == "upheld"
    assert found.reversal is not None
    drive(acme.run(found.reversal), answers())

    undone = acme.run(found.reversal)
    assert undone.status == "completed"
    assert undone.model_calls == 0
    assert LEDGER.effects[f"pay 9 to back to {acme.slug}"] == 1
    assert disclose(acme.events(undone.id)[-1].payload["output"]) == {"reversed": str(run.id)}
    assert acme.actions(run.id)[-1] == "run.completed"


def test_it_undoes_what_the_runs_below_did_as_well(acme: World) -> None:
    acme.member("sam", Role.REVIEWER)
    queue(acme, "appeals", "sam")
    acme.define("booker", role="You book.", tool_specs={"unpay": UNDO, "book": BOOK})
    acme.define("boss", role="You ask.", tool_specs={"ask": ASK}, appeal={"allowed": True, "to": "appeals"})
    run = acme.submit("boss", {})
    drive(run, answers(calling("ask")))
    with tenant_scope(acme.tenant_id):
        child = Run.objects.get(parent_id=run.id)
    drive(child, answers(calling("book", amount=9, to=acme.slug), TEXT))
    drive(run, answers(TEXT))
    assert acme.run(run.id).status == "completed"

    item = appeals.make(run.id, "It was read wrongly.", acting_as=acme.alice)
    decide(item.id, approve(item), acting_as=sam(acme))

    with tenant_scope(acme.tenant_id):
        found = appeals.of(run)
        assert found.reversal is not None
        drive(acme.run(found.reversal), answers())
        below = Run.objects.get(parent_id=found.reversal)
    drive(below, answers())
    drive(acme.run(found.reversal), answers())
    assert LEDGER.effects[f"pay 9 to back to {acme.slug}"] == 1
    assert disclose(acme.events(found.reversal)[-1].payload["output"]) == {"reversed": str(run.id)}
    assert disclose(acme.events(below.id)[-1].payload["output"]) == {"reversed": str(child.id)}
    with pytest.raises(PartOfAnother):
        again.retry(child.id, "start", acting_as=acme.alice)
    with pytest.raises(NothingToCarryOn, match="undoes"):
        again.retry(found.reversal, "start", acting_as=acme.alice)


def test_the_queue_of_appeals_has_its_time_too(acme: World) -> None:
    run = decided(acme)
    queue(acme, "appeals", "sam", due_s=600)
    item = appeals.make(run.id, "It was read wrongly.", acting_as=acme.alice)
    with tenant_scope(acme.tenant_id):
        kept = Escalation.objects.get(id=item.id)
    assert kept.due_at == kept.requested_at + timedelta(seconds=600)
    assert kept.queue == "appeals"
    assert mail(acme, "sam")


# --- tried again ------------------------------------------------------------------------------------------------------


def stopped(acme: World) -> Run:
    """A run that looked something up, was asked about a payment, and was cancelled then."""
    acme.define("payer2", role="You pay.", tool_specs={"lookup": LOOKUP, "pay_late": PAY})
    run = acme.submit("payer2", {"to": acme.slug})
    drive(run, answers(calling("lookup", key=acme.slug), calling("pay_late", 2, amount=3, to=acme.slug)))
    cancel(run.id, acting_as=acme.alice)
    drive(run, answers())
    assert acme.run(run.id).status == "cancelled"
    return acme.run(run.id)


def test_a_run_tried_again_from_its_last_step_makes_no_call_twice(acme: World) -> None:
    old = stopped(acme)
    made = again.retry(old.id, "step", acting_as=acme.alice).run
    heard: list[Json] = []

    def answer(request: Any, *, timeout_s: float) -> Any:
        heard.extend(request.messages)
        return answers(TEXT)(request, timeout_s=timeout_s)

    drive(made, answer)

    assert acme.run(made.id).status == "completed"
    assert acme.run(made.id).retry_of_id == old.id
    assert LEDGER.effects[f"lookup {acme.slug}"] == 1
    results = [b for m in heard if m["role"] == "user" for b in m["content"] if b["type"] == "tool_result"]
    assert [each.get("is_error", False) for each in results] == [False, True]
    assert "not made" in results[1]["content"]


def test_a_run_tried_again_from_its_start_begins_anew(acme: World) -> None:
    old = stopped(acme)
    made = again.retry(old.id, "start", acting_as=acme.alice, idempotency_key="k").run
    assert again.retry(old.id, "start", acting_as=acme.alice, idempotency_key="k").run.id == made.id
    drive(made, answers(calling("lookup", key=acme.slug), TEXT))
    assert acme.run(made.id).status == "completed"
    assert acme.actions(made.id)[:3] == ["run.submitted", "run.retried", "run.started"]
    assert LEDGER.effects[f"lookup {acme.slug}"] == 2


def test_who_asked_for_the_first_try_decides_nothing_of_the_second(acme: World) -> None:
    old = stopped(acme)
    olga = acme.member("olga", Role.OWNER)
    made = again.retry(old.id, "start", acting_as=olga).run
    with tenant_scope(acme.tenant_id):
        assert {acme.alice.user_id, olga.user_id} <= requesters(made)


def test_what_goes_on_or_was_undone_is_not_carried_on(acme: World) -> None:
    with pytest.raises(NothingToCarryOn):
        again.retry(decided(acme).id, "step", acting_as=acme.alice)
    going = acme.submit("payer", {"to": acme.slug})
    with pytest.raises(RunNotEnded):
        again.retry(going.id, "start", acting_as=acme.alice)
    with pytest.raises(UnknownRun):
        again.retry(going.id, "start", acting_as=world().alice)
