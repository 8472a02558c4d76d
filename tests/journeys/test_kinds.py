"""Each kind of question from a client's POST to the run's end, over HTTP: one server, one worker, people with keys.

What is asked is found in the inbox with all that helps to decide; the answer, going on, and what is done then are
records of their own.
"""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.db import connections
from pytest_django.plugin import DjangoDbBlocker

from ops.demo.rest import RestError
from tenants.models import Role
from tests.api.conftest import caller
from tests.faults.agents import http
from tests.faults.conftest import database, engine_variables, own_database, rig, variables
from tests.faults.effects import Fault
from tests.faults.provider import gifts, of_type
from tests.faults.rig import Rig, eventually

__all__ = ["database", "engine_variables", "own_database", "rig", "variables"]

Json = Any
pytestmark = pytest.mark.usefixtures("database", "desk")

LETTER: Json = {
    "type": "object",
    "properties": {"letter": {"type": "string", "minLength": 5}, "sure": {"type": "number"}},
    "required": ["letter", "sure"],
}


@pytest.fixture(scope="module")
def engine() -> str:
    """One engine: which dispatches the runs makes no difference here (`test_engines.py`)."""
    return "django_q"


@pytest.fixture(scope="module")
def desk(rig: Rig, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Agents that ask, Sue and Sam to decide beside Rita, and a worker."""
    with django_db_blocker.unblock():
        world = rig.world
        for name in ("sue", "sam"):
            rig.keys[name] = caller(world, world.member(name, Role.REVIEWER)).key or ""
        give = http("POST", f"{rig.effects.url}/each/{{case}}", effect="write", taint="allow")
        undo = http("POST", f"{rig.effects.url}/once/un-{{case}}", effect="write", taint="allow")
        undone = {"tool": "ungive", "arguments": {"case": "args.case"}}
        world.define("writer", role="You write letters.", output_schema=LETTER, escalate_when="output.sure < 0.7")
        world.define("asker", role="You ask back.", more_tools=["escalate_to_human"])
        world.define("reader-on", role="You read on.", more_tools=["read"], limits={"tool_calls": 1})
        appeal = {"allowed": True, "within_s": 3600}
        tools = {"ungive": undo, "give": {**give, "compensate_with": undone}}
        world.define("almoner", role="You hand out alms.", tool_specs=tools, appeal=appeal)
        world.define("pair", role="You pay two.", more_tools=["pay"])
        for agent in ("writer", "asker", "reader-on", "almoner", "pair", "payer"):
            for name in ("rita", "sue", "sam"):
                mail = f"{name}@{world.slug}.example"
                if (agent, name) != ("payer", "rita"):
                    rig.alice.post(f"agents/{agent}/grants", {"user": mail, "permission": "review"})
        connections.close_all()
    with rig.worker():
        yield


@pytest.fixture
def two(rig: Rig) -> Iterator[None]:
    """Two people have to approve payments."""
    place = f"policies/p{uuid4().hex[:8]}"
    rig.alice.put(place, {"spec": {"applies_to": {"tools": ["pay"]}, "then": "approve", "required": 2}}, new=True)
    yield
    rig.alice.delete(place)


def case() -> str:
    return uuid4().hex[:8]


def asked(rig: Rig, run: str, kind: str, reason: str, allowed: set[str]) -> Json:
    """What the run asks, as Rita finds it in the inbox: with everything that helps to decide, and not for who asked."""
    assert eventually(lambda: bool(rig.open_questions(rig.run(run))))
    assert eventually(lambda: rig.run(run)["waiting_for"] == "decision")
    rita = rig.api("rita")
    [listed] = [each for each in rita.every(f"escalations?status=open&kind={kind}") if each["run"] == run]
    found = rita.get(f"escalations/{listed['id']}")
    assert (found["kind"], found["reason"], found["status"]) == (kind, reason, "open")
    assert set(found["allowed"]) == set(found["consequences"]) == allowed
    assert all(found["consequences"].values())
    assert len(found["proposal"]["digest"]) == 64
    assert found["detail"]
    assert float(found["cost_usd"]) > 0
    assert refused(rig, "alice", found, "reject")[0] == 403
    assert refused(rig, "rita", found, "reject", digest="0" * 64) == (412, "digest_differs")
    return found


def refused(rig: Rig, who: str, question: Json, decision: str, **more: Json) -> tuple[int, str]:
    with pytest.raises(RestError) as caught:
        say(rig, who, question, decision, **more)
    return caught.value.status, caught.value.problem["code"]


def say(rig: Rig, who: str, question: Json, decision: str, **more: Json) -> Json:
    """Answer over REST."""
    body = {"decision": decision, "digest": question["proposal"]["digest"], **more}
    return rig.api(who).post(f"escalations/{question['id']}/decide", body)


def ended(rig: Rig, run: str, status: str = "completed") -> Json:
    found = rig.settle(run)
    assert found["status"] == status, rig.told(run)
    return found


def in_order(rig: Rig, run: str, *types: str) -> None:
    """These events stand in the run's journal one behind the other."""
    left = iter(event["type"] for event in rig.events(run))
    assert all(each in left for each in types), rig.told(run)


# --- a call of a tool -----------------------------------------------------------------------------------------------

CALL = {"approve", "reject", "edit", "respond"}


def payment(rig: Rig) -> tuple[str, Json]:
    run = rig.start("payer", {"case": case()})
    return run, asked(rig, run, "tool_call", "approval_required", CALL)


def test_a_call_is_approved_made_and_told(rig: Rig) -> None:
    run, question = payment(rig)
    assert (question["proposal"]["tool"], question["rule"]) == ("pay", "irreversible effect")
    assert gifts(rig, run) == 0
    assert say(rig, "rita", question, "approve")["status"] == "decided"
    assert refused(rig, "sue", question, "approve") == (409, "already_decided")
    done = ended(rig, run)
    assert done["output"].startswith("Paid for")
    assert gifts(rig, run) == 1
    in_order(
        rig, run, "decision.requested", "run.waiting", "decision.made", "run.resumed", "tool.requested", "tool.finished"
    )


def test_a_call_is_rejected_with_a_reason_and_the_model_is_told(rig: Rig) -> None:
    run, question = payment(rig)
    say(rig, "rita", question, "reject", reason="Not this one.")
    ended(rig, run)
    assert gifts(rig, run) == 0
    [made] = of_type(rig.events(run), "decision.made")
    assert (made["decision"], made["reason"]) == ("reject", "Not this one.")


def test_a_call_is_edited_checked_again_and_made_so(rig: Rig) -> None:
    run, question = payment(rig)
    assert refused(rig, "rita", question, "edit", arguments={"case": 5}) == (422, "invalid_arguments")
    other = case()
    say(rig, "rita", question, "edit", arguments={"case": other})
    ended(rig, run)
    assert [each.path for each in rig.effects.ledger.asked(run)] == [f"/each/{other}"]


def test_two_people_agree_to_a_call(rig: Rig, two: None) -> None:
    run, question = payment(rig)
    assert question["approvals"] == {"required": 2, "given": 0}
    assert say(rig, "rita", question, "approve")["approvals"]["given"] == 1
    assert refused(rig, "rita", question, "approve") == (403, "second_vote")
    assert gifts(rig, run) == 0
    assert say(rig, "sue", question, "approve")["status"] == "decided"
    ended(rig, run)
    assert gifts(rig, run) == 1


def test_what_a_cancelled_run_asked_is_withdrawn(rig: Rig) -> None:
    run, question = payment(rig)
    rig.alice.post(f"runs/{run}/cancel", {})
    ended(rig, run, "cancelled")
    assert rig.api("rita").get(f"escalations/{question['id']}")["status"] == "withdrawn"
    assert refused(rig, "rita", question, "approve") == (409, "already_decided")
    assert gifts(rig, run) == 0


def test_what_nobody_answers_in_time_is_denied(rig: Rig) -> None:
    place = f"policies/p{uuid4().hex[:8]}"
    spec = {"applies_to": {"tools": ["pay"]}, "then": "approve", "expires_s": 3600}
    rig.alice.put(place, {"spec": spec}, new=True)
    try:
        run, question = payment(rig)
    finally:
        rig.alice.delete(place)
    assert question["expires_at"]
    with rig.look.transaction():  # as if the hour were over: the database's clock rules, and is nobody's to set
        rig.look.execute("SET LOCAL session_replication_role = replica")
        rig.look.execute(
            "UPDATE audit_record SET facts = replace(facts::text, %s, '2026-01-01T00:00:00+00:00')::json"
            " WHERE stream = %s AND action = 'decision.requested'",
            [question["expires_at"], run],
        )
        rig.look.execute("UPDATE escalations_escalation SET expires_at = '2026-01-01' WHERE run_id = %s", [run])
    assert refused(rig, "rita", question, "approve") == (409, "already_decided")
    rig.look.execute("UPDATE agents_run SET due_at = now() WHERE id = %s", [run])
    rig.look.execute("NOTIFY countersign_runs")
    ended(rig, run)
    assert rig.api("rita").get(f"escalations/{question['id']}")["status"] == "expired"
    assert gifts(rig, run) == 0


def test_two_questions_of_one_run_are_two(rig: Rig) -> None:
    run = rig.start("pair", {"case": (which := case())})
    assert eventually(lambda: len(rig.open_questions(rig.run(run))) == 2)
    first, second = sorted(rig.open_questions(rig.run(run)), key=lambda each: str(each["proposal"]["arguments"]))
    assert refused(rig, "rita", first, "approve", digest=second["proposal"]["digest"]) == (412, "digest_differs")
    say(rig, "rita", second, "approve")
    say(rig, "sue", first, "reject", reason="One is enough.")
    ended(rig, run)
    assert [each.path for each in rig.effects.ledger.asked(run)] == [f"/each/{which}-b"]


# --- an output ------------------------------------------------------------------------------------------------------


def letter(rig: Rig) -> tuple[str, Json]:
    run = rig.start("writer", {"case": case()})
    question = asked(rig, run, "output", "escalate_when", CALL)
    assert question["proposal"]["output"]["sure"] == 0.4
    assert question["rule"] == "output.sure < 0.7"
    return run, question


@pytest.mark.parametrize(
    ("decision", "more", "status", "output"),
    [
        ("approve", {}, "completed", 0.4),
        ("reject", {"reason": "Too short."}, "failed", None),
        ("edit", {"output": {"letter": "Dear Grace.", "sure": 0.8}}, "completed", 0.8),
        ("respond", {"message": "Thank her, too."}, "completed", 0.9),
    ],
)
def test_an_output_is_confirmed_or_not(rig: Rig, decision: str, more: Json, status: str, output: Json) -> None:
    run, question = letter(rig)
    if decision == "edit":
        assert refused(rig, "rita", question, "edit", output={"letter": "x"}) == (422, "invalid_output")
    say(rig, "rita", question, decision, **more)
    done = ended(rig, run, status)
    assert (done["output"] or {}).get("sure") == output
    in_order(rig, run, "output.accepted", "decision.requested", "decision.made", f"run.{status}")
    if status == "failed":
        assert done["error"]["code"] == "output_rejected"
        assert done["error"]["detail"] == "Too short."


# --- a question of the model's own ----------------------------------------------------------------------------------


def test_a_question_is_answered(rig: Rig) -> None:
    run = rig.start("asker", {"case": (which := case())})
    question = asked(rig, run, "question", "model_asked", {"respond", "reject"})
    assert question["detail"] == f"Which account for {which}?"
    assert refused(rig, "rita", question, "respond") == (422, "message_missing")
    assert refused(rig, "rita", question, "approve") == (422, "answer_not_allowed")
    say(rig, "rita", question, "respond", message="The second one.")
    assert "The second one." in ended(rig, run)["output"]


# --- a budget -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("decision", "more", "status"),
    [("approve", {}, "completed"), ("reject", {"reason": "Enough."}, "failed")],
)
def test_a_limit_is_extended_or_not(rig: Rig, decision: str, more: Json, status: str) -> None:
    run = rig.start("reader-on", {"case": case()})
    question = asked(rig, run, "budget", "tool_calls", {"approve", "edit", "reject"})
    assert question["proposal"]["arguments"] == {"tool_calls": 1}
    assert [each["tool"] for each in question["evidence"]] == ["read"]
    say(rig, "rita", question, decision, **more)
    done = ended(rig, run, status)
    assert done["usage"]["tool_calls"] == (2 if status == "completed" else 1)


def test_another_amount_is_granted(rig: Rig) -> None:
    run = rig.start("reader-on", {"case": case()})
    question = asked(rig, run, "budget", "tool_calls", {"approve", "edit", "reject"})
    assert refused(rig, "rita", question, "edit", arguments={"tool_calls": "many"}) == (422, "invalid_arguments")
    say(rig, "rita", question, "edit", arguments={"tool_calls": 5})
    assert ended(rig, run)["usage"]["tool_calls"] == 2


# --- an unknown outcome ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("decision", "more", "times", "output"),
    [
        ("approve", {"output": {"given": True}}, 1, "Given."),
        ("reject", {}, 2, "Given."),
        ("respond", {"message": "Nobody can tell."}, 1, "Nobody knows whether it was given."),
    ],
)
def test_an_unknown_outcome_is_reconciled(rig: Rig, decision: str, more: Json, times: int, output: str) -> None:
    which = case()
    rig.effects.will(f"/each/{which}", Fault(0, done=True))  # done, and the connection is reset
    run = rig.start("almoner", {"case": which})
    question = asked(rig, run, "reconcile", "outcome_unknown", {"approve", "reject", "respond"})
    assert question["proposal"]["arguments"] == {"case": which}
    assert [each["type"] for each in question["evidence"]] == ["tool.unknown"]
    say(rig, "rita", question, decision, **more)
    assert ended(rig, run)["output"] == output
    assert gifts(rig, run) == times


# --- an appeal ------------------------------------------------------------------------------------------------------


def appealed(rig: Rig) -> tuple[str, str, Json]:
    run = rig.start("almoner", {"case": (which := case())})
    done = ended(rig, run)
    assert (done["appeal"]["allowed"], done["appeal"]["until"] is None) == (True, False)
    told = rig.alice.post(f"runs/{run}/appeal", {"reason": "To the wrong one."})
    item = rig.api("rita").get(f"escalations/{told['appeal']['escalation']}")
    assert (item["kind"], item["detail"], set(item["allowed"])) == (
        "appeal",
        "To the wrong one.",
        {"approve", "reject"},
    )
    assert "run.completed" in [each["type"] for each in item["evidence"]]
    assert refused(rig, "alice", item, "approve")[0] == 403
    return run, which, item


def test_an_appeal_that_is_upheld_has_undone_what_was_done(rig: Rig) -> None:
    run, which, item = appealed(rig)
    say(rig, "rita", item, "approve")
    told = rig.run(run)["appeal"]
    assert told["status"] == "upheld"
    assert ended(rig, told["reversal"])["output"] == {"reversed": run}
    assert len(rig.effects.ledger.at(f"/once/un-{which}")) == 1


def test_an_appeal_that_is_rejected_leaves_it_so(rig: Rig) -> None:
    run, which, item = appealed(rig)
    say(rig, "sue", item, "reject", reason="It was the right one.")
    told = rig.run(run)["appeal"]
    assert (told["status"], told["reversal"]) == ("rejected", None)
    assert rig.effects.ledger.at(f"/once/un-{which}") == []
