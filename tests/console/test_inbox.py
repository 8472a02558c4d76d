"""The inbox: who finds what in it, in which order, and what an answer does."""

import re
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from console import inbox_list
from db.scope import tenant_scope
from escalations.models import Vote
from tenants.models import Role
from tests.console import journals
from tests.console.conftest import signed_in
from tests.console.inboxes import Desk, desk
from tests.worlds import World

HTMX = {"HX-Request": "true"}


@pytest.fixture
def one(database: None) -> Desk:
    """A tenant with one question."""
    return desk()


def shown(client: Client, path: str, **more: Any) -> str:
    answer = client.get(path, **more)
    assert answer.status_code == 200
    return answer.content.decode()


def listed(page: str) -> list[str]:
    return re.findall(r'id="open-([0-9a-f-]{36})"', page)


def answer(at: Desk, client: Client, decision: str, *, place: int = 0, **more: str) -> Any:
    given = {"decision": decision, "digest": journals.DIGEST, **more}
    return client.post(at.path(place, "decide/"), given)


# --- the list ---------------------------------------------------------------------------------------------------------


def test_the_most_pressing_question_comes_first(database: None) -> None:
    at = desk(4)
    at.change(1, due_at=timezone.now() + timedelta(minutes=5))
    at.press(3)
    page = shown(signed_in(at.world, "rita"), f"/{at.world.slug}/inbox/")
    assert listed(page) == [str(at.asked[place]) for place in (3, 0, 1, 2)]
    assert "High risk" in page
    assert "4 min left" in page or "5 min left" in page


def test_navigation_says_how_many_need_the_reader(database: None) -> None:
    at = desk(2)
    count = re.compile(r'id="inbox-count">(\d*)')
    assert count.findall(shown(signed_in(at.world, "rita"), f"/{at.world.slug}/runs/")) == ["2"]
    # Alice asked for both runs, so neither is hers to decide.
    assert count.findall(shown(signed_in(at.world, "alice"), f"/{at.world.slug}/runs/")) == [""]


def test_what_one_asked_for_is_open_but_does_not_need_one(one: Desk) -> None:
    alice = signed_in(one.world, "alice")
    assert listed(shown(alice, f"/{one.world.slug}/inbox/")) == []
    assert listed(shown(alice, f"/{one.world.slug}/inbox/?view=open")) == [str(one.asked[0])]
    page = shown(alice, one.path())
    assert "You may not decide what was asked for by you or on your behalf." in page
    assert 'data-hotkey="a"' not in page


def test_views_hold_what_they_say(database: None) -> None:
    at = desk(2)
    rita, base = signed_in(at.world, "rita"), f"/{at.world.slug}/inbox/"
    answer(at, rita, "approve")
    assert listed(shown(rita, base)) == [str(at.asked[1])]
    assert listed(shown(rita, f"{base}?view=decided")) == [str(at.asked[0])]
    assert listed(shown(rita, f"{base}?view=risk")) == []
    assert listed(shown(rita, f"{base}?kind=output")) == []
    assert "Show all" in shown(rita, f"{base}?kind=output")


def test_pages_follow_each_other_without_gap_or_repetition(database: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox_list, "PAGE", 2)
    at = desk(5)
    at.press(1)
    rita, base = signed_in(at.world, "rita"), f"/{at.world.slug}/inbox/"
    query, seen = "?view=mine", list[str]()
    while query:
        page = shown(rita, base + query)
        seen += listed(page)
        more = re.search(r'href="[^"]*(\?[^"]*after=[^"]*)">More', page)
        query = more.group(1).replace("&amp;", "&") if more else ""
    assert seen == [str(at.asked[place]) for place in (1, 0, 2, 3, 4)]


def test_refresh_changes_nothing_until_something_changed(one: Desk) -> None:
    rita, base = signed_in(one.world, "rita"), f"/{one.world.slug}/inbox/"
    [digest] = re.findall(r'"shown": "([0-9a-f]+)"', shown(rita, base))
    asked = {"shown": digest, "item": str(one.asked[0]), "open": "yes", "view": "mine"}
    assert rita.get(base, asked, headers=HTMX).status_code == 204
    one.change(0, status="expired")
    page = shown(rita, base, data=asked, headers=HTMX)
    assert "Nothing you send here counts any more" in page
    assert "<html" not in page


def test_empty_inbox_says_what_will_come(one: Desk) -> None:
    one.change(0, status="withdrawn")
    page = shown(signed_in(one.world, "rita"), f"/{one.world.slug}/inbox/")
    assert "Nothing waits for you" in page
    assert "shows up here by itself" in page


def test_who_may_read_but_not_decide_has_no_view_of_what_needs_them(one: Desk) -> None:
    one.world.member("carl", Role.COMPLIANCE)
    carl = Client()
    carl.force_login(_user(one.world, "carl"), backend="signin.backend.PeopleBackend")
    page = shown(carl, f"/{one.world.slug}/inbox/")
    assert "Needs me" not in page
    assert listed(page) == [str(one.asked[0])]
    assert 'id="answers"' not in shown(carl, one.path())


# --- one question -----------------------------------------------------------------------------------------------------


def test_question_shows_why_what_evidence_and_consequence(one: Desk) -> None:
    one.change(0, rule="irreversible effect; policy large-payments")
    page = shown(signed_in(one.world, "rita"), one.path())
    for words in (
        "Pay: amount 100, to Ada 0",
        "Cannot be undone",
        "Policy large-payments",
        "Proposed call",
        "&quot;amount&quot;: 100",
        "Input of the run",
        "order-0",
        "&quot;owed&quot;: 100",
        "pay is called once, with exactly these arguments. This cannot be undone.",
        journals.DIGEST,
        "Cost so far",
    ):
        assert words in page, words


def test_another_tenants_question_is_one_that_does_not_exist(one: Desk, globex: World) -> None:
    carol = signed_in(globex, "alice")
    there = carol.get(f"/{globex.slug}/inbox/{one.asked[0]}/")
    nowhere = carol.get(f"/{globex.slug}/inbox/{uuid4()}/")
    assert there.status_code == nowhere.status_code == 404
    assert there.content == nowhere.content
    there = carol.post(f"/{globex.slug}/inbox/{one.asked[0]}/decide/", {"decision": "approve"})
    assert there.status_code == 404
    assert one.escalation().status == "open"


def test_question_of_another_queue_does_not_exist_for_a_reviewer(one: Desk) -> None:
    one.change(0, queue="legal")
    rita = signed_in(one.world, "rita")
    assert rita.get(one.path()).status_code == 404
    assert answer(one, rita, "approve").status_code == 404
    assert one.escalation().status == "open"


# --- the answer -------------------------------------------------------------------------------------------------------


def test_approval_is_recorded_for_the_run_and_the_next_question_is_shown(database: None) -> None:
    at = desk(2)
    rita = signed_in(at.world, "rita")
    went_on = answer(at, rita, "approve")
    assert went_on.status_code == 302
    assert went_on["Location"] == f"{at.path(1)}?view=mine"
    assert "Approved." in shown(rita, went_on["Location"])
    made = at.world.events(at.run().id)[-1]
    assert (made.action, made.actor, made.facts["decision"]) == (
        "decision.made",
        f"user:{at.world.rita.user_id}",
        "approve",
    )


def test_an_answer_leaves_the_list_as_narrowed_as_it_was(database: None) -> None:
    at = desk(2)
    went_on = signed_in(at.world, "rita").post(
        at.path(0, "decide/?view=mine&kind=tool_call&agent=payments"),
        {"decision": "approve", "digest": journals.DIGEST},
    )
    assert went_on["Location"] == f"{at.path(1)}?view=mine&kind=tool_call&agent=payments"


def test_what_narrows_the_list_leads_to_the_list_wherever_it_stands(database: None) -> None:
    at = desk(2)
    rita, base = signed_in(at.world, "rita"), f"/{at.world.slug}/inbox/"
    saved = {"place": "inbox", "query": "view=open&kind=tool_call", "name": "Calls"}
    rita.post(f"/{at.world.slug}/views/save/", saved)
    refused = rita.post(at.path(0, "decide/"), {"decision": "reject", "digest": journals.DIGEST}).content.decode()
    assert f'href="{base}?view=open&amp;kind=tool_call"' in refused
    assert re.search(rf'<form class="inbox-filters"[^>]* action="{base}"', refused)
    assert 'href="?' not in refused


def test_one_key_does_one_thing_whoever_has_it(one: Desk) -> None:
    rita = signed_in(one.world, "rita")
    one.change(assignee_id=one.world.rita.user_id)
    assert rita.get(one.path()).content.decode().count('data-hotkey="m"') == 1
    rita.post(one.path(more="claim/"))
    page = rita.get(one.path()).content.decode()
    assert page.count('data-hotkey="m"') == 1
    assert f'id="pick-{one.asked[0]}"' in page


def test_approval_inside_the_page_brings_the_next_question_and_the_list(database: None) -> None:
    at = desk(2)
    rita = signed_in(at.world, "rita")
    page = rita.post(at.path(0, "decide/"), {"decision": "approve", "digest": journals.DIGEST}, headers=HTMX)
    assert page.status_code == 200
    assert page["HX-Push-Url"] == f"{at.path(1)}?view=mine"
    text = page.content.decode()
    assert listed(text) == [str(at.asked[1])]
    assert "Ada 1" in text
    assert "<html" not in text


def test_rejection_needs_a_reason_and_keeps_it(one: Desk) -> None:
    rita = signed_in(one.world, "rita")
    refused = answer(one, rita, "reject")
    assert refused.status_code == 422
    assert "Say why: the reason is kept in the audit trail." in refused.content.decode()
    assert one.escalation().status == "open"
    answer(one, rita, "reject", reason="Not our customer")
    assert (one.escalation().decision, one.world.events(one.run().id)[-1].payload["reason"]) == (
        "reject",
        "Not our customer",
    )
    assert "Not our customer" in shown(rita, one.path())


def test_approval_of_what_cannot_be_undone_needs_a_reason(one: Desk) -> None:
    one.press(0)
    rita = signed_in(one.world, "rita")
    assert "do=approve" in shown(rita, one.path())
    assert answer(one, rita, "approve").status_code == 422
    answer(one, rita, "approve", reason="Checked with the customer")
    assert one.escalation().decision == "approve"


def test_edit_shows_its_difference_and_hands_the_run_the_new_arguments(one: Desk) -> None:
    rita = signed_in(one.world, "rita")
    edited = '{"amount": 60, "to": "Ada 0"}'
    page = rita.post(one.path(0, "difference/"), {"arguments": edited, "reason": "Half"}).content.decode()
    assert "is-removed" in page
    assert "&quot;amount&quot;: 60" in page
    assert "Half" in page
    answer(one, rita, "edit", arguments=edited, reason="Half of it")
    assert one.world.events(one.run().id)[-1].payload["arguments"] == {"amount": 60, "to": "Ada 0"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("{", "The arguments are not JSON"),
        ("[1]", "must be a JSON object"),
        ('{"amount": 0, "to": "Ada"}', "pay does not take these arguments"),
    ],
)
def test_arguments_that_cannot_be_are_refused_and_stay_in_the_form(one: Desk, arguments: str, says: str) -> None:
    refused = answer(one, signed_in(one.world, "rita"), "edit", arguments=arguments, reason="Less")
    page = refused.content.decode()
    assert refused.status_code == 422
    assert says in page
    assert arguments.replace('"', "&quot;") in page
    assert "Less" in page
    assert one.escalation().status == "open"


def test_response_reaches_the_run(one: Desk) -> None:
    rita = signed_in(one.world, "rita")
    assert answer(one, rita, "respond").status_code == 422
    answer(one, rita, "respond", message="Ask for the invoice first")
    assert one.world.events(one.run().id)[-1].payload["message"] == "Ask for the invoice first"


def test_whoever_comes_second_is_told_in_a_sentence(one: Desk) -> None:
    rita = signed_in(one.world, "rita")
    answer(one, rita, "approve")
    again = answer(one, rita, "approve")
    assert again.status_code == 409
    assert "This is decided already." in again.content.decode()


def test_another_digest_is_not_what_was_looked_at(one: Desk) -> None:
    refused = answer(one, signed_in(one.world, "rita"), "approve", digest="f" * 64)
    assert refused.status_code == 412
    assert "look at the proposal again" in refused.content.decode()
    assert one.escalation().status == "open"


def test_own_request_is_refused_and_recorded(one: Desk) -> None:
    from audit.models import Record

    refused = answer(one, signed_in(one.world, "alice"), "approve")
    assert refused.status_code == 403
    assert "You may not decide what was asked for by you" in refused.content.decode()
    with tenant_scope(one.world.tenant_id):
        record = Record.objects.get(action="access.refused")
    assert (record.facts["route"], record.facts["code"]) == ("console:inbox_decide", "own_request")


def test_four_eyes_count_one_vote_and_stay_open(one: Desk) -> None:
    one.change(0, required=2)
    rita = signed_in(one.world, "rita")
    went_on = answer(one, rita, "approve", reason="Fine with me")
    assert "1 more has to approve" in shown(rita, went_on["Location"])
    assert one.escalation().status == "open"
    with tenant_scope(one.world.tenant_id):
        assert Vote.objects.filter(escalation_id=one.asked[0]).count() == 1
    assert listed(shown(rita, f"/{one.world.slug}/inbox/")) == []
    assert "somebody else has to" in shown(rita, one.path())


def test_reconciling_takes_what_came_of_it(one: Desk) -> None:
    one.change(0, kind="reconcile", allowed=["approve", "reject", "respond"])
    rita = signed_in(one.world, "rita")
    page = shown(rita, one.path(0, "?do=approve"))
    assert "What came of it" in page
    answer(one, rita, "approve", output='{"paid": 100}')
    assert one.world.events(one.run().id)[-1].payload["output"] == {"paid": 100}


def test_names_from_runs_are_text(database: None) -> None:
    at = desk()
    run = at.world.submit("payments", {"order": "<script>alert(1)</script>"})
    journals.begin(at.world, run.id)
    arguments = {"amount": 1, "to": "<img src=x onerror=alert(1)>"}
    asked = journals.ask_person(at.world, run.id, turn=1, tool="pay", arguments=arguments, queue="finance")
    page = shown(signed_in(at.world, "rita"), f"/{at.world.slug}/inbox/{asked}/")
    assert "<script>alert" not in page
    assert "<img src=x" not in page


def _user(world: World, name: str) -> Any:
    from tenants.models import User

    return User.objects.get(email=f"{name}@{world.slug}.example")
