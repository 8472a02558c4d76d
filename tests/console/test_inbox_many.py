"""Whose a question is while it waits, and one answer to many questions."""

import re
from datetime import timedelta
from typing import Any

from django.test import Client
from django.utils import timezone

from audit.models import Record
from db.scope import tenant_scope
from escalations.models import Queue
from tests.console.conftest import email, peopled, signed_in
from tests.console.inboxes import Desk, desk


def many(at: Desk, client: Client, decision: str, *places: int, **more: str) -> Any:
    items = [f"{at.asked[place]}:{at.escalation(place).digest}" for place in places]
    return client.post(f"/{at.world.slug}/inbox/many/", {"decision": decision, "item": items, **more})


def told(at: Desk, place: int) -> list[str]:
    with tenant_scope(at.world.tenant_id):
        found = Record.objects.filter(stream=at.asked[place]).order_by("id")
        return list(found.values_list("action", flat=True))


def test_a_question_is_claimed_released_given_and_put_off(database: None) -> None:
    at = desk()
    rita = signed_in(at.world, "rita")
    assert rita.post(at.path(more="claim/")).status_code == 302
    assert "you have it" in rita.get(at.path()).content.decode()
    assert "rita@" in signed_in(at.world, "alice").get(f"/{at.world.slug}/inbox/?view=open").content.decode()
    rita.post(at.path(more="release/"))
    assert "you have it" not in rita.get(at.path()).content.decode()
    assert email(at.world, "rita") in rita.get(at.path(more="?do=assign")).content.decode()
    rita.post(at.path(more="assign/"), {"to": email(at.world, "rita")})
    rita.post(at.path(more="snooze/"), {"for": "1h"})
    assert at.escalation().snoozed_until is not None
    assert "Nothing needs you" in rita.get(f"/{at.world.slug}/inbox/").content.decode()
    assert "put off" in rita.get(at.path()).content.decode()
    assert [action for action in told(at, 0) if action != "decision.opened"] == [
        "decision.claimed",
        "decision.released",
        "decision.assigned",
        "decision.snoozed",
    ]


def test_what_is_refused_says_why_above_the_question(database: None) -> None:
    at = desk()
    rita = signed_in(at.world, "rita")
    nobody = rita.post(at.path(more="assign/"), {"to": "nobody@nowhere.example"})
    assert nobody.status_code == 422
    assert 'name="to"' in nobody.content.decode()
    viewer = rita.post(at.path(more="assign/"), {"to": email(at.world, "bob")})
    assert 400 <= viewer.status_code < 500
    assert "Choose for how long." in rita.post(at.path(more="snooze/"), {"for": "for ever"}).content.decode()
    assert at.escalation().assignee_id is None


def test_what_is_due_soon_cannot_be_put_off_and_says_so(database: None) -> None:
    at = desk()
    at.change(due_at=timezone.now() + timedelta(minutes=20))
    assert "It is due too soon to be put off." in signed_in(at.world, "rita").get(at.path()).content.decode()


def test_many_are_counted_first_and_then_answered(database: None) -> None:
    at = desk(4)
    at.press(3)
    rita = signed_in(at.world, "rita")
    preview = many(at, rita, "approve", 0, 1, 3)
    assert preview.status_code == 200
    page = preview.content.decode()
    assert "Approve 2 questions" in page
    assert "without having opened it" in page
    assert [at.escalation(place).status for place in range(4)] == ["open"] * 4
    tokens = re.findall(r'name="item" value="([^"]+)"', page)
    assert len(tokens) == 2
    sent = rita.post(
        f"/{at.world.slug}/inbox/many/", {"decision": "approve", "item": tokens, "confirmed": "yes"}, follow=True
    )
    assert "2 questions approved." in sent.content.decode()
    assert [at.escalation(place).status for place in range(4)] == ["decided", "decided", "open", "open"]


def test_rejecting_many_needs_a_reason_and_nothing_is_chosen_by_default(database: None) -> None:
    at = desk(2)
    rita = signed_in(at.world, "rita")
    refused = many(at, rita, "reject", 0, 1, confirmed="yes")
    assert refused.status_code == 422
    assert "Say why" in refused.content.decode()
    assert many(at, rita, "approve", confirmed="yes").status_code == 302
    assert {at.escalation(place).status for place in range(2)} == {"open"}
    many(at, rita, "reject", 0, 1, confirmed="yes", reason="Twice the same.")
    assert {at.escalation(place).decision for place in range(2)} == {"reject"}


def test_approving_much_at_stake_needs_a_reason_as_its_own_page_does(database: None) -> None:
    at = desk(2)
    at.press(1)
    rita = signed_in(at.world, "rita")
    rita.get(at.path(1))
    assert re.search(r"<textarea[^>]* required", many(at, rita, "approve", 0, 1).content.decode())
    refused = many(at, rita, "approve", 0, 1, confirmed="yes")
    assert refused.status_code == 422
    assert "Say why" in refused.content.decode()
    assert {at.escalation(place).status for place in range(2)} == {"open"}
    many(at, rita, "approve", 0, 1, confirmed="yes", reason="Both are owed.")
    assert {at.escalation(place).decision for place in range(2)} == {"approve"}


def test_the_count_keeps_to_what_the_queue_says_must_be_opened(database: None) -> None:
    at = desk(2)
    at.press(1)
    rita = signed_in(at.world, "rita")
    with tenant_scope(at.world.tenant_id):
        Queue.objects.update(must_open_from=0)
    assert "Nothing to approve" in many(at, rita, "approve", 0, 1).content.decode()
    with tenant_scope(at.world.tenant_id):
        Queue.objects.update(must_open_from=100)
    assert "Approve 2 questions" in many(at, rita, "approve", 0, 1).content.decode()


def test_what_changed_since_it_was_chosen_is_left(database: None) -> None:
    at = desk(2)
    rita = signed_in(at.world, "rita")
    items = [f"{at.asked[0]}:{'f' * 64}", f"{at.asked[1]}:{at.escalation(1).digest}"]
    page = rita.post(f"/{at.world.slug}/inbox/many/", {"decision": "approve", "item": items}).content.decode()
    assert "What it proposes has changed" in page
    sent = {"decision": "approve", "item": items, "confirmed": "yes"}
    assert "1 left as it was" in rita.post(f"/{at.world.slug}/inbox/many/", sent, follow=True).content.decode()
    assert [at.escalation(place).status for place in range(2)] == ["open", "decided"]


def test_another_tenants_questions_are_none(database: None) -> None:
    at, elsewhere = desk(1), peopled()
    carol = signed_in(elsewhere, "alice")
    items = [f"{at.asked[0]}:{at.escalation().digest}"]
    address = f"/{elsewhere.slug}/inbox/many/"
    page = carol.post(address, {"decision": "approve", "item": items}).content.decode()
    assert "Nothing to approve" in page
    assert "Ada 0" not in page
    carol.post(address, {"decision": "approve", "item": items, "confirmed": "yes"})
    assert at.escalation().status == "open"
