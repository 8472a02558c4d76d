"""A run as a conversation and as a record, and its end by hand."""

from dataclasses import replace

import pytest

from console.conversation import conversation
from db.scope import tenant_scope
from escalations.models import Escalation
from tests.console import journals
from tests.console.conftest import signed_in
from tests.worlds import World


def asked(acme: World) -> str:
    run = acme.submit("refund-desk", {"order": "private-input"})
    journals.refund(acme, run.id)
    return f"/{acme.slug}/runs/{run.id}/"


def test_conversation_tells_who_said_what_in_order(acme: World) -> None:
    whole = signed_in(acme, "alice").get(f"{asked(acme)}conversation/").content.decode()
    page = whole.partition('aria-label="Conversation"')[2]
    places = [
        page.index(words)
        for words in (
            "private-input",
            "I look up the order and the customer first.",
            "The agent asks for get_order",
            "get_order answered",
            "get_customer failed",
            "The output was sent back",
            "The agent asks for refund_payment",
            "The tool cannot be undone.",
        )
    ]
    assert places == sorted(places)


def test_viewer_sees_that_something_was_said_and_not_what(acme: World) -> None:
    page = signed_in(acme, "bob").get(f"{asked(acme)}conversation/").content.decode()
    assert "Your role sees that something was said, not what." in page
    for secret in ("private-input", "1240.00", "Maren Vogt", "I look up", "No answer within"):
        assert secret not in page


def test_what_was_erased_says_so(acme: World) -> None:
    run = acme.submit("refund-desk", {"order": "1"})
    journals.refund(acme, run.id)
    [first, *_] = acme.events(run.id)
    erased = replace(first, payload=None, erased=True)
    [said] = conversation([erased], {}, payloads=True)
    assert (said.value, said.hidden) == ("", "What was said here has been erased.")


def test_record_names_who_decided_and_what_it_was_bound_to(acme: World) -> None:
    path = asked(acme)
    with tenant_scope(acme.tenant_id):
        escalation = Escalation.objects.get(run_id=path.split("/")[-2])
    journals.decide(acme, escalation.run_id, escalation.id, by=acme.rita.user_id)
    page = signed_in(acme, "bob").get(f"{path}record/").content.decode()
    assert f"rita@{acme.slug}.example" in page
    assert "Decided: approve" in page
    assert journals.DIGEST in page
    assert "claude-opus-4-7" in page


def test_question_leads_from_the_run_to_the_inbox(acme: World) -> None:
    path = asked(acme)
    assert "See it in the inbox" in signed_in(acme, "alice").get(path).content.decode()
    assert "inbox" not in signed_in(acme, "bob").get(path).content.decode().replace("inbox-count", "")


@pytest.mark.parametrize(("name", "offered"), [("alice", True), ("rita", False), ("bob", False)])
def test_only_who_may_end_a_run_is_offered_to(acme: World, name: str, offered: bool) -> None:
    assert ("Cancel run" in signed_in(acme, name).get(asked(acme)).content.decode()) is offered


def test_operator_ends_a_run(acme: World) -> None:
    path = asked(acme)
    alice = signed_in(acme, "alice")
    sent = alice.post(f"{path}cancel/")
    assert (sent.status_code, sent["Location"]) == (302, path)
    assert "was asked to stop" in alice.get(path).content.decode()
    with tenant_scope(acme.tenant_id):
        run = Escalation.objects.get(run_id=path.split("/")[-2]).run_id
    assert acme.actions(run)[-1] == "run.cancel_requested"


def test_run_that_has_ended_cannot_be_ended(acme: World) -> None:
    run = acme.submit("refund-desk", {"order": "1"})
    journals.begin(acme, run.id)
    journals.complete(acme, run.id, {"decision": "approve"})
    alice, path = signed_in(acme, "alice"), f"/{acme.slug}/runs/{run.id}/"
    assert "Cancel run" not in alice.get(path).content.decode()
    alice.post(f"{path}cancel/")
    assert "The run has ended already." in alice.get(path).content.decode()
