"""The story of one decision: from its submission to its effect, each step linked to its place in the log."""

import json
from io import StringIO

import pytest
from django.core.management import call_command

from audit.models import Record
from audit.sealer.loop import sealer
from db import session
from db.scope import tenant_scope
from escalations.actions.decisions import Answer, decide
from escalations.models import Escalation
from tenants.models import Role
from tests.api.conftest import Caller, caller, member
from tests.api.test_schema import fits
from tests.escalations.conftest import answers, drive
from tests.worlds import PAY, World

TEXT = ("end_turn", [{"type": "text", "text": "done"}])


@pytest.fixture
def decided(acme: World) -> str:
    """A run that paid what Rita approved; its id."""
    acme.define("payer", role="You pay.", tool_specs={"pay": PAY})
    acme.grant("review", acme.agent("payer"), acme.rita)
    run = acme.submit("payer", {"to": acme.slug})
    pay = {"type": "tool_use", "id": "toolu_1", "name": "pay", "input": {"amount": 5, "to": acme.slug}}
    drive(run, answers(("tool_use", [pay])))
    with tenant_scope(acme.tenant_id):
        question = Escalation.objects.get(run_id=run.id)
    decide(question.id, Answer("approve", question.digest, reason="it is due"), acting_as=acme.rita)
    drive(run, answers(TEXT))
    with session.connect() as connection:
        sealer(connection).seal(acme.tenant_id)
    return str(run.id)


def test_it_says_who_what_when_why_by_which_versions_and_where_the_proof_is(acme: World, decided: str) -> None:
    audrey = caller(acme, member(acme, Role.COMPLIANCE, "audrey"))

    answer = audrey.get(f"audit/stories/{decided}")

    assert fits(answer, "Story")
    told = answer.json
    assert (told["status"], told["asked_by"]) == ("completed", f"alice@{acme.slug}.example")
    assert (told["allowed"]["agent"], told["allowed"]["version"]) == ("payer", 1)
    assert {tool["name"]: tool["version"] for tool in told["allowed"]["tools"]}["pay"] == 1
    [asked] = told["decisions"]
    assert [(each["by"], each["decision"]) for each in asked["answers"]] == [(f"rita@{acme.slug}.example", "approve")]
    assert asked["kind"] == "tool_call"
    assert {"allowed", "how", "until", "to"} <= told["appeal"].keys()
    types = [event["type"] for event in told["events"]]
    assert types[0] == "run.submitted"
    assert types[-1].startswith(("run.", "budget."))
    assert [each for each in types if each.startswith(("decision.", "tool."))] == [
        "decision.requested",
        "decision.made",
        "tool.requested",
        "tool.finished",
    ]
    indexes = [event["index"] for event in told["events"]]
    assert None not in indexes
    assert max(indexes) < told["log"]["size"]
    [made] = [event for event in told["events"] if event["type"] == "decision.made"]
    assert (made["person"], made["data"]["reason"]) == (f"rita@{acme.slug}.example", "it is due")
    assert audrey.get(made["proof"]).json["index"] == made["index"]
    with tenant_scope(acme.tenant_id):
        read = Record.objects.filter(action="log.read").order_by("id")[0]
    assert read.facts["story"] == decided


def test_it_comes_in_pages_and_over_the_command_line(acme: World, decided: str, bob: Caller, carol: Caller) -> None:
    audrey = caller(acme, member(acme, Role.COMPLIANCE, "audrey"))
    whole = audrey.get(f"audit/stories/{decided}").json["events"]
    paged, after = [], 0
    while after is not None:
        page = audrey.get(f"audit/stories/{decided}?after={after}&limit=3").json
        paged += page["events"]
        after = page["next"]
    out = StringIO()
    call_command("audit", "story", "--tenant", acme.slug, decided, stdout=out)

    assert paged == whole
    assert [each["seq"] for each in json.loads(out.getvalue())["events"]] == [each["seq"] for each in whole]
    assert bob.get(f"audit/stories/{decided}").status == 403
    assert carol.get(f"audit/stories/{decided}").status == 404
