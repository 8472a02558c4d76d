"""Whose a question is while it waits, in which order, and what becomes of one that nobody answers in time."""

from datetime import UTC, datetime, timedelta
from datetime import timezone as timezone_of
from typing import Any

import pytest
from django.utils import timezone

from db.scope import tenant_scope
from escalations import due
from escalations.actions import delegations, life
from escalations.actions.decisions import decide
from escalations.errors import (
    AlreadyClaimed,
    AlreadyDecided,
    BadTime,
    MayNotDecide,
    MayNotReview,
    NotClaimed,
    NotYours,
    OwnRequest,
    UnknownEscalation,
)
from escalations.models import Escalation
from escalations.permissions import concerning
from tenants.models import Role
from tests.escalations.asking import again, approve, demote, mail, paying, queue, story, time_comes
from tests.worlds import World, world

Json = Any


@pytest.fixture
def waiting(acme: World) -> Escalation:
    """A question in the queue credit, which Rita works."""
    queue(acme, "credit", "rita", due_s=3600)
    return paying(acme, "lender", queue="credit")


# --- whose it is ----------------------------------------------------------------------------------------------------


def test_who_claims_a_question_is_named_and_nobody_claims_it_from_them(acme: World, waiting: Escalation) -> None:
    sam = acme.member("sam", Role.OWNER)
    life.claim(waiting.id, acting_as=acme.rita)
    with pytest.raises(AlreadyClaimed):
        life.claim(waiting.id, acting_as=sam)
    now = again(acme, waiting)
    assert (now.claimed_by_id, now.assignee_id, now.status) == (acme.rita.user_id, acme.rita.user_id, "open")
    assert decide(waiting.id, approve(waiting), acting_as=sam).status == "decided"


def test_what_was_claimed_goes_back_to_its_queue(acme: World, waiting: Escalation) -> None:
    roy = acme.member("roy", Role.REVIEWER)
    queue(acme, "credit", "rita", "roy", due_s=3600)
    with pytest.raises(NotClaimed):
        life.release(waiting.id, acting_as=acme.rita)
    life.claim(waiting.id, acting_as=acme.rita)
    with pytest.raises(NotYours):
        life.release(waiting.id, acting_as=roy)
    life.release(waiting.id, acting_as=acme.alice)
    assert again(acme, waiting).claimed_by_id is None
    assert story(acme, waiting.id) == ["decision.claimed", "decision.released"]


def test_it_is_given_to_those_alone_who_may_decide_it(acme: World, waiting: Escalation) -> None:
    roy = acme.member("roy", Role.REVIEWER)
    for name in ("alice", "bob", "roy"):  # who asked for it, a viewer, one of no queue
        with pytest.raises(MayNotReview):
            life.assign(waiting.id, mail(acme, name), acting_as=acme.rita)
    queue(acme, "credit", "rita", "roy")
    life.assign(waiting.id, mail(acme, "roy"), acting_as=acme.rita)
    assert again(acme, waiting).assignee_id == roy.user_id


def test_strangers_do_nothing_to_a_question(acme: World, waiting: Escalation) -> None:
    carol = world().alice
    for verb in (life.claim, life.release):
        with pytest.raises(UnknownEscalation):
            verb(waiting.id, acting_as=carol)
    with pytest.raises(OwnRequest):
        life.claim(waiting.id, acting_as=acme.alice)
    assert story(acme, waiting.id) == []


def test_it_is_snoozed_no_longer_than_until_it_is_due(acme: World, waiting: Escalation) -> None:
    now = timezone.now()
    for until in (now - timedelta(seconds=1), now + timedelta(hours=2)):
        with pytest.raises(BadTime):
            life.snooze(waiting.id, until, acting_as=acme.rita)
    life.snooze(waiting.id, now + timedelta(minutes=5), acting_as=acme.rita)
    assert again(acme, waiting).snoozed_until == now + timedelta(minutes=5)


def test_what_is_decided_is_nobodys_any_more(acme: World, waiting: Escalation) -> None:
    decide(waiting.id, approve(waiting), acting_as=acme.rita)
    with pytest.raises(AlreadyDecided):
        life.claim(waiting.id, acting_as=acme.rita)


# --- away -----------------------------------------------------------------------------------------------------------


def test_nobody_stands_in_at_a_time_that_cannot_be_read_again(acme: World) -> None:
    acme.member("roy", Role.REVIEWER)
    begins = datetime(9999, 6, 1, tzinfo=UTC)
    last = datetime(9999, 12, 31, 23, 59, tzinfo=timezone_of(timedelta(hours=-14)))
    for start, end in ((begins, last), (timezone.now() + timedelta(days=3660), timezone.now() + timedelta(days=3700))):
        with pytest.raises(BadTime):
            delegations.add(to=mail(acme, "roy"), starts_at=start, ends_at=end, acting_as=acme.rita)


def away(acme: World, *, hours: int = 1, to: str = "roy") -> None:
    """Rita is away for some hours from now on, and somebody stands in."""
    now = timezone.now()
    times: Json = {"starts_at": now - timedelta(minutes=1), "ends_at": now + timedelta(hours=hours)}
    delegations.add(to=mail(acme, to), **times, acting_as=acme.rita)


def test_who_stands_in_decides_what_the_other_could(acme: World, waiting: Escalation) -> None:
    roy = acme.member("roy", Role.REVIEWER)
    with pytest.raises(UnknownEscalation):
        decide(waiting.id, approve(waiting), acting_as=roy)
    away(acme)
    with tenant_scope(acme.tenant_id):
        assert list(concerning(roy).values_list("id", flat=True)) == [waiting.id]
    assert decide(waiting.id, approve(waiting), acting_as=roy).status == "decided"


def test_nobody_stands_in_before_or_after_the_time(acme: World, waiting: Escalation) -> None:
    roy = acme.member("roy", Role.REVIEWER)
    later = timezone.now() + timedelta(hours=1)
    times: Json = {"starts_at": later, "ends_at": later + timedelta(hours=1)}
    delegations.add(to=mail(acme, "roy"), **times, acting_as=acme.rita)
    with pytest.raises(UnknownEscalation):
        decide(waiting.id, approve(waiting), acting_as=roy)


def test_neither_the_requester_nor_a_viewer_gets_anything_by_standing_in(acme: World, waiting: Escalation) -> None:
    now = timezone.now()
    times: Json = {"starts_at": now, "ends_at": now + timedelta(hours=1)}
    with pytest.raises(MayNotReview):
        delegations.add(to=mail(acme, "bob"), **times, acting_as=acme.rita)
    delegations.add(to=mail(acme, "alice"), **times, acting_as=acme.rita)
    with pytest.raises(OwnRequest):
        decide(waiting.id, approve(waiting), acting_as=acme.alice)


def test_the_requesters_right_is_lent_to_nobody_for_what_they_asked(acme: World) -> None:
    """Alice, an operator, may review every agent; what she asked for herself Roy decides by no right of hers."""
    question = paying(acme, "lender")
    roy = acme.member("roy", Role.REVIEWER)
    now = timezone.now()
    times: Json = {"starts_at": now - timedelta(minutes=1), "ends_at": now + timedelta(hours=1)}
    delegations.add(to=mail(acme, "roy"), **times, acting_as=acme.alice)
    with pytest.raises(MayNotDecide):
        decide(question.id, approve(question), acting_as=roy)


def test_one_right_is_one_vote_whoever_uses_it(acme: World) -> None:
    queue(acme, "credit", "rita")
    question = paying(acme, "lender", queue="credit", required=2)
    roy = acme.member("roy", Role.REVIEWER)
    away(acme)
    decide(question.id, approve(question), acting_as=acme.rita)
    with pytest.raises(MayNotDecide):
        decide(question.id, approve(question), acting_as=roy)


def test_two_who_stand_in_for_one_are_one_vote(acme: World) -> None:
    roy, ray, sue = (acme.member(name, Role.REVIEWER) for name in ("roy", "ray", "sue"))
    queue(acme, "credit", "rita", "sue")
    question = paying(acme, "lender", queue="credit", required=2)
    away(acme)
    away(acme, to="ray")
    assert decide(question.id, approve(question), acting_as=roy).status == "open"
    with pytest.raises(MayNotDecide, match="by the right"):
        decide(question.id, approve(question), acting_as=ray)
    assert decide(question.id, approve(question), acting_as=sue).status == "decided"


def test_who_has_a_right_of_their_own_leaves_the_lent_one_to_others(acme: World) -> None:
    ray = acme.member("ray", Role.REVIEWER)
    roy = acme.member("roy", Role.REVIEWER)
    queue(acme, "credit", "rita", "roy")
    question = paying(acme, "lender", queue="credit", required=2)
    away(acme)
    away(acme, to="ray")
    assert decide(question.id, approve(question), acting_as=ray).status == "open"
    assert decide(question.id, approve(question), acting_as=roy).status == "decided"


def test_who_may_review_no_more_lends_nothing(acme: World, waiting: Escalation) -> None:
    roy = acme.member("roy", Role.REVIEWER)
    away(acme)
    demote(acme, acme.rita)
    with pytest.raises(UnknownEscalation):
        decide(waiting.id, approve(waiting), acting_as=roy)


# --- in time --------------------------------------------------------------------------------------------------------


def test_people_are_reminded_before_it_is_due_and_then_it_goes_to_the_second_queue(acme: World) -> None:
    sue = acme.member("sue", Role.REVIEWER)
    queue(acme, "leads", "sue", due_s=600)
    queue(acme, "credit", "rita", due_s=3600, escalate_to="leads")
    question = paying(acme, "lender", queue="credit")
    assert question.due_at is not None
    assert question.look_at == question.requested_at + timedelta(seconds=3600 * due.REMIND_AFTER)

    time_comes(acme, question, of="look_at")
    reminded = again(acme, question)
    assert (reminded.queue, reminded.look_at) == ("credit", question.due_at)
    time_comes(acme, question, of="due_at")

    moved = again(acme, question)
    assert (moved.queue, moved.been_in, moved.status) == ("leads", ["credit"], "open")
    assert story(acme, question.id) == ["decision.reminded", "decision.escalated"]
    assert decide(question.id, approve(question), acting_as=sue).status == "decided"


def test_what_has_been_in_every_queue_is_overdue_and_moves_no_more(acme: World) -> None:
    queue(acme, "leads", "rita", due_s=600, escalate_to="credit")
    queue(acme, "credit", "rita", due_s=3600, escalate_to="leads")
    question = paying(acme, "lender", queue="credit")

    for _ in range(3):
        time_comes(acme, question, of="due_at")

    late = again(acme, question)
    assert (late.queue, late.been_in, late.status) == ("leads", ["credit"], "open")
    assert late.overdue_at is not None
    assert late.look_at is None
    assert story(acme, question.id) == ["decision.escalated", "decision.overdue"]


def test_the_sweep_finds_what_is_due_in_every_tenant_and_does_it_once(acme: World) -> None:
    queue(acme, "credit", "rita", due_s=3600)
    question = paying(acme, "lender", queue="credit")
    with tenant_scope(acme.tenant_id):
        Escalation.objects.filter(id=question.id).update(look_at=question.requested_at)

    due.see_to_all()
    due.see_to_all()

    assert story(acme, question.id) == ["decision.reminded"]
