"""Agents that call agents: each call is a run of its own, within the rights and the limits of the one above it."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from agents.actions.runs import Request, cancel, submit
from agents.core.exact import disclose
from agents.engine import about
from agents.models import Run, RunSubject
from audit.source import Source, answering
from db.scope import tenant_scope
from tenants.principal import Principal
from tests.agents.engine.serving import serving
from tests.agents.engine.test_grants import denied, developer, give
from tests.agents.engine.waiting import ended, until
from tests.worlds import LOOKUP, PAY, World

Json = Any
Settles = Callable[[World, UUID], Run]

CLERK: Json = {"description": "Ask the clerk.", "type": "agent", "agent": {"name": "clerk", "mode": "call"}}
JUDGE: Json = {"description": "Ask the judge.", "type": "agent", "agent": {"name": "judge"}}
KEYS: Json = {
    "type": "object",
    "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
    "required": ["a", "b"],
}
CASE: Json = {"a": "x", "b": "y"}
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


MORE = ["ask_clerk", "lookup"]


def children_of(acme: World, run: Run) -> list[Run]:
    """The runs that calls of a run started, oldest first."""
    with tenant_scope(acme.tenant_id):
        return list(Run.objects.filter(parent_id=run.id).select_related("agent").order_by("id"))


def asking(acme: World, run: Run) -> Run:
    """Wait until a child of the run waits for a person, and the run for the child."""
    until(acme, run, lambda now: now.waiting_for == "child")
    (child,) = children_of(acme, run)
    return until(acme, child, lambda now: now.waiting_for == "decision")


def facts(acme: World, run: Run, action: str) -> list[Json]:
    """The facts of a run's records of one type."""
    return [stored.facts for stored in acme.events(run.id) if stored.action == action]


def output(acme: World, run: Run) -> Json:
    """What a run ended with."""
    return disclose(acme.events(run.id)[-1].payload["output"])


@pytest.fixture
def office(acme: World) -> World:
    """A boss who asks a clerk, who looks two keys up."""
    acme.define("clerk", role="You look keys up", tool_specs={"lookup": LOOKUP}, input_schema=KEYS)
    acme.define("boss", role="You delegate one thing.", tool_specs={"ask_clerk": CLERK})
    return acme


def test_a_call_is_a_run_of_its_own_whose_output_is_the_result(office: World, model_url: str) -> None:
    run = office.submit("boss", CASE)
    with serving(model_url):
        assert ended(office, run).status == "completed"

    (child,) = children_of(office, run)
    assert (child.agent.slug, child.status, child.principal_id) == ("clerk", "completed", office.alice.user_id)
    assert output(office, child) == "Both were looked up."
    assert output(office, run) == "The clerk says: Both were looked up."
    wanted = ["tool.requested", "child.started", "run.waiting", "run.resumed", "child.finished", "tool.finished"]
    actions = office.actions(run.id)
    assert actions[actions.index("tool.requested") :][: len(wanted)] == wanted
    (waits,) = facts(office, run, "run.waiting")
    assert waits["waiting_for"] == "child"
    (started,) = facts(office, run, "child.started")
    assert (started["run"], started["agent"]) == (str(child.id), str(child.agent_id))


def test_a_child_has_its_parents_trace_and_none_when_that_has_none(office: World, model_url: str) -> None:
    plain = office.submit("boss", CASE)
    with answering(Source(TRACE)):
        traced = office.submit("boss", CASE)
    with serving(model_url):
        assert [ended(office, run).status for run in (plain, traced)] == ["completed"] * 2

    told = [facts(office, child, "run.submitted")[0] for run in (plain, traced) for child in children_of(office, run)]
    # The release before reads no record with a trace: workers write none before web servers do.
    assert [each.get("trace") for each in told] == [None, TRACE]


def test_the_parents_cost_and_usage_hold_its_childrens(office: World, model_url: str) -> None:
    run = office.submit("boss", CASE)
    with serving(model_url):
        whole = ended(office, run)
    (child,) = children_of(office, run)
    own = [event for event in facts(office, run, "model.answered")]
    assert child.cost_nano > 0
    assert whole.cost_nano == child.cost_nano + sum(event["cost_nano"] for event in own)
    assert whole.model_calls == child.model_calls + len(own)
    assert whole.tool_calls == child.tool_calls + 1
    assert whole.input_tokens == child.input_tokens + sum(event["input_tokens"] for event in own)


def test_roles_under_an_orchestrator_work_at_the_same_time(office: World, model_url: str) -> None:
    office.define("judge", role="You judge.")
    office.define(
        "chair", role="You ask three at once.", tool_specs={"ask_judge": JUDGE}, more_tools=["ask_clerk", "lookup"]
    )
    run = office.submit("chair", CASE)
    with serving(model_url):
        assert ended(office, run).status == "completed"

    assert sorted(child.agent.slug for child in children_of(office, run)) == ["clerk", "judge"]
    actions = office.actions(run.id)
    assert actions.index("child.finished") > max(at for at, each in enumerate(actions) if each == "child.started")
    finished = facts(office, run, "tool.finished")
    assert sorted(each["tool"] for each in finished) == ["ask_clerk", "ask_judge", "lookup"]


def test_who_may_not_run_the_agent_has_it_denied(office: World, model_url: str) -> None:
    dan = developer(office, "dan", "boss")
    give(office, "ask_clerk", dan)
    give(office, "lookup", dan)
    run = start_as(dan)
    with serving(model_url):
        assert ended(office, run).status == "completed"
    assert denied(office, run) == [("ask_clerk", "not_granted")]
    assert children_of(office, run) == []


def test_who_may_not_use_the_tool_has_it_denied_whatever_agents_they_may_run(office: World, model_url: str) -> None:
    run = start_as(developer(office, "dan", "boss", "clerk"))
    with serving(model_url):
        assert ended(office, run).status == "completed"
    assert denied(office, run) == [("ask_clerk", "not_granted")]
    assert children_of(office, run) == []


def test_a_child_acts_for_the_same_member_with_no_more_than_they_hold(office: World, model_url: str) -> None:
    dan = developer(office, "dan", "boss", "clerk")
    give(office, "ask_clerk", dan)
    run = start_as(dan)
    with serving(model_url):
        assert ended(office, run).status == "completed"
    (child,) = children_of(office, run)
    assert child.principal_id == dan.user_id
    assert denied(office, child) == [("lookup", "not_granted")] * 2


def start_as(who: Principal, agent: str = "boss") -> Run:
    """Start an agent for somebody."""
    return submit(Request(agent, CASE), acting_as=who).run


def test_a_child_that_fails_is_an_error_for_the_model(acme: World, model_url: str) -> None:
    acme.define("clerk", role="No script knows this clerk.")
    acme.define("boss", role="You delegate one thing.", tool_specs={"ask_clerk": CLERK})
    run = acme.submit("boss", CASE)
    with serving(model_url):
        child = asking(acme, run)
        assert (acme.run(run.id).waiting_for, acme.run(run.id).doing) == ("child", "tool ask_clerk")
        cancel(child.id, acting_as=acme.alice)
        assert ended(acme, run).status == "completed"
    assert acme.run(child.id).status == "cancelled"
    assert output(acme, run) == "No clerk: The agent's run was cancelled before it had an output."


def test_what_a_child_read_taints_its_parent(acme: World, model_url: str) -> None:
    untrusted = {**LOOKUP, "data": {"untrusted": True}}
    acme.define("clerk", role="You look keys up", tool_specs={"lookup": untrusted})
    acme.define("boss", role="You delegate one thing.", tool_specs={"ask_clerk": CLERK})
    run = acme.submit("boss", CASE)
    with serving(model_url):
        assert ended(acme, run).status == "completed"
    assert [each.get("untrusted") for each in facts(acme, run, "child.finished")] == [True]


def test_cancelling_a_run_ends_what_it_started(office: World, model_url: str) -> None:
    office.define("clerk", role="You settle bills.", tool_specs={"pay": PAY})
    run = office.submit("boss", CASE)
    with serving(model_url):
        child = asking(office, run)
        cancel(run.id, acting_as=office.alice)
        assert ended(office, run).status == "cancelled"
    assert office.run(child.id).status == "cancelled"
    ends = [office.run(each.id).ended_at for each in (child, run)]
    assert ends == sorted(ends)  # type: ignore[type-var]
    assert office.actions(run.id)[-1] == "run.cancelled"


def test_agents_call_each_other_no_deeper_than_they_may(acme: World, model_url: str) -> None:
    acme.define("clerk", role="Nothing yet.")
    acme.define("clerk", role="You delegate one thing.", tool_specs={"ask_clerk": CLERK}, limits={"depth": 2})
    run = acme.submit("clerk", CASE)
    with serving(model_url):
        assert ended(acme, run).status == "completed"
    (child,) = children_of(acme, run)
    (grandchild,) = children_of(acme, child)
    assert children_of(acme, grandchild) == []
    assert denied(acme, grandchild) == [("ask_clerk", "too_deep")]


def test_a_child_is_found_by_whom_it_is_about_although_its_parent_names_nobody(acme: World, model_url: str) -> None:
    acme.define("clerk", role="You look keys up", tool_specs={"lookup": LOOKUP}, input_schema=KEYS, subject=["/b"])
    acme.define("boss", role="You delegate one thing.", tool_specs={"ask_clerk": CLERK})
    run = acme.submit("boss", CASE)
    with serving(model_url):
        assert ended(acme, run).status == "completed"

    (child,) = children_of(acme, run)
    with tenant_scope(acme.tenant_id):
        (found,) = RunSubject.objects.all()
        assert (found.run_id, found.digest) == (child.id, about.digests("y")[0])
