"""Policies over REST: defined, tried on what happened, taken away; and edits of a call at its question."""

from typing import Any

import pytest

from agents.actions import policies
from agents.models import Policy, PolicySet, Run
from db.scope import tenant_scope
from tenants.models import Role
from tests.api.conftest import Caller, caller
from tests.escalations.conftest import answers, drive
from tests.worlds import LEDGER, LOOKUP, PAY, World

Json = Any
LARGE = {"applies_to": {"tools": ["pay"]}, "when": "args.amount > 100", "then": "approve", "required": 2}
FREELY = {**PAY, "approval": {"when": "false"}}


@pytest.fixture
def paying(acme: World) -> World:
    """A tenant whose agent pays without asking anybody."""
    acme.define("payer", role="You pay.", tool_specs={"pay": FREELY})
    acme.grant("review", acme.agent("payer"), acme.rita)
    return acme


def pay(acme: World, amount: int) -> Run:
    """Have the agent pay so much; return the run where it stands then."""
    run = acme.submit("payer", {"to": acme.slug})
    use = {"type": "tool_use", "id": "toolu_1", "name": "pay", "input": {"amount": amount, "to": acme.slug}}
    drive(run, answers(("tool_use", [use]), ("end_turn", [{"type": "text", "text": "done"}])))
    return acme.run(run.id)


def test_a_policy_is_defined_read_replaced_and_taken_away(paying: World, alice: Caller) -> None:
    made = alice.put("policies/large", {"spec": LARGE}, If_None_Match="*")
    assert (made.status, made.json["version"], made.json["spec"]) == (201, 1, LARGE)
    assert alice.get("policies/large").headers["ETag"] == made.headers["ETag"]

    changed = alice.put("policies/large", {"spec": {**LARGE, "required": 3}}, If_Match=str(made.headers["ETag"]))
    assert (changed.status, changed.json["version"]) == (200, 2)
    assert changed.json["digest"] != made.json["digest"]
    stale = alice.put("policies/large", {"spec": LARGE}, If_Match=str(made.headers["ETag"]))
    assert stale.code == "precondition_failed"
    assert [each["name"] for each in alice.get("policies").json["results"]] == ["large"]

    assert alice("DELETE", "policies/large").status == 204
    assert alice("DELETE", "policies/large").code == "not_found"
    assert alice.get("policies").json["results"] == []


def test_a_policy_that_is_so_already_changes_nothing_for_anybody(paying: World, alice: Caller) -> None:
    def version() -> int:
        with tenant_scope(paying.tenant_id):
            return PolicySet.objects.get().version

    alice.put("policies/large", {"spec": LARGE}, If_None_Match="*")
    before = version()
    assert alice.put("policies/large", {"spec": LARGE}, If_Match="*").json["version"] == 1
    assert version() == before
    alice.put("policies/large", {"spec": {**LARGE, "required": 3}}, If_Match="*")
    assert version() == before + 1


def test_a_tenant_has_as_many_policies_as_a_question_can_name(paying: World, alice: Caller) -> None:
    with tenant_scope(paying.tenant_id):
        Policy.objects.bulk_create(Policy(name=f"p{each}", document=LARGE) for each in range(policies.MOST))
    assert alice.put("policies/large", {"spec": LARGE}, If_None_Match="*").code == "invalid_document"


def test_a_policy_that_cannot_work_is_refused_with_its_place(paying: World, alice: Caller) -> None:
    def refused(**changed: Json) -> tuple[str, list[str]]:
        answer = alice.put("policies/large", {"spec": {**LARGE, **changed}}, If_None_Match="*")
        return answer.code, answer.pointers

    assert refused(when="args.amuont > 1") == ("invalid_document", ["/spec/when"])
    assert refused(applies_to={"agents": ["nobody"]}) == ("invalid_document", ["/spec/applies_to/agents/0"])
    assert refused(then="ask") == ("invalid_document", ["/spec/then"])
    assert alice.put("policies/No%20Name", {"spec": LARGE}, If_None_Match="*").code == "invalid_document"


def test_a_policy_counts_for_the_next_call_of_every_version(paying: World, alice: Caller) -> None:
    assert pay(paying, 500).status == "completed"

    alice.put("policies/large", {"spec": LARGE}, If_None_Match="*")
    assert pay(paying, 50).status == "completed"
    assert pay(paying, 500).waiting_for == "decision"

    alice.put("policies/large", {"spec": {"applies_to": {"tools": ["pay"]}, "then": "deny"}}, If_Match="*")
    denied = pay(paying, 50)
    assert denied.status == "completed"
    assert "tool.denied" in paying.actions(denied.id)

    alice("DELETE", "policies/large")
    assert pay(paying, 500).status == "completed"
    assert LEDGER.effects[f"pay 500 to {paying.slug}"] == 2


def test_a_policy_is_tried_on_what_happened(paying: World, alice: Caller) -> None:
    for amount in (50, 500, 5000):
        pay(paying, amount)

    def tried(**spec: Json) -> Json:
        answer = alice.post("policies/large/try", {"spec": {**LARGE, **spec}})
        assert answer.status == 200, answer.content
        counts = ("runs", "calls", "hits", "asked_already", "undecided")
        return tuple(answer.json[name] for name in counts), answer.json["examples"]

    assert alice.post("policies/large/try").code == "not_found"
    counts, examples = tried()
    assert counts == (3, 3, 2, 0, 0)
    newest = examples[0]
    told = alice.get(f"runs/{newest['run']}/events?after={newest['seq'] - 1}").json["results"][0]
    assert (told["type"], told["data"]["arguments"]["amount"]) == ("tool.requested", 5000)
    assert tried(when="principal.role == 'operator' && run.agent == 'payer'")[0] == (3, 3, 3, 0, 0)
    assert tried(when="run.input.missing == 1")[0] == (3, 3, 3, 0, 3)
    assert tried(applies_to={"effects": ["read"]}, when="true")[0] == (3, 0, 0, 0, 0)

    alice.put("policies/large", {"spec": LARGE}, If_None_Match="*")
    pay(paying, 600)
    assert tried()[0] == (4, 4, 3, 1, 0)
    assert alice.post("policies/large/try", {"runs": 1}).json["hits"] == 1


def test_only_who_may_write_tools_changes_policies(paying: World, alice: Caller, bob: Caller, carol: Caller) -> None:
    assert bob.put("policies/large", {"spec": LARGE}, If_None_Match="*").code == "forbidden"
    alice.put("policies/large", {"spec": LARGE}, If_None_Match="*")
    assert bob.get("policies/large").status == 200
    assert bob("DELETE", "policies/large").code == "forbidden"
    assert bob.post("policies/large/try").code == "forbidden"
    assert carol.get("policies/large").code == carol("DELETE", "policies/large").code == "not_found"
    assert pay(paying, 500).waiting_for == "decision"


def test_an_approval_is_void_when_its_policy_has_changed(paying: World, alice: Caller, rita: Caller) -> None:
    alice.put("policies/large", {"spec": {**LARGE, "required": 1}}, If_None_Match="*")
    run = pay(paying, 500)

    def approve() -> None:
        escalation = alice.get(f"runs/{run.id}").json["escalations"][-1]
        digest = rita.get(f"escalations/{escalation}").json["proposal"]["digest"]
        answer = {"decision": "approve", "digest": digest}
        assert rita.post(f"escalations/{escalation}/decide", answer).status == 200

    approve()
    alice.put("policies/large", {"spec": {**LARGE, "required": 1, "when": "args.amount > 10"}}, If_Match="*")
    drive(paying.run(run.id), answers())
    assert paying.run(run.id).waiting_for == "decision"
    assert LEDGER.effects[f"pay 500 to {paying.slug}"] == 0

    approve()
    drive(paying.run(run.id), answers(("end_turn", [{"type": "text", "text": "done"}])))
    assert LEDGER.effects[f"pay 500 to {paying.slug}"] == 1


def test_who_has_read_what_strangers_wrote_asks_first_and_shows_it(acme: World, alice: Caller, rita: Caller) -> None:
    reads = {**LOOKUP, "data": {"untrusted": True, "private": True}}
    acme.define("payer", role="You pay.", tool_specs={"lookup": reads, "pay": FREELY})
    acme.grant("review", acme.agent("payer"), acme.rita)
    run = acme.submit("payer", {"to": acme.slug})
    look = {"type": "tool_use", "id": "toolu_1", "name": "lookup", "input": {"key": "mail"}}
    use = {"type": "tool_use", "id": "toolu_2", "name": "pay", "input": {"amount": 7, "to": acme.slug}}

    drive(run, answers(("tool_use", [look]), ("tool_use", [use])))

    [escalation] = alice.get(f"runs/{run.id}").json["escalations"]
    asked = rita.get(f"escalations/{escalation}").json
    assert (asked["reason"], asked["rule"]) == ("tainted", "the run has read untrusted content")
    [read] = asked["evidence"]
    assert (read["tool"], read["untrusted"], read["private"]) == ("lookup", True, True)
    assert read["result"]["value"] == "value of mail"
    assert LEDGER.effects[f"pay 7 to {acme.slug}"] == 0


# --- edits --------------------------------------------------------------------------------------------------------


def test_a_reviewer_changes_a_calls_arguments(paying: World, alice: Caller, rita: Caller) -> None:
    alice.put("policies/large", {"spec": {**LARGE, "required": 1}}, If_None_Match="*")
    run = pay(paying, 500)
    [escalation] = alice.get(f"runs/{run.id}").json["escalations"]
    asked = rita.get(f"escalations/{escalation}").json
    answer = {"decision": "edit", "digest": asked["proposal"]["digest"]}
    assert "edit" in asked["allowed"]

    def decide(**more: Json) -> Any:
        return rita.post(f"escalations/{escalation}/decide", {**answer, **more})

    wrong = decide(arguments={"amount": "much"})
    assert (wrong.code, sorted(wrong.pointers)) == ("invalid_arguments", ["/arguments", "/arguments/amount"])
    assert decide().code == "invalid_arguments"
    assert decide(arguments={"amount": 400, "to": paying.slug}).status == 200

    drive(paying.run(run.id), answers(("end_turn", [{"type": "text", "text": "done"}])))
    assert LEDGER.effects[f"pay 400 to {paying.slug}"] == 1
    assert LEDGER.effects[f"pay 500 to {paying.slug}"] == 0
    made = [event for event in alice.get(f"runs/{run.id}/events").json["results"] if event["type"] == "decision.made"]
    assert (made[0]["data"]["decision"], made[0]["data"]["arguments"]["amount"]) == ("edit", 400)


def test_where_several_must_agree_the_editor_is_none_of_them(paying: World, alice: Caller, rita: Caller) -> None:
    alice.put("policies/large", {"spec": LARGE}, If_None_Match="*")
    others = [caller(paying, paying.member(name, Role.REVIEWER)) for name in ("ron", "rob")]
    for each in others:
        assert each.principal is not None
        paying.grant("review", paying.agent("payer"), each.principal)
    run = pay(paying, 500)

    def decide(who: Caller, decision: str, **more: Json) -> Any:
        escalation = alice.get(f"runs/{run.id}").json["escalations"][-1]
        digest = who.get(f"escalations/{escalation}").json["proposal"]["digest"]
        return who.post(f"escalations/{escalation}/decide", {"decision": decision, "digest": digest, **more})

    assert decide(rita, "edit", arguments={"amount": 450, "to": paying.slug}).status == 200
    drive(paying.run(run.id), answers())
    assert paying.run(run.id).waiting_for == "decision"

    assert decide(rita, "approve").code == "own_edit"
    assert [decide(each, "approve").status for each in others] == [200, 200]
    drive(paying.run(run.id), answers(("end_turn", [{"type": "text", "text": "done"}])))
    assert LEDGER.effects[f"pay 450 to {paying.slug}"] == 1
