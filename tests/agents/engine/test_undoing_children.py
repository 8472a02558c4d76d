"""What finished children did is undone when the run above ends without its output: by runs of its own, latest first."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from agents.actions import again
from agents.actions.runs import cancel
from agents.models import Run
from db.scope import tenant_scope
from escalations.actions import appeals
from escalations.actions.decisions import Answer, decide
from tenants.models import Role
from tests.agents.engine.conftest import PATIENCE_S
from tests.agents.engine.serving import serving
from tests.agents.engine.test_children import children_of, facts, output
from tests.agents.engine.test_compensation import define, means, only_question, outside, undone
from tests.agents.engine.waiting import ended, until
from tests.faults.effects import Effects, Fault
from tests.worlds import World

__all__ = ["means", "outside"]

Json = Any

TRIP: Json = {"a": "a", "b": "b", "c": "c"}
CONFIRMED: Json = {"escalate_when": "true", "output_schema": {"type": "object"}}


def asks(name: str, mode: str = "call") -> Json:
    """A tool that is another agent."""
    return {"description": "Ask another.", "type": "agent", "agent": {"name": name, "mode": mode}}


def office(acme: World, outside: Effects) -> None:
    """A booker, an agent above it that books one thing itself, and whom that one passes everything on from."""
    define(acme, outside, rules=[])
    acme.define("desk", role="You have it booked.", tool_specs={"ask_booker": asks("booker")}, more_tools=["book"])


def reject(acme: World, agent: str, question: Any) -> None:
    acme.grant("review", acme.agent(agent), acme.rita)
    decide(question.id, Answer("reject", question.digest, reason="no"), acting_as=acme.rita)


def test_a_rejected_output_undoes_what_two_levels_of_runs_did_the_latest_first(
    acme: World, outside: Effects, model_url: str
) -> None:
    office(acme, outside)
    acme.define("front", role="You pass it on.", tool_specs={"pass_on": asks("desk", "handoff")}, **CONFIRMED)
    run = acme.submit("front", TRIP)
    with serving(model_url):
        question = only_question(acme, run)
        assert question.kind == "output"
        assert undone(outside) == []
        reject(acme, "front", question)
        over = ended(acme, run)

    assert (over.status, over.error_code) == ("failed", "output_rejected")
    assert undone(outside) == ["own", "c", "b", "a"]
    desk, reversal = children_of(acme, run)
    (finished, undid) = facts(acme, run, "child.finished")
    assert (finished["run"], finished["undoable"]) == (str(desk.id), 2)
    assert (undid["run"], undid["status"]) == (str(reversal.id), "completed")
    assert output(acme, reversal) == {"reversed": str(desk.id)}
    assert reversal.model_calls == 0
    assert acme.actions(run.id)[-9:] == [
        "run.compensating",
        *["tool.requested", "child.started", "run.waiting", "run.resumed", "child.finished", "tool.compensated"],
        *["budget.settled", "run.failed"],
    ]
    (below,) = [each for each in children_of(acme, reversal)]
    assert output(acme, below) == {"reversed": str(children_of(acme, desk)[0].id)}
    assert set(outside.ledger.of(str(reversal.id)).values()) == {1}


def test_what_the_run_did_after_its_child_is_undone_before_and_a_cancelled_run_does_so_too(
    acme: World, outside: Effects, model_url: str
) -> None:
    office(acme, outside)
    acme.define(
        "desk", role="You have it booked.", tool_specs={"ask_booker": asks("booker")}, more_tools=["book"], **CONFIRMED
    )
    run = acme.submit("desk", TRIP)
    with serving(model_url):
        only_question(acme, run)
        cancel(run.id, acting_as=acme.alice)
        assert ended(acme, run).status == "cancelled"
    assert undone(outside) == ["own", "c", "b", "a"]


def test_a_tool_that_undoes_the_whole_call_does_it_in_place_of_the_calls_below(
    acme: World, outside: Effects, model_url: str
) -> None:
    define(acme, outside, rules=[])
    whole = asks("booker") | {"compensate_with": {"tool": "undo", "arguments": {"of": "1", "what": "'all of it'"}}}
    acme.define("desk", role="You have it booked.", tool_specs={"ask_booker": whole}, more_tools=["book"], **CONFIRMED)
    run = acme.submit("desk", TRIP)
    with serving(model_url):
        reject(acme, "desk", only_question(acme, run))
        assert ended(acme, run).status == "failed"
    assert undone(outside) == ["own", "all of it"]
    assert len(children_of(acme, run)) == 1


def test_what_cannot_be_undone_waits_for_a_person_in_the_run_that_undoes_it(
    acme: World, outside: Effects, model_url: str
) -> None:
    define(acme, outside, rules=[])
    acme.define("front", role="You pass it on.", tool_specs={"pass_on": asks("booker", "handoff")}, **CONFIRMED)
    run = acme.submit("front", TRIP)
    with serving(model_url):
        question = only_question(acme, run)
        outside.will("/once/undo", Fault(status=409))
        reject(acme, "front", question)
        until(acme, run, lambda now: now.waiting_for == "child" and len(children_of(acme, run)) == 2)
        reversal = children_of(acme, run)[1]
        asked = only_question(acme, reversal)
        assert (asked.kind, asked.reason) == ("reconcile", "compensation_failed")
        assert acme.run(run.id).status == "waiting"
        acme.grant("review", acme.agent("booker"), acme.rita)
        decide(asked.id, Answer("approve", asked.digest, message="by hand"), acting_as=acme.rita)
        assert ended(acme, run).status == "failed"
    assert undone(outside) == ["b", "a"]


def erase_a_payload(acme: World, run: Run, owner_connection: Any) -> None:
    """Have what a call of the run was made with erased."""
    requested = next(each for each in acme.events(run.id) if each.action == "tool.requested")
    with owner_connection.cursor() as cursor:
        cursor.execute("BEGIN; SET LOCAL ROLE countersign_journal")
        cursor.execute("SELECT set_config('app.tenant', %s, true)", [str(acme.tenant_id)])
        cursor.execute("DELETE FROM audit_payload WHERE record_id = %s", [requested.id])
        cursor.execute("COMMIT")


def test_a_child_whose_record_was_erased_is_a_persons_to_undo(
    acme: World, outside: Effects, model_url: str, owner_connection: Any
) -> None:
    define(acme, outside, rules=[])
    acme.define("front", role="You pass it on.", tool_specs={"pass_on": asks("booker", "handoff")}, **CONFIRMED)
    run = acme.submit("front", TRIP)
    with serving(model_url):
        question = only_question(acme, run)
        (child,) = children_of(acme, run)
        erase_a_payload(acme, child, owner_connection)
        reject(acme, "front", question)
        until(acme, run, lambda _: acme.actions(run.id).count("decision.requested") == 2)
        asked = only_question(acme, run)
        assert (asked.kind, asked.reason) == ("reconcile", "compensation_failed")
        assert asked.allowed == ["approve", "respond"]
        decide(asked.id, Answer("approve", asked.digest, message="by hand"), acting_as=acme.rita)
        assert ended(acme, run).error_code == "output_rejected"
    assert undone(outside) == []


def uphold(acme: World, run: Run) -> list[Run]:
    """Have an appeal against the run upheld; the runs that undo something because of that, ended."""
    sam = acme.member("sam", Role.REVIEWER)
    acme.grant("review", acme.agent("front"), sam)
    made = appeals.make(run.id, "It was wrong.", acting_as=acme.alice)
    with tenant_scope(acme.tenant_id):
        before = set(Run.objects.values_list("id", flat=True))
    decide(made.id, Answer("approve", made.digest), acting_as=sam)
    with tenant_scope(acme.tenant_id):
        new = list(Run.objects.exclude(id__in=before))
    return [ended(acme, each) for each in new]


@pytest.mark.parametrize("whole", [False, True])
def test_an_appeal_against_a_run_that_undid_what_its_children_did_undoes_nothing_again(
    acme: World, outside: Effects, model_url: str, whole: bool
) -> None:
    office(acme, outside)
    pass_on = asks("desk", "handoff")
    if whole:
        pass_on |= {"compensate_with": {"tool": "undo", "arguments": {"of": "1", "what": "'all of it'"}}}
    acme.define("front", role="You pass it on.", tool_specs={"pass_on": pass_on}, appeal={"allowed": True}, **CONFIRMED)
    run = acme.submit("front", TRIP)
    with serving(model_url):
        reject(acme, "front", only_question(acme, run))
        assert ended(acme, run).status == "failed"
        before = undone(outside)
        assert before == (["all of it"] if whole else ["own", "c", "b", "a"])
        assert uphold(acme, run) == []
    assert undone(outside) == before


def test_what_another_run_has_undone_is_a_persons_to_settle_and_not_undone_again(
    acme: World, outside: Effects, model_url: str
) -> None:
    define(acme, outside, rules=[], appeal={"allowed": True})
    acme.define("front", role="You pass it on.", tool_specs={"pass_on": asks("booker", "handoff")}, **CONFIRMED)
    run = acme.submit("front", TRIP)
    with serving(model_url):
        question = only_question(acme, run)
        (child,) = children_of(acme, run)
        acme.grant("review", acme.agent("booker"), acme.rita)
        made = appeals.make(child.id, "It was wrong.", acting_as=acme.alice)
        decide(made.id, Answer("approve", made.digest), acting_as=acme.rita)
        with tenant_scope(acme.tenant_id):
            reversal = Run.objects.get(reverses_id=child.id)
        assert ended(acme, reversal).status == "completed"
        assert appeals_of(acme, reversal) == "This run undoes another one; appeal against that one."
        assert undone(outside) == ["c", "b", "a"]
        reject(acme, "front", question)
        until(acme, run, lambda _: acme.actions(run.id).count("decision.requested") == 2)
        asked = only_question(acme, run)
        assert (asked.kind, asked.reason, asked.allowed) == ("reconcile", "compensation_failed", ["approve", "respond"])
        decide(asked.id, Answer("approve", asked.digest, message="undone before"), acting_as=acme.rita)
        assert ended(acme, run).error_code == "output_rejected"
    assert undone(outside) == ["c", "b", "a"]


def asked_as_a_whole(acme: World, outside: Effects) -> None:
    """A desk that has the booker book, of which a tool of its own undoes all; who appeals against the booker may."""
    define(acme, outside, rules=[], appeal={"allowed": True})
    whole = asks("booker") | {"compensate_with": {"tool": "undo", "arguments": {"of": "1", "what": "'all of it'"}}}
    acme.define("desk", role="You have it booked.", tool_specs={"ask_booker": whole}, more_tools=["book"], **CONFIRMED)


def uphold_below(acme: World, child: Run) -> list[Run]:
    """Have an appeal against the booker's run upheld; the runs that undo it, ended."""
    sam = acme.member("sam", Role.REVIEWER)
    acme.grant("review", acme.agent("booker"), sam)
    made = appeals.make(child.id, "It was wrong.", acting_as=acme.alice)
    decide(made.id, Answer("approve", made.digest), acting_as=sam)
    with tenant_scope(acme.tenant_id):
        return [ended(acme, each) for each in Run.objects.filter(reverses_id=child.id)]


def test_what_a_tool_above_undid_as_a_whole_is_not_undone_again_by_an_appeal_against_the_child(
    acme: World, outside: Effects, model_url: str
) -> None:
    asked_as_a_whole(acme, outside)
    run = acme.submit("desk", TRIP)
    with serving(model_url):
        reject(acme, "desk", only_question(acme, run))
        assert ended(acme, run).status == "failed"
        (child,) = children_of(acme, run)
        assert uphold_below(acme, child) == []
    assert undone(outside) == ["own", "all of it"]


@pytest.mark.parametrize("undone_above", [False, True])
def test_an_appeal_against_a_child_is_upheld_although_a_payload_above_was_erased(
    acme: World, outside: Effects, model_url: str, owner_connection: Any, undone_above: bool
) -> None:
    asked_as_a_whole(acme, outside)
    run = acme.submit("desk", TRIP)
    with serving(model_url):
        question = only_question(acme, run)
        (child,) = children_of(acme, run)
        if undone_above:
            reject(acme, "desk", question)
            assert ended(acme, run).status == "failed"
        before = undone(outside)
        erase_a_payload(acme, run, owner_connection)
        reversals = [each.status for each in uphold_below(acme, child)]
    assert reversals == ([] if undone_above else ["completed"])
    assert undone(outside) == (before if undone_above else ["c", "b", "a"])


def test_what_an_appeal_against_the_child_undid_is_not_undone_as_a_whole_by_a_tool_above(
    acme: World, outside: Effects, model_url: str
) -> None:
    asked_as_a_whole(acme, outside)
    run = acme.submit("desk", TRIP)
    with serving(model_url):
        question = only_question(acme, run)
        (child,) = children_of(acme, run)
        assert [each.status for each in uphold_below(acme, child)] == ["completed"]
        assert undone(outside) == ["c", "b", "a"]
        reject(acme, "desk", question)
        until(acme, run, lambda _: acme.actions(run.id).count("decision.requested") == 2)
        asked = only_question(acme, run)
        assert (asked.kind, asked.reason) == ("reconcile", "compensation_failed")
        decide(asked.id, Answer("approve", asked.digest, message="undone before"), acting_as=acme.rita)
        assert ended(acme, run).error_code == "output_rejected"
    assert undone(outside) == ["c", "b", "a", "own"]


def test_a_run_that_undoes_another_undoes_all_of_it_however_early_it_is_cancelled(
    acme: World, outside: Effects, model_url: str
) -> None:
    define(acme, outside, rules=[], appeal={"allowed": True})
    run = acme.submit("booker", TRIP)
    with serving(model_url):
        assert ended(acme, run).status == "completed"
    acme.grant("review", acme.agent("booker"), acme.rita)
    made = appeals.make(run.id, "It was wrong.", acting_as=acme.alice)
    decide(made.id, Answer("approve", made.digest), acting_as=acme.rita)
    with tenant_scope(acme.tenant_id):
        reversal = Run.objects.get(reverses_id=run.id)
    cancel(reversal.id, acting_as=acme.alice)  # no worker has begun it
    with serving(model_url):
        assert ended(acme, reversal).status == "completed"
    assert undone(outside) == ["c", "b", "a"]
    with tenant_scope(acme.tenant_id):
        assert again.reverse(acme.run(run.id), by=acme.rita) == []


def appeals_of(acme: World, run: Run) -> str | None:
    """Why the run cannot be appealed against."""
    with tenant_scope(acme.tenant_id):
        return appeals.of(acme.run(run.id)).why_not


def test_two_who_undo_a_run_at_once_undo_it_once(acme: World, outside: Effects, model_url: str) -> None:
    asked_as_a_whole(acme, outside)
    run = acme.submit("desk", TRIP)
    with serving(model_url):
        only_question(acme, run)
    (child,) = children_of(acme, run)
    second: list[list[Run]] = []
    other = threading.Thread(target=_reversing, args=[acme, child, second.append])
    with tenant_scope(acme.tenant_id):
        assert len(again.reverse(acme.run(child.id), by=acme.alice)) == 1
        other.start()
        other.join(0.3)
        assert second == []
    other.join(30)
    assert second == [[]]


def test_a_step_that_undoes_a_call_as_a_whole_waits_for_an_appeal_against_its_child(
    acme: World, outside: Effects, model_url: str
) -> None:
    asked_as_a_whole(acme, outside)
    run = acme.submit("desk", TRIP)
    held, leave = threading.Event(), threading.Event()

    def made(_: list[Run]) -> None:
        held.set()
        assert leave.wait(PATIENCE_S)

    with serving(model_url):
        question = only_question(acme, run)
        (child,) = children_of(acme, run)
        appeal = threading.Thread(target=_reversing, args=[acme, child, made], kwargs={"inside": True})
        appeal.start()
        try:
            assert held.wait(PATIENCE_S)
            reject(acme, "desk", question)
            until(acme, run, lambda _: _somebody_waits_for_those_below())
        finally:
            leave.set()
            appeal.join(30)
        until(acme, run, lambda _: acme.actions(run.id).count("decision.requested") == 2)
        asked = only_question(acme, run)
        assert (asked.kind, asked.reason) == ("reconcile", "compensation_failed")
    assert "all of it" not in undone(outside)


def _reversing(acme: World, run: Run, made: Callable[[list[Run]], None], inside: bool = False) -> None:
    try:
        with tenant_scope(acme.tenant_id):
            found = again.reverse(acme.run(run.id), by=acme.alice)
            if inside:
                made(found)
        if not inside:
            made(found)
    finally:
        connection.close()


def _somebody_waits_for_those_below() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT query FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        return any("RECURSIVE below" in query for (query,) in cursor.fetchall())
