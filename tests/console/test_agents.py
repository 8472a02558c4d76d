"""Agents in the console: made, published, compared, rolled back, run."""

import json
import re
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.template.loader import render_to_string
from django.test import Client

from agents.actions import tools
from agents.actions.trying_rules import Change, Trial
from agents.core.trials import Said
from agents.models import Agent
from console import forms
from console.agent_form import SECTIONS
from console.agent_pages import example_of
from db.scope import tenant_scope
from tests.console import journals
from tests.console.conftest import signed_in
from tests.worlds import PAY, VERDICT, World

FORM = {
    "role": "Pays invoices.",
    "constraints": "Pay nothing twice.\n\nSay why.",
    "model": "claude-sonnet-5",
    "max_tokens": "2048",
    "tools": ["escalate_to_human"],
    "output_schema": '{"type": "object", "properties": {"paid": {"type": "boolean"}}, "required": ["paid"]}',
    "usd": "0.50",
}


def draft(world: World, slug: str) -> Any:
    with tenant_scope(world.tenant_id):
        return Agent.objects.get(slug=slug).draft


def shown(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, path
    return answer.content.decode()


def test_an_operator_makes_and_publishes_an_agent(acme: World) -> None:
    alice, base = signed_in(acme, "alice"), f"/{acme.slug}/agents/"
    assert "Name" in shown(alice, f"{base}new/")
    sent = alice.post(f"{base}new/", {**FORM, "slug": "invoices"})
    assert (sent.status_code, sent["Location"]) == (302, f"{base}invoices/")
    assert draft(acme, "invoices") == {
        "role": "Pays invoices.",
        "constraints": ["Pay nothing twice.", "Say why."],
        "model": {"id": "claude-sonnet-5", "max_tokens": 2048},
        "tools": ["escalate_to_human"],
        "output_schema": {"type": "object", "properties": {"paid": {"type": "boolean"}}, "required": ["paid"]},
        "limits": {"usd": "0.50"},
    }
    page = shown(alice, f"{base}invoices/")
    assert "The draft is saved." in page
    assert "not published" in page
    alice.post(f"{base}invoices/publish/")
    page = shown(alice, f"{base}invoices/")
    assert "Version 1 is live" in page
    assert "Pay nothing twice." in page


def test_what_is_wrong_stands_at_its_field_and_nothing_is_lost(acme: World) -> None:
    alice, base = signed_in(acme, "alice"), f"/{acme.slug}/agents/"
    refused = alice.post(f"{base}new/", {**FORM, "slug": "invoices", "max_tokens": "many", "rules": "[{"})
    page = refused.content.decode()
    assert refused.status_code == 422
    assert "Write a whole number." in page
    assert "This is not JSON" in page
    assert "Pay nothing twice." in page
    refused = alice.post(f"{base}new/", {**FORM, "slug": "invoices", "tools": ["no_such_tool"]})
    assert refused.status_code == 422
    assert "no_such_tool" in refused.content.decode()
    with tenant_scope(acme.tenant_id):
        assert not Agent.objects.filter(slug="invoices").exists()


def test_agent_of_the_same_name_is_not_overwritten(acme: World) -> None:
    alice = signed_in(acme, "alice")
    refused = alice.post(f"/{acme.slug}/agents/new/", {**FORM, "slug": "refund-desk"})
    assert refused.status_code == 422
    assert "There is an agent refund-desk already" in refused.content.decode()


def test_draft_that_somebody_else_changed_meanwhile_is_not_overwritten(acme: World) -> None:
    alice, path = signed_in(acme, "alice"), f"/{acme.slug}/agents/refund-desk/draft/"
    [expected] = re.findall(r'name="expected" value="([0-9a-f]+)"', shown(alice, path))
    alice.post(path, {**FORM, "role": "First", "expected": expected})
    refused = alice.post(path, {**FORM, "role": "Second", "expected": expected})
    assert refused.status_code == 412
    assert "Second" in refused.content.decode()
    assert draft(acme, "refund-desk")["role"] == "First"


def test_preview_shows_what_the_model_is_told_and_its_tokens(acme: World) -> None:
    alice, path = signed_in(acme, "alice"), f"/{acme.slug}/agents/new/preview/"
    page = alice.post(path, FORM, headers={"HX-Request": "true"}).content.decode()
    assert "Pay nothing twice." in page
    assert "Tokens, about" in page
    assert "escalate_to_human" in page
    assert "<html" not in page
    whole = alice.post(path, {**FORM, "new": "yes"}).content.decode()
    assert "Tokens, about" in whole
    assert "<html" in whole
    wrong = alice.post(path, {**FORM, "escalate_when": "output."}, headers={"HX-Request": "true"}).content.decode()
    assert "/escalate_when" in wrong


def test_versions_are_compared_and_rolled_back(acme: World) -> None:
    alice, base = signed_in(acme, "alice"), f"/{acme.slug}/agents/refund-desk/"
    alice.post(f"{base}draft/", {**FORM, "role": "Refund desk, stricter"})
    alice.post(f"{base}publish/")
    page = shown(alice, f"{base}versions/1...2/")
    assert "is-removed" in page
    assert "Refund desk, stricter" in page
    assert "v2 live" in shown(alice, base)
    alice.post(f"{base}roll-back/")
    page = shown(alice, base)
    assert "Rolled back: version 1 is live again." in page
    assert "v1 live" in page
    alice.post(f"{base}roll-back/")
    assert "problem" in shown(alice, base)
    alice.post(f"{base}publish/", {"number": "2"})
    assert "v2 live" in shown(alice, base)
    assert alice.get(f"{base}versions/1...9/").status_code == 404


def test_run_is_started_from_the_page_and_a_wrong_input_says_so(acme: World) -> None:
    acme.define(
        "loans",
        role="Loans",
        output_schema=VERDICT,
        input_schema={"type": "object", "properties": {"loan": {"type": "string"}}, "required": ["loan"]},
    )
    alice, path = signed_in(acme, "alice"), f"/{acme.slug}/agents/loans/run/"
    assert "&quot;loan&quot;: &quot;…&quot;" in shown(alice, path)
    refused = alice.post(path, {"input": '{"loan": 7}'})
    assert refused.status_code == 422
    assert "/input/loan" in refused.content.decode()
    sent = alice.post(path, {"input": '{"loan": "L-7"}'})
    assert sent.status_code == 302
    assert "L-7" in shown(alice, sent["Location"])


@pytest.mark.parametrize("name", ["bob", "rita"])
def test_who_may_not_edit_is_offered_nothing_and_refused(acme: World, name: str) -> None:
    member, base = signed_in(acme, name), f"/{acme.slug}/agents/"
    assert "New agent" not in shown(member, base)
    page = shown(member, f"{base}refund-desk/")
    for words in ("Edit the draft", "Publish", "Roll back", "Start a run"):
        assert words not in page, words
    assert member.get(f"{base}refund-desk/draft/").status_code == 403
    assert member.post(f"{base}refund-desk/draft/", FORM).status_code == 403
    member.post(f"{base}refund-desk/publish/")
    assert "Neither the role" in shown(member, f"{base}refund-desk/")
    assert acme.agent("refund-desk").draft is None


def test_grant_to_edit_opens_the_draft_of_that_agent_alone(acme: World) -> None:
    acme.define("loans", role="Loans", output_schema=VERDICT)
    acme.grant("edit", acme.agent("loans"), acme.rita)
    rita, base = signed_in(acme, "rita"), f"/{acme.slug}/agents/"
    assert "Edit the draft" in shown(rita, f"{base}loans/")
    assert rita.post(f"{base}loans/draft/", FORM).status_code == 302
    assert rita.get(f"{base}refund-desk/draft/").status_code == 403


def test_another_tenants_agent_does_not_exist(acme: World, globex: World) -> None:
    globex.define("theirs", role="Theirs", output_schema=VERDICT)
    alice, base = signed_in(acme, "alice"), f"/{acme.slug}/agents/theirs/"
    for page in ("", "draft/", "run/", "versions/1...1/"):
        assert alice.get(base + page).status_code == 404, page
    for page in ("publish/", "roll-back/", "draft/", "run/"):
        assert alice.post(base + page, FORM).status_code == 404, page


def test_form_keeps_what_it_has_no_field_for() -> None:
    spec = {
        "role": "Pays",
        "model": {"id": "m", "effort": "high"},
        "tools": ["pay"],
        "triage": {"model": "small", "escalate_when": "true"},
        "review": {"queue": "finance", "required": 2},
        "rules": [{"id": "a", "assert": "true"}],
        "limits": {"usd": "0.50", "model_s": 60},
    }
    made, problems = forms.spec_of(forms.values_of(spec, SECTIONS), SECTIONS)
    assert problems == []
    assert made == spec


def test_example_input_fits_the_schema() -> None:
    schema = {
        "type": "object",
        "properties": {
            "kind": {"enum": ["a", "b"]},
            "count": {"type": "integer", "minimum": 3},
            "other": {"type": "string"},
        },
        "required": ["kind", "count"],
    }
    assert example_of(schema) == '{\n  "kind": "a",\n  "count": 3\n}'
    assert example_of(None) == "{}"


def test_tools_of_the_tenant_can_be_ticked(acme: World) -> None:
    acme.define("payments", role="Pays", output_schema=VERDICT, tool_specs={"pay": PAY})
    page = shown(signed_in(acme, "alice"), f"/{acme.slug}/agents/payments/draft/")
    assert re.search(r'value="pay" checked', page)
    assert 'value="escalate_to_human"' in page


def test_rules_of_the_form_are_tried_on_past_runs_and_nothing_is_saved(acme: World) -> None:
    run = acme.submit("refund-desk", {})
    journals.begin(acme, run.id)
    said = [{"type": "text", "text": '{"decision": "approve", "confidence": 0.2}'}]
    journals.append(acme, run.id, journals.ask_model(1), journals.model_answers(1, said, "end_turn"), model_calls=1)
    journals.complete(acme, run.id, {"decision": "approve", "confidence": 0.2})
    alice, path = signed_in(acme, "alice"), f"/{acme.slug}/agents/refund-desk/"
    rules = '[{"id": "sure", "assert": "output.confidence > 0.5", "message": "Unsure.", "on_fail": "reject"}]'
    assert f'formaction="{path}try/#trial"' in shown(alice, f"{path}draft/")  # what comes of it is below the fold
    page = alice.post(f"{path}try/", {**FORM, "output_schema": json.dumps(VERDICT), "rules": rules}).content.decode()
    assert 'id="trial"' in page
    assert "Its rules on past runs" in page
    assert f"/runs/{run.id}/?step=" in page
    assert "output.confidence &gt; 0.5" in page
    assert draft(acme, "refund-desk") is None
    refused = alice.post(f"{path}try/", {**FORM, "rules": "[{"})
    assert refused.status_code == 422
    assert signed_in(acme, "bob").post(f"{path}try/", FORM).status_code == 403


def test_trial_says_how_far_it_looked_and_how_much_it_shows(acme: World) -> None:
    change = Change(uuid4(), 4, 1, Said("pass"), Said("reject"))
    cut, whole = Trial(runs=100, answers=120, changes=[change] * 25, next=uuid4()), Trial(runs=3, answers=3)
    told = render_to_string("console/agents/_trial.html", {"trial": cut, "tenant": {"slug": acme.slug}})
    assert "The newest 20 of 25 are shown." in told
    assert "the newest 100 runs that ended" in told
    told = render_to_string("console/agents/_trial.html", {"trial": whole, "tenant": {"slug": acme.slug}})
    assert "Every answer that was judged would go the way it went." in told
    assert "older ones" not in told


def test_draft_is_rehearsed_without_being_live(acme: World) -> None:
    alice, path = signed_in(acme, "alice"), f"/{acme.slug}/agents/refund-desk/"
    schema = {"type": "object", "properties": {"order": {"type": "string"}}, "required": ["order"]}
    alice.post(f"{path}draft/", {**FORM, "role": "Second", "input_schema": json.dumps(schema)})
    assert "Rehearse the draft" in shown(alice, path)
    for text in ("{", "{}"):
        refused = alice.post(f"{path}run/", {"input": text, "version": "draft"})
        assert refused.status_code == 422
    with tenant_scope(acme.tenant_id):
        agent = Agent.objects.get(slug="refund-desk")
        assert (agent.draft is not None, agent.versions.count()) == (True, 1)  # a refused start leaves no trace
    assert 'value="draft" selected' in shown(alice, f"{path}run/?version=draft")
    sent = alice.post(f"{path}run/", {"input": '{"order": "1"}', "version": "draft"})
    run = acme.run(UUID(sent["Location"].split("/")[-2]))
    with tenant_scope(acme.tenant_id):
        live = Agent.objects.select_related("live").get(slug="refund-desk").live
    assert live is not None
    assert (run.version.number, live.number) == (2, 1)
    assert "Rehearsed as version 2" in shown(alice, sent["Location"])
    assert draft(acme, "refund-desk")["role"] == "Second"  # it can be worked on, and rehearsed, again
    alice.post(f"{path}publish/")
    with tenant_scope(acme.tenant_id):
        agent = Agent.objects.select_related("live").get(slug="refund-desk")
        assert (agent.live.number if agent.live else None, agent.versions.count()) == (2, 2)
    assert "Rehearse the draft" not in shown(alice, path)
    assert alice.post(f"{path}run/", {"input": '{"order": "1"}', "version": "draft"}).status_code == 422


def test_preview_says_what_to_think_about(acme: World) -> None:
    with tenant_scope(acme.tenant_id):
        tools.put("pay", PAY, acting_as=acme.alice)
    path = f"/{acme.slug}/agents/new/preview/"
    page = signed_in(acme, "alice").post(path, {**FORM, "tools": ["pay"]}, headers={"HX-Request": "true"})
    assert "pay: its description is vague." in page.content.decode()
