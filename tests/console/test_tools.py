"""Tools, policies, usage and the journal in the console."""

import re
from typing import Any

import pytest
from django.test import Client

from agents.models import Policy, Tool
from db.scope import tenant_scope
from tenants.models import Role, User
from tests.console import journals
from tests.console.conftest import signed_in
from tests.worlds import LEDGER, LOOKUP, PAY, VERDICT, World

FORM = {
    "name": "look_up",
    "description": "Look a key up.",
    "type": "python",
    "python": '{"function": "test_lookup"}',
    "input_schema": '{"type": "object", "properties": {"key": {"type": "string"}}, "required": ["key"]}',
    "effect": "read",
    "examples": '[{"input": {"key": "a"}, "output": {"value": 1}}, {"input": {"key": "?"}, "error": "unknown key"}]',
}


@pytest.fixture
def desk(acme: World) -> World:
    acme.define("payments", role="Pays", output_schema=VERDICT, tool_specs={"pay": PAY, "lookup": LOOKUP})
    return acme


def shown(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, path
    return answer.content.decode()


def as_role(world: World, role: Role) -> Client:
    world.member(f"some-{role}", role)
    client = Client()
    client.force_login(User.objects.get(email=f"some-{role}@{world.slug}.example"), "signin.backend.PeopleBackend")
    return client


def test_an_operator_defines_a_tool_and_changes_it(acme: World) -> None:
    alice, base = signed_in(acme, "alice"), f"/{acme.slug}/tools/"
    assert "No tool yet" in shown(alice, base)
    sent = alice.post(f"{base}new/", FORM)
    assert (sent.status_code, sent["Location"]) == (302, f"{base}look_up/")
    page = shown(alice, f"{base}look_up/")
    assert "unknown key" in page
    assert "Look a key up." in page
    assert alice.post(f"{base}new/", FORM).status_code == 422
    [expected] = re.findall(r'name="expected" value="([0-9a-f]+)"', shown(alice, f"{base}look_up/define/"))
    assert alice.post(f"{base}look_up/define/", {**FORM, "description": "New", "expected": expected}).status_code == 302
    assert alice.post(f"{base}look_up/define/", {**FORM, "expected": expected}).status_code == 412
    with tenant_scope(acme.tenant_id):
        live: Any = Tool.objects.select_related("live").get(name="look_up").live
    assert (live.number, live.document["description"]) == (2, "New")


def test_what_is_wrong_with_a_tool_is_said_and_kept_in_the_form(acme: World) -> None:
    refused = signed_in(acme, "alice").post(f"/{acme.slug}/tools/new/", {**FORM, "effect": "", "python": "{"})
    assert refused.status_code == 422
    assert "This is not JSON" in refused.content.decode()
    assert "Look a key up." in refused.content.decode()


def test_a_call_is_tried_and_its_answer_shown(desk: World) -> None:
    alice, path = signed_in(desk, "alice"), f"/{desk.slug}/tools/lookup/try/"
    page = alice.post(path, {"arguments": '{"key": "from-the-page"}'}).content.decode()
    assert "value of from-the-page" in page
    assert "finished" in page
    wrong = alice.post(path, {"arguments": "{}"})
    assert wrong.status_code == 422
    assert "/arguments" in wrong.content.decode()


def test_what_cannot_be_undone_is_tried_only_when_it_is_meant(desk: World) -> None:
    alice, path = signed_in(desk, "alice"), f"/{desk.slug}/tools/pay/try/"
    to = f"Ada of {desk.slug}"
    arguments = f'{{"amount": 5, "to": "{to}"}}'
    assert alice.post(path, {"arguments": arguments}).status_code == 422
    assert LEDGER.effects[f"pay 5 to {to}"] == 0
    assert "finished" in alice.post(path, {"arguments": arguments, "confirm": "yes"}).content.decode()
    assert LEDGER.effects[f"pay 5 to {to}"] == 1


def test_another_tenants_tool_does_not_exist(desk: World, globex: World) -> None:
    carol, base = signed_in(globex, "alice"), f"/{globex.slug}/tools/pay/"
    assert carol.get(base).status_code == carol.get(f"{base}define/").status_code == 404
    assert carol.post(f"{base}try/", {"arguments": "{}"}).status_code == 404


def test_viewer_reads_and_is_offered_nothing_to_change(desk: World) -> None:
    bob, base = signed_in(desk, "bob"), f"/{desk.slug}"
    assert "New tool" not in shown(bob, f"{base}/tools/")
    page = shown(bob, f"{base}/tools/pay/")
    for words in ("Change it", "Call it", "Who may use it"):
        assert words not in page
    assert "New policy" not in shown(bob, f"{base}/policies/")
    for place in ("Audit", "Usage", "Inbox"):
        assert f"<span>{place}</span>" not in page


def test_a_policy_is_tried_saved_changed_and_deleted(desk: World) -> None:
    alice, base = signed_in(desk, "alice"), f"/{desk.slug}/policies/"
    assert "No policy yet" in shown(alice, base)
    form = {"name": "large", "tools": ["pay"], "when": "args.amount > 100", "then": "approve", "required": "2"}
    tried = alice.post(f"{base}new/", {**form, "do": "try"}).content.decode()
    assert "Calls it applies to" in tried
    with tenant_scope(desk.tenant_id):
        assert not Policy.objects.exists()
    assert alice.post(f"{base}new/", form).status_code == 302
    assert "Calls that it asked about are made without asking" in shown(alice, base)
    assert "args.amount &gt; 100" in shown(alice, base)
    wrong = alice.post(f"{base}large/", {**form, "when": "args.nothing > 1"})
    assert wrong.status_code == 422
    assert "/when" in wrong.content.decode()
    alice.post(f"{base}large/", {**form, "then": "deny", "required": ""})
    with tenant_scope(desk.tenant_id):
        assert Policy.objects.get().document["then"] == "deny"
    page = shown(alice, base)
    assert ("Calls that it forbids are allowed again" in page, "asked about" in page) == (True, False)
    alice.post(f"{base}large/delete/")
    assert "No policy yet" in shown(alice, base)


def test_usage_adds_up_by_agent_and_day(desk: World) -> None:
    run = desk.submit("payments", {"order": "1"})
    journals.refund(desk, run.id)
    alice, path = signed_in(desk, "alice"), f"/{desk.slug}/usage/"
    page = shown(alice, f"{path}?by=agent&days=7")
    assert "payments" in page
    assert "$0.0500" in page
    assert "No budget is set." in page
    assert shown(alice, f"{path}?by=nonsense&days=nonsense")


def test_compliance_finds_who_decided_and_reading_leaves_a_record(desk: World) -> None:
    run = desk.submit("payments", {"order": "1"})
    asked = journals.refund(desk, run.id)
    journals.decide(desk, run.id, asked, by=desk.rita.user_id)
    carl, base = as_role(desk, Role.COMPLIANCE), f"/{desk.slug}/audit/"
    page = shown(carl, f"{base}?action=decision.made&actor=rita@{desk.slug}.example")
    [record] = re.findall(r"/audit/([0-9a-f-]{36})/", page)
    page = shown(carl, f"{base}{record}/")
    assert f"rita@{desk.slug}.example" in page
    assert f"/{desk.slug}/runs/{run.id}/record/" in page
    assert "Log read" in shown(carl, f"{base}?action=log.read")
    assert "Write a type of record" in shown(carl, f"{base}?action=nonsense")
    assert "is not a member" in shown(carl, f"{base}?actor=nobody@example.org")
    assert "No record matches" in shown(carl, f"{base}?from=2001-01-01&to=2001-01-02")
    assert carl.get(f"{base}{run.id}/").status_code == 404


def test_no_page_that_a_role_is_led_to_is_missing_or_broken(desk: World) -> None:
    run = desk.submit("payments", {"order": "1"})
    journals.refund(desk, run.id)
    for role in Role:
        client, seen, ahead = as_role(desk, role), set[str](), [f"/{desk.slug}/inbox/", f"/{desk.slug}/runs/"]
        while ahead:
            path = ahead.pop().split("#")[0].replace("&amp;", "&")
            if path in seen or not path.startswith(f"/{desk.slug}/"):
                continue
            seen.add(path)
            answer = client.get(path)
            if path == f"/{desk.slug}/settings/":  # it leads to the first of its pages that the role may open
                ahead.append(answer["Location"])
                continue
            refused = path == f"/{desk.slug}/inbox/" and role == Role.VIEWER
            assert answer.status_code == (403 if refused else 200), (role, path)
            if answer.status_code == 200 and answer["Content-Type"].startswith("text/html") and len(seen) < 120:
                ahead += re.findall(r'href="([^"?][^"]*)"', answer.content.decode())
