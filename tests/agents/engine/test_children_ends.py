"""How runs and those that they started end: together, each once, whatever happens between them."""

from collections.abc import Callable
from datetime import timedelta
from threading import Thread
from typing import Any

import pytest
from django.db import connection
from django.db.models.functions import Now

from access import grants
from agents.actions import tools
from agents.actions.runs import cancel
from agents.core.decide import CallModel, Park
from agents.engine.driver import Driver
from agents.engine.executor import Means
from agents.engine.store import Step
from agents.models import Run
from db.scope import tenant_scope
from escalations.actions.decisions import Answer, decide
from tests.agents.engine.test_budgets import question
from tests.agents.engine.test_children import CASE, CLERK, KEYS, asking, children_of, facts, output, start_as
from tests.agents.engine.test_grants import _elsewhere, denied, developer, give
from tests.agents.engine.test_leases import claim_and_begin, means
from tests.agents.engine.waiting import ended, until
from tests.faults.rig import eventually
from tests.worlds import LEDGER, LOOKUP, PAY, World

__all__ = ["means"]

Json = Any


@pytest.fixture
def office(acme: World) -> World:
    """A boss who asks a clerk, who pays what a person approves."""
    acme.define("clerk", role="You settle bills", tool_specs={"pay": PAY})
    acme.define("boss", role="You delegate one thing.", tool_specs={"ask_clerk": CLERK})
    for slug in ("clerk", "boss"):
        acme.grant("review", acme.agent(slug), acme.rita)
    return acme


def answered(acme: World, run: Run, decision: str) -> None:
    """Have Rita answer what the run asks."""
    asked = question(acme, run)
    decide(asked.id, Answer(decision, asked.digest, reason="So be it."), acting_as=acme.rita)


def test_an_approved_call_in_a_child_lets_both_go_on(office: World, driver: Driver) -> None:
    run = office.submit("boss", {"a": office.slug, "b": "y"})
    child = asking(office, run)
    assert [stored.action for stored in office.events(run.id)].count("decision.requested") == 0
    answered(office, child, "approve")
    assert output(office, ended(office, run)) == "The clerk says: Paid."
    assert LEDGER.effects[f"pay 500 to {office.slug}"] == 1


def test_a_call_of_an_agent_waits_for_approval_and_starts_one_run(office: World, driver: Driver) -> None:
    asks = {**CLERK, "approval": {"when": "true"}}
    office.define("careful", role="You delegate one thing.", tool_specs={"ask_clerk": asks})
    office.grant("review", office.agent("careful"), office.rita)
    run = office.submit("careful", {"a": office.slug, "b": "y"})
    until(office, run, lambda now: now.waiting_for == "decision")
    assert children_of(office, run) == []
    answered(office, run, "approve")
    answered(office, asking(office, run), "approve")
    assert ended(office, run).status == "completed"
    assert len(children_of(office, run)) == 1


def test_the_deadline_of_a_run_is_that_of_what_it_started(office: World, driver: Driver) -> None:
    run = office.submit("boss", CASE, deadline=office.agent("boss").created_at + timedelta(hours=1))
    child = asking(office, run)
    assert child.deadline == office.run(run.id).deadline


def test_a_child_of_a_run_that_is_gone_ends_when_it_is_taken_up(office: World, driver: Driver) -> None:
    """As after a parent that was given up without being folded, whose worker died before it told the child."""
    run = office.submit("boss", CASE)
    child = asking(office, run)
    with tenant_scope(office.tenant_id):
        Run.objects.filter(id=run.id).update(ended_at=Now())
    answered(office, child, "approve")
    assert ended(office, child).status == "cancelled"


def test_what_a_finished_child_did_is_undone_by_the_calls_own_tool(acme: World, driver: Driver) -> None:
    undo = {**LOOKUP, "description": "Undo.", "effect": "write"}
    asks = {
        **CLERK,
        "input_schema": KEYS,
        "compensate_with": {"tool": "undo", "arguments": {"key": "'undo ' + args.a"}},
    }
    acme.define("clerk", role="You look keys up", tool_specs={"lookup": LOOKUP})
    with tenant_scope(acme.tenant_id):
        tools.put("undo", undo, acting_as=acme.alice)
    acme.define("boss", role="You delegate and then pay.", tool_specs={"ask_clerk": asks, "pay": PAY})
    run = acme.submit("boss", {"a": acme.slug, "b": "y"})
    until(acme, run, lambda now: now.waiting_for == "decision")
    cancel(run.id, acting_as=acme.alice)
    assert ended(acme, run).status == "cancelled"
    assert LEDGER.effects[f"lookup undo {acme.slug}"] == 1
    assert acme.actions(run.id)[-3:] == ["tool.compensated", "budget.settled", "run.cancelled"]


def test_a_child_is_of_the_version_that_is_live_when_it_is_called(office: World, driver: Driver) -> None:
    office.define("clerk", role="You look keys up", tool_specs={"lookup": LOOKUP}, input_schema=KEYS)
    run = ended(office, office.submit("boss", CASE))
    (child,) = children_of(office, run)
    assert office.run(child.id).version.number == 2
    assert facts(office, run, "child.started")[0]["version"] == 2


def test_arguments_that_the_agent_does_not_take_are_told_to_the_model(office: World, driver: Driver) -> None:
    strict = {"type": "object", "properties": {"case": {"type": "string"}}, "required": ["case"]}
    office.define("clerk", role="You look keys up", input_schema=strict)
    run = ended(office, office.submit("boss", CASE))
    assert denied(office, run) == [("ask_clerk", "invalid_arguments")]


def test_an_output_that_is_not_as_the_tool_says_asks_what_happened(acme: World, driver: Driver) -> None:
    wants = {**CLERK, "output_schema": {"type": "object"}}
    acme.define("clerk", role="You look keys up", tool_specs={"lookup": LOOKUP})
    acme.define("boss", role="You delegate one thing.", tool_specs={"ask_clerk": wants})
    run = acme.submit("boss", CASE)
    until(acme, run, lambda now: now.waiting_for == "decision")
    assert question(acme, run).kind == "reconcile"


def test_a_right_taken_away_between_the_look_and_the_step_starts_nothing(
    office: World, means: Means, monkeypatch: pytest.MonkeyPatch
) -> None:
    dan = developer(office, "dan", "boss", "clerk")
    give(office, "ask_clerk", dan)
    executor = claim_and_begin(means, start_as(dan))
    real, seen = Step.callees, list[Any]()

    def looked_then_taken_away(step: Step, of: Any) -> Any:
        found = real(step, of)
        seen.append(found)
        if len(seen) == 1:
            _elsewhere(lambda: take_away(office))
        return found

    monkeypatch.setattr(Step, "callees", looked_then_taken_away)
    command = executor._commit([executor._call_model(CallModel(1))])
    assert isinstance(command, CallModel)
    assert len(seen) == 2
    assert denied(office, office.run(executor.run.id)) == [("ask_clerk", "not_granted")]
    assert children_of(office, office.run(executor.run.id)) == []


def take_away(acme: World) -> None:
    """Take all grants on the clerk back."""
    with tenant_scope(acme.tenant_id):
        clerk = acme.agent("clerk")
        for grant in grants.of(clerk):
            grants.remove(clerk, grant.id, acting_as=acme.alice)


def test_the_end_of_a_child_makes_its_parent_claimable_in_the_same_commit(office: World, means: Means) -> None:
    office.define("clerk", role="You are the owl.")
    run = office.submit("boss", CASE)
    parent = claim_and_begin(means, run)
    assert isinstance(parent._commit([parent._call_model(CallModel(1))]), Park)
    (child,) = children_of(office, run)
    below = claim_and_begin(means, child)
    below.carry_on(CallModel(1))
    assert office.run(child.id).status == "completed"
    assert office.run(run.id).ready_at is not None


def test_a_cancelled_run_waits_for_its_child_and_for_no_deadline(office: World, means: Means) -> None:
    """Else it were taken up again and again from its deadline on, for as long as the child takes."""
    run = office.submit("boss", CASE, deadline=office.agent("boss").created_at + timedelta(hours=1))
    parent = claim_and_begin(means, run)
    parent._commit([parent._call_model(CallModel(1))])
    assert office.run(run.id).due_at == run.deadline
    claim_and_begin(means, children_of(office, run)[0])
    cancel(run.id, acting_as=office.alice)
    parent = claim_and_begin(means, run)
    assert isinstance(parent.carry_on(parent.command), Park)  # type: ignore[attr-defined]
    now = office.run(run.id)
    assert (now.status, now.waiting_for, now.due_at) == ("waiting", "child", None)


def test_a_child_that_ends_while_its_parent_parks_wakes_it(
    office: World, means: Means, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends when its parent has looked and has not parked yet: it waits for the parent's row, and sees it parked."""
    office.define("clerk", role="You are the owl.")
    office.define("looker", role="You ask one and look.", tool_specs={"lookup": LOOKUP}, more_tools=["ask_clerk"])
    run = office.submit("looker", CASE)
    parent = claim_and_begin(means, run)
    command = parent._commit([parent._call_model(CallModel(1))])
    (child,) = children_of(office, run)
    below = claim_and_begin(means, child)
    ending = Thread(target=_then_close, args=[lambda: below.carry_on(CallModel(1))])
    real = Step.ended_children

    def looked_then_ends(step: Step, runs: Any) -> Any:
        found = real(step, runs)
        ending.start()
        assert eventually(_somebody_waits_for_a_parent)
        return found

    monkeypatch.setattr(Step, "ended_children", looked_then_ends)
    assert isinstance(parent.carry_on(command), Park)
    ending.join()
    assert office.run(child.id).status == "completed"
    assert office.run(run.id).ready_at is not None


def _somebody_waits_for_a_parent() -> bool:
    """Whether a session waits for the row that it wants to wake."""
    with connection.cursor() as cursor:  # another session than the step's: one sees the same activity all along
        cursor.execute("SELECT query FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        return any("parent AS MATERIALIZED" in query for (query,) in cursor.fetchall())


def _then_close(do: Callable[[], object]) -> None:
    do()
    connection.close()
