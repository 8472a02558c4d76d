"""Who is written to, when, and how little of what it is about the letter says."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from db.scope import tenant_scope
from escalations.actions import answers, appeals, decisions, delegations, life
from escalations.actions.decisions import Answer
from escalations.models import Escalation
from notices.models import Letter, Notice
from tenants.actions import teams
from tenants.models import Role
from tenants.principal import COMMAND
from tests.escalations.asking import again, approve, demote, mail, paying, question_of, queue, time_comes
from tests.escalations.conftest import answers as says
from tests.escalations.conftest import drive
from tests.notices.conftest import address, deliver, gather, letters, prefer, send, to
from tests.notices.postbox import Postbox
from tests.worlds import World, world


def test_who_works_the_queue_is_told_what_waits_and_not_what_it_is_about(
    acme: World, asked: Escalation, postbox: Postbox, settings: Any
) -> None:
    deliver(acme)

    [(recipient, letter)] = postbox.came
    assert recipient == mail(acme, "rita")
    assert letter["Subject"] == "Waits for you: a tool call to approve (lender)"
    assert letter["Message-ID"].endswith("@localhost>")
    assert letter["Auto-Submitted"] == "auto-generated"
    text = letter.get_content()
    assert "Agent: lender\nQueue: credit\n" in text
    assert f"{settings.BASE_URL}/{acme.slug}/inbox/{asked.id}/" in text
    assert f"{settings.BASE_URL}/{acme.slug}/settings/notices/" in text
    for private in ("alice", "rita", "bob", str(acme.alice.user_id), "pay_lender", f"{acme.slug} lender", "amount"):
        assert private not in text
    assert [each.status for each in letters(acme)] == ["sent"]


def test_members_by_team_and_who_stands_in_are_told_and_who_asked_is_not(acme: World, postbox: Postbox) -> None:
    for name, role in (("sam", Role.REVIEWER), ("dee", Role.REVIEWER), ("vic", Role.VIEWER)):
        acme.member(name, role)
    desk = [mail(acme, each) for each in ("sam", "vic")]
    teams.put(tenant_id=acme.tenant_id, slug="desk", emails=desk, acting_as=COMMAND)
    queue(acme, "credit", "rita", "alice", teams=["desk"])
    now = timezone.now()
    times: Any = {"starts_at": now - timedelta(hours=1), "ends_at": now + timedelta(days=1)}
    delegations.add(to=mail(acme, "dee"), **times, acting_as=acme.rita)
    paying(acme, "lender", queue="credit")

    deliver(acme)

    assert sorted(recipient for recipient, _ in postbox.came) == [mail(acme, each) for each in ("dee", "rita", "sam")]


def test_without_a_queue_who_reviews_the_agent_is_told_and_else_operators_and_owners(
    acme: World, postbox: Postbox
) -> None:
    acme.member("olga", Role.OWNER)
    paying(acme, "lender")
    deliver(acme)
    assert [recipient for recipient, _ in postbox.came] == [mail(acme, "olga")]

    acme.grant("review", acme.agent("lender"), acme.rita)
    run = acme.submit("lender", {})
    use = {"type": "tool_use", "id": "toolu_1", "name": "pay_lender", "input": {"amount": 7, "to": "x"}}
    drive(run, says(("tool_use", [use])))
    deliver(acme)

    assert [recipient for recipient, _ in postbox.came][1:] == [mail(acme, "rita")]


def test_whom_it_is_assigned_to_is_told_and_who_claims_it_needs_no_telling(
    acme: World, asked: Escalation, postbox: Postbox
) -> None:
    acme.member("sam", Role.REVIEWER)
    queue(acme, "credit", "rita", "sam")
    deliver(acme)
    postbox.came.clear()
    life.claim(asked.id, acting_as=acme.rita)
    deliver(acme)
    assert postbox.came == []

    life.assign(asked.id, mail(acme, "sam"), acting_as=acme.alice)
    deliver(acme)

    assert [recipient for recipient, _ in postbox.came] == [mail(acme, "sam")]
    assert "Assigned to you" in to(acme, postbox, "sam")[0]


def test_when_it_nears_its_time_people_are_reminded_and_overdue_the_second_queue_is_told(
    acme: World, postbox: Postbox
) -> None:
    lea = acme.member("lea", Role.REVIEWER)
    prefer(acme, lea, "at_once", time_zone="Asia/Tokyo")
    queue(acme, "leads", "lea", due_s=3600)
    queue(acme, "credit", "rita", due_s=3600, escalate_to="leads")
    question = paying(acme, "lender", queue="credit")
    deliver(acme)
    postbox.came.clear()

    time_comes(acme, question, of="look_at")
    deliver(acme)
    assert [recipient for recipient, _ in postbox.came] == [mail(acme, "rita")]
    assert to(acme, postbox, "rita")[0].startswith("Due soon, and still waits for you: a tool call to approve")
    postbox.came.clear()

    time_comes(acme, question, of="due_at")
    deliver(acme)
    [text] = to(acme, postbox, "lea")
    assert len(postbox.came) == 1
    due = again(acme, question).due_at
    assert due is not None
    tokyo = due + timedelta(hours=9)
    assert f"Due:   {tokyo.day} {tokyo:%B} {tokyo.year}, {tokyo:%H:%M} Asia/Tokyo" in text


def test_who_asked_is_told_of_the_decision_when_it_can_be_taken_back_no_more(acme: World, postbox: Postbox) -> None:
    queue(acme, "credit", "rita", undo_s=600)
    question = paying(acme, "lender", queue="credit")
    deliver(acme)
    postbox.came.clear()

    decisions.decide(question.id, Answer("reject", question.digest, reason="too much"), acting_as=acme.rita)
    deliver(acme)
    assert postbox.came == []
    answers.undo(question.id, acting_as=acme.rita)
    decisions.decide(question.id, approve(question), acting_as=acme.rita)
    with tenant_scope(acme.tenant_id):
        Escalation.objects.filter(id=question.id).update(effective_at=timezone.now())
    with tenant_scope(acme.tenant_id):
        answers.take_effect(question.id)
    deliver(acme)

    [(recipient, letter)] = postbox.came
    assert recipient == mail(acme, "alice")
    assert letter["Subject"] == "Decided on your request: a tool call to approve (lender)"
    assert "too much" not in letter.get_content()
    assert "rita" not in letter.get_content()
    assert f"/{acme.slug}/runs/{question.run_id}/" in letter.get_content()


def test_an_appeal_is_told_to_those_who_decide_it_and_not_to_the_first_deciders(acme: World, postbox: Postbox) -> None:
    acme.member("sam", Role.REVIEWER)
    queue(acme, "appeals", "rita", "sam")
    acme.define(
        "talker",
        role="You talk.",
        escalate_when="true",
        review={"queue": "appeals"},
        appeal={"allowed": True, "to": "appeals"},
    )
    run = acme.submit("talker", {})
    drive(run, says(("end_turn", [{"type": "text", "text": "no"}])))
    question = question_of(acme, run)
    decisions.decide(question.id, approve(question), acting_as=acme.rita)
    drive(run, says())
    deliver(acme)
    postbox.came.clear()

    appeals.make(run.id, "It was read wrongly.", acting_as=acme.alice)
    deliver(acme)

    [(recipient, letter)] = postbox.came
    assert recipient == mail(acme, "sam")
    assert letter["Subject"] == "An appeal waits for you: an appeal to decide (talker)"


@pytest.mark.parametrize("how", ["decided", "withdrawn"])
def test_what_is_open_no_more_is_not_told(acme: World, asked: Escalation, postbox: Postbox, how: str) -> None:
    address(acme)
    gather(acme)
    if how == "decided":
        decisions.decide(asked.id, approve(asked), acting_as=acme.rita)
        prefer(acme, acme.alice, "none")
    else:
        with tenant_scope(acme.tenant_id):
            Escalation.objects.update(status="withdrawn")

    send(acme)
    deliver(acme)

    assert postbox.came == []
    assert [each.status for each in letters(acme)] == ["void"]


def test_who_left_or_may_decide_no_more_is_not_told(acme: World, asked: Escalation, postbox: Postbox) -> None:
    demote(acme, acme.rita)
    deliver(acme)

    assert [recipient for recipient, _ in postbox.came] == []


def later(acme: World) -> None:
    """Let the time of every digest come."""
    with tenant_scope(acme.tenant_id):
        Notice.objects.update(send_at=timezone.now())
    deliver(acme)


def test_a_digest_asks_for_the_rights_again_when_it_is_sent(acme: World, postbox: Postbox) -> None:
    sam = acme.member("sam", Role.REVIEWER)
    for who in (acme.rita, sam):
        prefer(acme, who, "hourly")
    queue(acme, "credit", "rita", "sam")
    paying(acme, "lender", queue="credit")
    deliver(acme)
    assert postbox.came == []

    queue(acme, "credit", "sam")
    later(acme)

    assert [recipient for recipient, _ in postbox.came] == [mail(acme, "sam")]


def test_a_digest_leaves_out_what_its_reader_has_voted_on(acme: World, postbox: Postbox) -> None:
    acme.member("sam", Role.REVIEWER)
    prefer(acme, acme.rita, "hourly")
    queue(acme, "credit", "rita", "sam")
    asked = paying(acme, "lender", queue="credit", required=2)
    deliver(acme)
    postbox.came.clear()

    decisions.decide(asked.id, approve(asked), acting_as=acme.rita)
    later(acme)

    assert again(acme, asked).status == "open"
    assert postbox.came == []


def test_a_digest_does_not_call_assigned_what_somebody_else_was_given(acme: World, postbox: Postbox) -> None:
    acme.member("sam", Role.REVIEWER)
    prefer(acme, acme.rita, "hourly")
    queue(acme, "credit", "rita", "sam")
    asked = paying(acme, "lender", queue="credit")
    life.assign(asked.id, mail(acme, "rita"), acting_as=acme.alice)
    deliver(acme)
    postbox.came.clear()

    life.assign(asked.id, mail(acme, "sam"), acting_as=acme.alice)
    later(acme)

    assert "Assigned to you" not in "".join(to(acme, postbox, "rita"))


def test_a_digest_holds_what_came_and_is_sent_at_its_hour(acme: World, postbox: Postbox) -> None:
    prefer(acme, acme.rita, "hourly")
    queue(acme, "credit", "rita")
    first, second = (paying(acme, each, queue="credit") for each in ("lender", "payer"))
    deliver(acme)
    assert postbox.came == []
    with tenant_scope(acme.tenant_id):
        [at] = set(Notice.objects.values_list("send_at", flat=True))
        assert (at.minute, at.second) == (0, 0)
        Notice.objects.update(send_at=timezone.now())

    deliver(acme)

    [(_, letter)] = postbox.came
    assert letter["Subject"] == "2 notices from Countersign"
    text = letter.get_content()
    assert str(first.id) in text
    assert str(second.id) in text


def test_who_wants_none_is_sent_none(acme: World, postbox: Postbox) -> None:
    prefer(acme, acme.rita, "none")
    queue(acme, "credit", "rita")
    paying(acme, "lender", queue="credit")

    deliver(acme)

    assert (postbox.came, letters(acme)) == ([], [])


def test_nobody_is_told_of_another_tenants_questions(acme: World, asked: Escalation, postbox: Postbox) -> None:
    other = world()
    queue(other, "credit", "rita")
    paying(other, "lender", queue="credit")

    deliver(acme)

    assert [recipient for recipient, _ in postbox.came] == [mail(acme, "rita")]


def test_what_is_undone_is_told_to_nobody(acme: World, asked: Escalation, postbox: Postbox) -> None:
    deliver(acme)
    postbox.came.clear()
    from django.db import transaction

    with tenant_scope(acme.tenant_id):
        Escalation.objects.filter(id=asked.id).update(reminded_at=timezone.now())
        transaction.set_rollback(True)
    deliver(acme)

    assert postbox.came == []
    assert len(letters(acme)) == 1


def test_without_a_mail_server_nothing_is_kept(acme: World, asked: Escalation, settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"

    deliver(acme)

    with tenant_scope(acme.tenant_id):
        assert (Notice.objects.count(), Letter.objects.count()) == (0, 0)
