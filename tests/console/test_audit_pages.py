"""What those who answer for the journal do on its pages, and who else may not."""

import html
import re
from datetime import timedelta
from typing import Any
from unittest.mock import patch
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from agents.models import AgentVersion, Run
from audit.models import Record
from console import keeping_pages
from console.members import Member
from db.models import new_id
from db.scope import tenant_scope
from exports.models import Export
from learning.models import Feedback
from learning.presenters import by_version_json
from retention.actions import holds, terms
from retention.actions.holds import Over
from retention.models import Order
from tenants.actions import settings
from tenants.errors import SettingsChanged
from tenants.models import Role, Tenant, User
from tests.console.conftest import signed_in
from tests.console.keepers import SUBJECT, Desk, desk
from tests.console.test_tools import as_role
from tests.worlds import World
from webhooks.models import Endpoint


@pytest.fixture
def kept(database: None) -> Desk:
    return desk()


def shown(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, path
    return html.unescape(answer.content.decode())


def sent(client: Client, path: str, **given: Any) -> tuple[int, str]:
    """Send a form and follow it; returns the status of the answer itself and the page that one sees then."""
    answer = client.post(path, given)
    page = client.get(answer["Location"]) if answer.status_code == 302 else answer
    return answer.status_code, html.unescape(page.content.decode())


def orders(kept: Desk, kind: str) -> list[Order]:
    with tenant_scope(kept.world.tenant_id):
        return list(Order.objects.filter(kind=kind).order_by("-id"))


def ended_before(kept: Desk, *, days: int) -> None:
    """Have a run that was begun and has ended so many days ago, about which nobody was asked."""
    at = timezone.now() - timedelta(days=days)
    with patch("agents.actions.runs.new_id", lambda: UUID(int=new_id().int - (days * 24 * 3600 * 1000 << 80))):
        run = kept.world.submit("payer", {"customer_id": "other"})
    with tenant_scope(kept.world.tenant_id):
        Run.objects.filter(id=run.id).update(status="completed", created_at=at, ended_at=at)


def test_an_export_is_narrowed_as_the_search_was_and_a_bundle_never(kept: Desk) -> None:
    cora, base = kept.client("cora"), f"{kept.base}audit/"
    page = shown(cora, f"{base}?action=decision.made&q=words")
    [link] = re.findall(r'href="([^"]*exports/\?[^"]*)"', page)
    assert "this one has all that matches besides them" in page
    page = shown(cora, f"{base}?q=words")  # it would export everything
    assert ("exports/?" in page, "Words narrow no export" in page) == (False, True)
    assert f"{base}exports/?of=all" in shown(cora, base)
    assert link == f"{base}exports/?action=decision.made"
    assert 'value="decision.made"' in shown(cora, link)
    new = f"{base}exports/new/"
    for given, said in (
        ({"format": "bundle", "action": "decision.made"}, "A bundle proves that nothing of its period is missing"),
        ({"format": "zip"}, "Choose a format"),
        ({"format": "csv", "from": "2030-02-01", "to": "2030-01-01"}, "The period ends before it begins"),
        ({"format": "csv", "actor": "nobody@example.org"}, "is not a member"),
    ):
        status, page = sent(cora, new, **given)
        assert (status, said in page) == (422, True), given
    status, page = sent(cora, new, format="csv", action="decision.made", **{"from": "2030-01-01", "to": "2030-01-31"})
    assert (status, "CSV, from 2030-01-01 to 2030-01-31" in page) == (302, True)
    with tenant_scope(kept.world.tenant_id):
        export = Export.objects.get()
    assert (export.filter, export.payloads) == ({"action": "decision.made"}, False)
    assert f"{export.until}" == "2030-02-01 00:00:00+00:00"
    path, swap = f"{base}exports/{export.id}/", {"HX-Request": "true", "HX-Target": "export"}
    assert 'popovertarget="stop-export"' in shown(cora, path)
    part = cora.get(path, headers=swap).content.decode()
    assert "popover" not in part  # it would be gone with the next swap, before anybody answers it
    assert "export-stop" not in part
    kept.make()
    assert '<div id="export-stop" hx-swap-oob="true"></div>' in cora.get(path, headers=swap).content.decode()
    page = shown(cora, path)
    assert "stop-export" not in page
    assert f"/exports/{export.id}/download/" in page
    assert not re.search(r"<a[^>]*\sdownload\b", page)  # a browser would save a refusal's page as the export
    assert sent(cora, f"{base}exports/{export.id}/let-go/")[0] == 302
    assert "no longer kept" in shown(cora, f"{base}exports/{export.id}/")


def test_what_one_asks_for_another_confirms(kept: Desk) -> None:
    cora, carl, base = kept.client("cora"), kept.client("carl"), f"{kept.base}audit/"
    assert sent(cora, f"{base}holds/new/", over="subject", subject=SUBJECT, reason="")[0] == 422
    status, page = sent(cora, f"{base}holds/new/", over="subject", subject=SUBJECT, reason=f"About {SUBJECT}")
    assert (status, f'value="{SUBJECT}"' in page) == (422, True)
    assert sent(cora, f"{base}holds/new/", over="run", run="nonsense", reason="Case 12")[0] == 422
    assert sent(cora, f"{base}holds/new/", over="agent", agent="payer", reason="Case 12")[0] == 302
    [hold] = orders(kept, "hold")
    decide = f"{base}holds/{hold.id}/decide/"
    assert 'popovertarget="refuse-hold"' in shown(carl, f"{base}holds/{hold.id}/")
    assert "Take back what you asked for?" in shown(cora, f"{base}holds/{hold.id}/")
    assert "Another person" in sent(cora, decide, do="confirm", order=hold.id)[1]
    assert "in force" in sent(carl, decide, do="confirm", order=hold.id)[1]
    assert sent(carl, f"{base}holds/{hold.id}/release/", reason="Closed")[0] == 302
    [release] = orders(kept, "release")
    # What confirmed the hold, sent again, does not confirm its end.
    sent(cora, decide, do="confirm", order=hold.id)
    assert orders(kept, "release")[0].status == "asked"
    assert "released" in sent(cora, decide, do="confirm", order=release.id)[1]

    assert sent(cora, f"{base}retention/change/", runs="3", reason="R-7")[0] == 422
    assert "These are the terms as they are" in sent(cora, f"{base}retention/change/", reason="R-7")[1]
    ended_before(kept, days=500)
    assert sent(cora, f"{base}retention/change/", runs="400", deliveries="90", reason="R-7")[0] == 302
    [change] = orders(kept, "terms")
    # Twice: on the card, and in what asks back before it is confirmed.
    assert shown(carl, f"{base}retention/").count("by these terms: runs: 1; deliveries: none.") == 2
    assert change.terms == {"runs": 400, "deliveries": 90}
    assert "Another person" in sent(cora, f"{base}retention/{change.id}/decide/", do="confirm")[1]
    assert "400 days" in sent(carl, f"{base}retention/{change.id}/decide/", do="confirm")[1]
    with tenant_scope(kept.world.tenant_id):
        assert terms.in_force()["runs"] == 400


def test_a_longer_list_of_holds_asks_the_database_no_more(kept: Desk) -> None:
    world = kept.world
    member = Member(Tenant.objects.get(id=world.tenant_id), User.objects.get(id=kept.carl.user_id), kept.carl)
    counted = []
    for _ in range(2):
        with tenant_scope(world.tenant_id):
            holds.ask(Over(agent="payer"), "Case 12", acting_as=kept.cora)
            with CaptureQueriesContext(connection) as queries:
                assert keeping_pages.listed("hold", None, member).orders
        counted.append(len(queries))
    assert counted[0] == counted[1]


def test_who_does_not_answer_for_the_journal_asks_for_nothing(kept: Desk) -> None:
    alice, carol = kept.client("alice"), as_role(desk().world, Role.OWNER)
    for page in ("exports/new/", "holds/new/", "erasures/new/", "retention/change/"):
        for client, status in ((alice, 403), (carol, 404)):
            answer = client.post(f"{kept.base}audit/{page}", {"reason": "R", "runs": "7", "subject": SUBJECT})
            assert answer.status_code == status, page
    assert not any(orders(kept, kind) for kind in ("hold", "erasure", "terms"))


def test_the_story_is_told_with_its_proofs_and_reading_it_is_recorded(kept: Desk) -> None:
    kept.seal()
    cora, base = kept.client("cora"), f"{kept.base}audit/"
    page = shown(cora, f"{base}stories/{kept.run.id}/")
    for said in ("Approved with edits", "Four was agreed.", f"rita@{kept.world.slug}.example", "leaf "):
        assert said in page, said
    with tenant_scope(kept.world.tenant_id):
        read = Record.objects.filter(action="log.read").latest("id")
        made = Record.objects.get(stream=kept.run.id, action="decision.made")
    assert read.facts["story"] == str(kept.run.id)
    record = shown(cora, f"{base}{made.id}/")
    assert "Download the proof" in record
    assert not re.search(r"<a[^>]*\sdownload\b", record)  # a browser would save a refusal's page as the proof
    proof = cora.get(f"{base}{made.id}/proof/").content.decode()
    assert proof.startswith("c2sp.org/tlog-proof@v1\nindex ")
    head = shown(cora, f"{base}log/")
    assert "waits for its seal" in head  # that the story was read is a record, too
    kept.seal()
    assert "every record is sealed" in shown(cora, f"{base}log/")
    assert proof.partition("\n\n")[2].split("\n")[0] in head


def test_a_correction_is_kept_shown_and_let_go(kept: Desk) -> None:
    rita, bob, base = kept.client("rita"), kept.client("bob"), f"{kept.base}agents/payer/cases/"
    page = shown(rita, f"{kept.base}inbox/{kept.question}/")
    assert "Kept as a case" in page
    approved = page.partition("As it was approved:")[2].partition("</pre>")[0]
    assert '"amount": 4' in approved
    page = shown(rita, f"{base}{kept.case}/")
    assert "Look at what was agreed." in page
    assert '"amount": 4' in page
    assert '"amount": 4' not in shown(bob, f"{base}{kept.case}/")
    assert "No case is tagged happy" in shown(rita, f"{base}?tag=happy")
    sent(rita, f"{base}{kept.case}/remove/")
    assert rita.get(f"{base}{kept.case}/").status_code == 404
    keep = f"{kept.base}inbox/{kept.question}/keep/"
    for tag, note in (("none", "Look twice."), ("error", "Look twice." * 400)):
        status, page = sent(rita, keep, tag=tag, note=note)
        assert (status, note in page) == (422, True)
    # A browser counts the end of a line as one character and sends two.
    status, page = sent(rita, keep, tag="error", note="Again\r\n" * 660)
    assert (status, "Again\nAgain" in page) == (302, True)
    assert "4.0" in shown(bob, f"{kept.base}agents/payer/feedback/")
    assert "Right, but late." not in shown(bob, f"{kept.base}agents/payer/feedback/")


def test_feedback_is_counted_for_the_newest_versions_alone(kept: Desk) -> None:
    world, payer = kept.world, kept.world.agent("payer")
    with tenant_scope(world.tenant_id):
        first = AgentVersion.objects.get(id=kept.run.version_id)
        document = {**first.document, "role": "You pay twice."}
        again = AgentVersion.objects.create(
            agent=payer, number=2, document=document, compiled=first.compiled, digest="0" * 64
        )
        Feedback.objects.create(
            agent_id=payer.id, version_id=again.id, run_id=new_id(), score=2, created_at=timezone.now()
        )
        assert [each["version"] for each in by_version_json(payer.id)] == [2, 1]
        assert [each["version"] for each in by_version_json(payer.id, 1)] == [2]


def test_a_decision_is_appealed_against_once_by_who_may(kept: Desk) -> None:
    path = f"{kept.base}runs/{kept.run.id}/"
    assert kept.client("carl").post(f"{path}appeal/", {"reason": "Wrong"}).status_code == 403
    alice = kept.client("alice")
    assert sent(alice, f"{path}appeal/")[0] == 422
    status, page = sent(alice, f"{path}appeal/", reason="It was paid to somebody else.")
    assert (status, "waits to be decided" in page) == (302, True)
    assert "already" in sent(alice, f"{path}appeal/", reason="Again")[1]
    assert sent(alice, f"{path}feedback/", score="9")[0] == 422
    assert "2 of 5" in sent(alice, f"{path}feedback/", score="2", comment="No.\r\n" * 990)[1]


def test_owners_settle_what_holds_for_the_tenant(acme: World) -> None:
    olivia, path = as_role(acme, Role.OWNER), f"/{acme.slug}/settings/general/"
    [expected] = re.findall(r'name="expected" value="([^"]+)"', shown(olivia, path))
    given = {"undo_s": "20", "only": "yes", "hosts": "CRM.example, b.example"}
    assert sent(olivia, path, **given, expected="other")[0] == 412
    with pytest.raises(SettingsChanged):  # under the lock, so of two that change it at once one is told
        settings.put(acme.tenant_id, undo_s=1, webhook_hosts=None, expected="other", acting_as="test")
    status, page = sent(olivia, path, **given | {"undo_s": "-1"}, expected="other")
    assert (status, 'name="expected" value="other"' in page) == (422, True)  # so it is told once the rest is right
    assert sent(olivia, path, **given | {"undo_s": "-1"}, expected=expected)[0] == 422
    assert sent(olivia, path, **given | {"hosts": "no host!"}, expected=expected)[0] == 422
    assert sent(olivia, path, **given, expected=expected)[0] == 302
    row = Tenant.objects.get(slug=acme.slug)
    assert (row.undo_s, row.webhook_hosts) == (20, ["b.example", "crm.example"])


def test_a_webhook_tells_a_chat_tool_and_a_refused_key_opens_no_form(acme: World) -> None:
    olivia, base = as_role(acme, Role.OWNER), f"/{acme.slug}/developers/"
    olivia.post(f"{base}webhooks/new/", {"name": "chat", "url": "https://chat.example/", "form": "chat"})
    with tenant_scope(acme.tenant_id):
        assert Endpoint.objects.get(name="chat").form == "chat"
    alice = as_role(acme, Role.DEVELOPER)
    key = alice.post(f"{base}keys/new/", {"name": "mine", "scopes": ["runs:read"], "ends": ""}).content.decode()
    [rotate] = set(re.findall(r"/developers/keys/[0-9a-f-]+/rotate/", key))
    status, page = sent(olivia, f"/{acme.slug}{rotate}")
    assert (status, "mine is not replaced." in page) == (403, True)
    assert '<details class="form-part card">' in page


def test_an_unknown_one_is_not_there(kept: Desk) -> None:
    cora = kept.client("cora")
    for page in ("exports", "holds", "erasures", "stories"):
        assert cora.get(f"{kept.base}audit/{page}/{uuid4()}/").status_code == 404
    assert signed_in(kept.world, "rita").get(f"{kept.base}audit/exports/").status_code == 403
