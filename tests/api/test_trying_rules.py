"""An agent's rules tried on its past runs, over REST."""

import itertools
import json
from typing import Any

import pytest

from agents.actions import trying_rules
from agents.models import Run
from audit.models import Payload, Record
from db.scope import tenant_scope
from escalations.actions import decisions
from tenants.models import Role
from tests.api.conftest import Caller, caller, member
from tests.escalations.asking import approve, question_of
from tests.escalations.conftest import answers, drive
from tests.worlds import LOOKUP, World

Json = Any

SCHEMA: Json = {
    "type": "object",
    "properties": {"decision": {"enum": ["approve", "reject"]}, "risk": {"type": "integer"}},
    "required": ["decision", "risk"],
}
HIGH: Json = {"when": "output.risk > 80", "then": "reject", "code": "RISK", "message": "The risk is too high."}


@pytest.fixture
def judging(acme: World) -> World:
    """A tenant whose agent decides under one rule: no approval above 90."""
    rule = {"id": "cap", "assert": "output.risk <= 90 || output.decision == 'reject'", "message": "Above 90: reject."}
    acme.define("judge", role="You judge.", tool_specs={"lookup": LOOKUP}, output_schema=SCHEMA, rules=[rule])
    acme.grant("review", acme.agent("judge"), acme.rita)
    return acme


def decide(acme: World, *outputs: Json, looked_up: bool = False) -> Run:
    """Have the agent answer so, one answer after the other."""
    run = acme.submit("judge", {"case": 1})
    said = [("end_turn", [{"type": "text", "text": json.dumps(each)}]) for each in outputs]
    use = {"type": "tool_use", "id": "toolu_1", "name": "lookup", "input": {"key": "k"}}
    drive(run, answers(*([("tool_use", [use])] if looked_up else []), *said))
    return acme.run(run.id)


def of(decision: str, risk: int) -> Json:
    return {"decision": decision, "risk": risk}


def test_rules_are_tried_on_what_runs_said(judging: World, alice: Caller) -> None:
    low = decide(judging, of("approve", 10))
    high = decide(judging, of("approve", 85))
    mended = decide(judging, of("approve", 95), of("reject", 95))

    tried = alice.post("agents/judge/try", {"changes": {"decisions": [HIGH]}})

    assert tried.status == 200, tried.content
    told = tried.json
    assert (told["runs"], told["answers"], told["undecided"], told["erased"]) == (3, 3, 0, 0)
    assert told["counts"] == {"pass_to_reject": 1, "retry_to_reject": 1}
    first, second = told["changes"]
    assert (first["run"], first["before"]["then"], first["before"]["rules"]) == (str(mended.id), "retry", ["cap"])
    assert (second["run"], second["version"]) == (str(high.id), 1)
    assert second["before"] == {"then": "pass", "code": None, "rules": [], "undecided": [], "message": ""}
    assert second["after"] == {
        "then": "reject",
        "code": "rule",
        "rules": ["RISK"],
        "undecided": [],
        "message": "The risk is too high.",
    }
    shown = alice.get(f"runs/{high.id}/events?after={second['seq'] - 1}").json["results"][0]
    assert (shown["type"], shown["data"]["output"]) == ("output.accepted", of("approve", 85))
    assert alice.get(f"runs/{low.id}").json["status"] == "completed"


def test_every_way_is_told_apart(judging: World, alice: Caller) -> None:
    decide(judging, of("approve", 10))

    def after(**changes: Json) -> Json:
        [change] = alice.post("agents/judge/try", {"changes": changes}).json["changes"]
        return change["after"]

    def which(**changes: Json) -> tuple[str, str, list[str]]:
        said = after(**changes)
        return said["then"], said["code"], said["rules"]

    bound = {"path": "/risk", "at_least": 20, "code": "SURE"}
    wanting = {"type": "object", "properties": {**SCHEMA["properties"], "why": {"type": "string"}}, "required": ["why"]}
    assert which(thresholds=[{**bound, "then": "escalate"}]) == ("escalate", "rule", ["SURE"])
    assert which(thresholds=[{**bound, "then": "retry"}]) == ("retry", "rule", ["SURE"])
    assert which(escalate_when="output.risk < 20") == ("escalate", "escalate_when", [])
    assert which(output_schema=wanting, rules=[]) == ("retry", "schema", [])
    assert which(decisions=[{**HIGH, "when": "tools.lookup.value == 'x'"}])[0] == "reject"
    assert after(decisions=[{**HIGH, "when": "tools.lookup.value == 'x'"}])["undecided"] == ["RISK"]
    assert alice.post("agents/judge/try").json["counts"] == {}


def test_a_rule_sees_what_the_tools_had_said_then(judging: World, alice: Caller) -> None:
    decide(judging, of("approve", 10), looked_up=True)
    wanted = {"decisions": [{**HIGH, "when": "tools.lookup.value == 'value of k' && input.case == 1"}]}
    assert alice.post("agents/judge/try", {"changes": wanted}).json["counts"] == {"pass_to_reject": 1}


def test_what_a_person_had_to_confirm_is_no_pass(judging: World, alice: Caller) -> None:
    spec = alice.get("agents/judge").json["spec"]
    alice.put("agents/judge", {"spec": {**spec, "escalate_when": "output.risk > 5"}}, If_Match="*")
    alice.post("agents/judge/versions")
    alice.post("agents/judge/versions/2/publish")
    run = decide(judging, of("approve", 10))
    question = question_of(judging, run)
    decisions.decide(question.id, approve(question), acting_as=judging.rita)
    drive(run, answers())

    assert alice.post("agents/judge/try", {"spec": spec}).json["counts"] == {"escalate_to_pass": 1}


def test_only_so_many_are_looked_at_and_then_those_behind_them(judging: World, alice: Caller) -> None:
    for _ in range(3):
        decide(judging, of("approve", 85))
    body = {"changes": {"decisions": [HIGH]}, "runs": 2}
    newest = alice.post("agents/judge/try", body).json
    older = alice.post("agents/judge/try", {**body, "before": newest["next"]}).json
    assert (newest["runs"], older["runs"], older["next"]) == (2, 1, None)
    runs = [each["run"] for each in newest["changes"] + older["changes"]]
    assert runs == sorted(runs, reverse=True)
    assert len(set(runs)) == 3
    assert newest["next"] == runs[1]


def test_when_the_time_is_up_no_other_run_is_begun(judging: World) -> None:
    for _ in range(3):
        decide(judging, of("approve", 85))
    late = itertools.chain([0.0, 1.0], itertools.repeat(trying_rules.LONGEST_S))
    found = trying_rules.trial(
        judging.agent("judge"), changes={"rules": []}, clock=lambda: next(late), acting_as=judging.alice
    )
    assert found.runs == 2
    assert found.next is not None


def test_nor_another_answer_of_the_same_run(judging: World) -> None:
    decide(judging, of("approve", 95), of("approve", 96), of("reject", 95))
    late = itertools.chain([0.0], itertools.repeat(trying_rules.LONGEST_S))
    found = trying_rules.trial(judging.agent("judge"), clock=lambda: next(late), acting_as=judging.alice)
    assert (found.runs, found.answers) == (1, 1)
    assert found.next is not None


def test_a_rule_that_would_hold_up_the_process_is_undecided(judging: World, alice: Caller) -> None:
    decide(judging, of("approve", 85))
    looping = f"'{'y' * 3000}'.matches('{'(x?){900}' * 9}z') || true"
    told = alice.post(
        "agents/judge/try", {"changes": {"rules": [{"id": "slow", "assert": looping, "message": "No."}]}}
    ).json
    assert (told["answers"], told["undecided"]) == (1, 1)
    (change,) = told["changes"]
    assert change["after"]["undecided"] == ["slow"]


def test_a_template_whose_rule_has_the_name_of_another_one_is_refused(judging: World, alice: Caller) -> None:
    sure = {"type": "object", "properties": {"confidence": {"type": "number"}}}
    mine = {"id": "high_stakes", "assert": "output.confidence > 0.9", "message": "No."}
    changes = {"output_schema": sure, "rules": [mine], "templates": ["high_stakes"]}
    refused = alice.post("agents/judge/try", {"changes": changes})
    assert refused.status == 422, refused.content
    assert "makes a rule of that name" in str(refused.json)


def test_what_was_erased_is_not_judged(judging: World, alice: Caller, superuser: Any) -> None:
    run = decide(judging, of("approve", 85))
    with tenant_scope(judging.tenant_id):
        asked = Record.objects.get(stream=run.id, action="model.answered").id
        assert Payload.objects.filter(record_id=asked).exists()
    superuser.execute("DELETE FROM audit_payload WHERE record_id = %s", [asked])
    told = alice.post("agents/judge/try", {"changes": {"decisions": [HIGH]}}).json
    assert (told["runs"], told["answers"], told["erased"], told["changes"]) == (1, 0, 1, [])


def test_what_cannot_be_published_is_not_tried(judging: World, alice: Caller) -> None:
    def refused(**changes: Json) -> tuple[str, list[str]]:
        answer = alice.post("agents/judge/try", {"changes": changes})
        return answer.code, answer.pointers

    assert refused(decisions=[{**HIGH, "when": "output.rsik > 1"}]) == (
        "invalid_document",
        ["/changes/decisions/0/when"],
    )
    assert refused(role="x") == ("invalid_body", ["/changes/role"])
    wrong = alice.post("agents/judge/try", {"before": "yesterday", "runs": 501})
    assert (wrong.code, sorted(wrong.pointers)) == ("invalid_body", ["/before", "/runs"])
    assert alice.post("agents/judge/try", {"before": "01A20682-E7E8-7082-9DCD-4314D75B66B2", "runs": 1.0}).status == 200
    assert alice.post("agents/nobody/try").code == "not_found"
    spec = {"role": "x", "model": {"id": "m"}, "rules": [HIGH]}
    assert alice.post("agents/judge/try", {"spec": spec}).code == "invalid_document"


def test_it_is_for_who_may_edit_the_agent_and_sees_what_runs_say(judging: World, bob: Caller, carol: Caller) -> None:
    body: Json = {"changes": {"rules": []}}
    assert bob.post("agents/judge/try", body).code == "missing_grant"
    assert carol.post("agents/judge/try", body).code == "not_found"
    assert bob.principal is not None
    judging.grant("edit", judging.agent("judge"), bob.principal)  # still a viewer, who sees no outputs
    assert bob.post("agents/judge/try", body).status == 403
    rob = member(judging, Role.REVIEWER, "rob")
    assert caller(judging, rob).post("agents/judge/try", body).status == 403
    judging.grant("edit", judging.agent("judge"), rob)
    assert caller(judging, rob).post("agents/judge/try", body).status == 200
    assert caller(judging, rob, "agents:write").post("agents/judge/try", body).status == 403
    with tenant_scope(judging.tenant_id):
        [kept] = Record.objects.filter(action="agent.tried")
    assert kept.actor == rob.actor
    assert kept.facts.keys() == {"digest", "runs", "answers", "changed", "via"}
