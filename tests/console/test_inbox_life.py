"""The inbox through a question's whole life: appeals, outputs, who has opened it, answers that are taken back."""

import re
from typing import Any
from uuid import UUID, uuid4

from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from agents.core import events as core
from agents.core.exact import disclose
from console import inbox_hold
from db.scope import tenant_scope
from escalations import permissions
from escalations.actions import appeals, queues
from escalations.models import Escalation, Queue, QueueMember, QueueTeam, Vote
from tenants.actions import teams
from tenants.models import Membership, Role
from tenants.principal import COMMAND
from tests.console import journals
from tests.console.conftest import email, peopled, signed_in
from tests.console.inboxes import Desk, desk
from tests.console.test_inbox import HTMX, answer, listed, shown
from tests.worlds import VERDICT, World


def appealed() -> tuple[World, UUID]:
    """Let a run that a person had approved be appealed against; return the appeal's question, which Rita decides."""
    at = peopled()
    with tenant_scope(at.tenant_id):
        queues.put("appeals", {"members": [email(at, "rita")]}, acting_as=at.alice)
    at.define("judge", role="You judge.", appeal={"allowed": True, "to": "appeals"})
    run = at.submit("judge", {"case": "case-17"})
    journals.begin(at, run.id)
    journals.append(at, run.id, journals.call_tool(1, 0, "lookup", {"key": "k"}))
    journals.append(at, run.id, journals.tool_answers(1, 0, "lookup", {"owed": 4711}))
    asked = journals.ask_person(at, run.id, turn=1, tool="pay", arguments={"amount": 1}, queue="elsewhere")
    journals.decide(at, run.id, asked, by=at.bob.user_id)
    journals.complete(at, run.id, {"verdict": "The claim is denied."})
    return at, appeals.make(run.id, "The receipt was overlooked.", acting_as=at.alice).id


def output_asked(at: World, agent: str, output: Any, **spec: Any) -> tuple[str, UUID]:
    """Let a run ask whether its output may be given out; return the question's address and the run."""
    with tenant_scope(at.tenant_id):
        queues.put("finance", {"members": [email(at, "rita")]}, acting_as=at.alice)
    at.define(agent, role="You answer.", **spec)
    run = at.submit(agent, {})
    journals.begin(at, run.id)
    escalation, allowed = uuid4(), ("approve", "reject", "edit", "respond")
    asks = core.DecisionRequested(
        escalation=str(escalation),
        kind="output",
        reason="low_confidence",
        allowed=allowed,
        turn=1,
        detail="Not sure.",
        digest=journals.DIGEST,
        proposal={"output": output},
        queue="finance",
    )
    with tenant_scope(at.tenant_id):
        last = journals.append(at, run.id, asks, status="waiting", waiting_for="decision", doing="low_confidence")
        Escalation.objects.create(
            id=escalation,
            run_id=run.id,
            agent_id=run.agent_id,
            seq=last,
            kind="output",
            reason="low_confidence",
            allowed=list(allowed),
            digest=journals.DIGEST,
            requester_id=run.principal_id,
            queue="finance",
            requested_at=timezone.now(),
        )
    return f"/{at.slug}/inbox/{escalation}/", run.id


def edited(text: str) -> dict[str, str]:
    return {"decision": "edit", "digest": journals.DIGEST, "reason": "It was wrong.", "output": text}


def test_an_output_is_edited_as_json_and_the_run_is_handed_what_was_written(database: None) -> None:
    at = peopled()
    path, run = output_asked(at, "judge", {"decision": "reject", "confidence": 0.5}, output_schema=VERDICT)
    rita = signed_in(at, "rita")
    form = shown(rita, f"{path}?do=edit")
    assert 'name="output"' in form
    assert "&quot;decision&quot;: &quot;reject&quot;\n}</textarea>" in form
    better = '{"decision": "approve", "confidence": 0.5}'
    difference = rita.post(f"{path}difference/", edited(better), headers=HTMX).content.decode()
    assert "is-removed" in difference
    assert "&quot;decision&quot;: &quot;approve&quot;" in difference
    for wrong, says in (("{", "The output is not JSON"), ("", "Write the output"), ("{}", "may not give this output")):
        refused = rita.post(f"{path}decide/", edited(wrong))
        assert says in refused.content.decode()
    assert rita.post(f"{path}decide/", edited(better)).status_code == 302
    made = at.events(run)[-1]
    assert (made.action, disclose(made.payload["output"])) == (
        "decision.made",
        {"decision": "approve", "confidence": 0.5},
    )


def test_an_output_in_words_is_edited_as_words(database: None) -> None:
    at = peopled()
    path, run = output_asked(at, "writer", "Dear Ada,\nno.")
    rita = signed_in(at, "rita")
    assert "Dear Ada,\nno.</textarea>" in shown(rita, f"{path}?do=edit")
    written = "Dear Ada,\r\nyes."
    difference = rita.post(f"{path}difference/", edited(written), headers=HTMX).content.decode()
    assert difference.count("Dear Ada,") == 1  # a line that stays
    assert rita.post(f"{path}decide/", edited(written)).status_code == 302
    assert at.events(run)[-1].payload["output"] == "Dear Ada,\nyes."


def test_an_appeal_shows_what_was_decided_why_it_is_appealed_and_all_that_the_run_did(database: None) -> None:
    at, appeal = appealed()
    rita = signed_in(at, "rita")
    inbox = shown(rita, f"/{at.slug}/inbox/")
    assert listed(inbox) == [str(appeal)]
    assert "The receipt was overlooked." in inbox
    page = shown(rita, f"/{at.slug}/inbox/{appeal}/")
    for words in (
        "The receipt was overlooked.",
        "What the run decided",
        "The claim is denied.",
        "case-17",
        "&quot;owed&quot;: 4711",
        "A person was asked",
        "Approved by bob",
        "What the run gave out",
        "Uphold",
    ):
        assert words in page, words


def test_what_was_said_to_an_appeal_stands_beside_the_answer(database: None) -> None:
    at, appeal = appealed()
    rita = signed_in(at, "rita")
    page = shown(rita, f"/{at.slug}/inbox/{appeal}/")
    [digest] = re.findall(r'name="digest" value="([0-9a-f]{64})"', page)
    given = {"decision": "reject", "digest": digest, "reason": "It was read in full."}
    assert rita.post(f"/{at.slug}/inbox/{appeal}/decide/", given).status_code == 302
    assert "It was read in full." in shown(rita, f"/{at.slug}/inbox/{appeal}/")


def test_how_a_question_ended_is_told_to_nobody_who_may_not_see_it(database: None) -> None:
    at = desk(2)
    rita = signed_in(at.world, "rita")
    at.change(1, status="expired")
    asked: dict[str, Any] = {"item": str(at.asked[1]), "open": "yes"}
    assert "Nothing you send here counts" in shown(rita, f"/{at.world.slug}/inbox/", data=asked, headers=HTMX)
    at.change(1, queue="legal")
    assert "Nothing you send here counts" not in shown(rita, f"/{at.world.slug}/inbox/", data=asked, headers=HTMX)


def test_opening_a_question_is_kept_once_and_a_glance_at_the_list_is_not(database: None) -> None:
    at = desk()
    rita = signed_in(at.world, "rita")
    shown(rita, f"/{at.world.slug}/inbox/")
    assert openings(at) == []
    shown(rita, at.path())
    shown(rita, at.path())
    shown(signed_in(at.world, "bob"), f"/{at.world.slug}/runs/")
    assert openings(at) == [at.world.rita.user_id]


def openings(at: Desk) -> list[UUID]:
    with tenant_scope(at.world.tenant_id):
        return list(at.escalation().openings.values_list("user_id", flat=True))


def test_an_approval_of_somebody_who_may_decide_no_more_is_not_counted(database: None) -> None:
    at = desk()
    at.change(0, required=2)
    with tenant_scope(at.world.tenant_id):
        Vote.objects.create(escalation=at.escalation(), user_id=at.world.bob.user_id, decision="approve")
    assert "0 of 2 have approved" in shown(signed_in(at.world, "rita"), at.path())


def test_an_answer_is_taken_back_by_who_gave_it_and_the_question_is_open_again(database: None) -> None:
    at = desk()
    with tenant_scope(at.world.tenant_id):
        members = [email(at.world, "rita")]
        queues.put("finance", {"members": members, "undo_s": 600}, acting_as=at.world.alice)
    rita, alice = signed_in(at.world, "rita"), signed_in(at.world, "alice")
    assert answer(at, rita, "approve").status_code == 302
    page = shown(rita, at.path())
    assert 'data-hotkey="z"' in page
    assert "you can take it back" in page
    assert 'data-hotkey="z"' not in shown(alice, at.path())
    assert alice.post(at.path(0, "undo/")).status_code == 403
    assert at.escalation().status == "decided"
    back = rita.post(at.path(0, "undo/"))
    assert "The question is open again." in shown(rita, back["Location"])
    assert at.escalation().status == "open"
    assert rita.post(at.path(0, "undo/")).status_code == 409


def test_who_steered_a_run_is_seen_by_who_approves_and_in_its_record(database: None) -> None:
    at = desk()
    run, by = at.run(), f"user:{at.world.bob.user_id}"
    journals.append(at.world, run.id, core.RunGuided(by=by, message="Pay it twice."), actor=by)
    arguments = {"amount": 7, "to": "Ada"}
    asked = journals.ask_person(at.world, run.id, turn=3, tool="pay", arguments=arguments, queue="finance")
    page = shown(signed_in(at.world, "rita"), f"/{at.world.slug}/inbox/{asked}/")
    assert "Guided by bob" in page
    assert "Pay it twice." in page
    alice = signed_in(at.world, "alice")
    assert "Guided" in shown(alice, f"/{at.world.slug}/runs/{run.id}/record/")
    assert "Pay it twice." in shown(alice, f"/{at.world.slug}/runs/{run.id}/conversation/")


def test_question_is_offered_to_all_who_may_decide_it_in_a_fixed_number_of_queries(database: None) -> None:
    at, counts = desk(1), list[int]()
    found, run = at.escalation(), at.world.run(at.escalation().run_id)
    for name in ("zoe", "tina"):
        added = at.world.member(name, Role.REVIEWER)
        with tenant_scope(at.world.tenant_id):
            queue = Queue.objects.get(slug=found.queue)
            if name == "zoe":
                QueueMember.objects.create(queue=queue, user_id=added.user_id)
            else:
                place: Any = {"tenant_id": at.world.tenant_id, "slug": "late", "emails": [email(at.world, name)]}
                QueueTeam.objects.create(queue=queue, team=teams.put(**place, acting_as=COMMAND))
            with CaptureQueriesContext(connection) as queries:
                offered = inbox_hold.deciders(found)
            counts.append(len(queries))
    assert counts[0] == counts[1]
    assert {email(at.world, name) for name in ("zoe", "tina", "rita")} <= set(offered)
    with tenant_scope(at.world.tenant_id):
        everybody = Membership.objects.values_list("user_id", flat=True)
        assert permissions.deciders(found, run) == {
            each for each in everybody if permissions.may_decide(each, found, run)
        }
