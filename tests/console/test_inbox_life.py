"""The inbox through a question's whole life: appeals, outputs, who has opened it, answers that are taken back."""

import re
from typing import Any
from uuid import UUID

from db.scope import tenant_scope
from escalations.actions import appeals, queues
from tests.console import journals
from tests.console.conftest import email, peopled, signed_in
from tests.console.inboxes import desk
from tests.console.test_inbox import HTMX, listed, shown
from tests.worlds import World


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
