"""What children cost: within what their parent may spend, counted once, in every budget that is about them."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from agents.actions.usage import used
from agents.core.money import from_usd
from agents.engine.driver import Driver
from agents.models import Run
from db.scope import tenant_scope
from escalations.actions.decisions import Answer, decide
from tests.agents.engine.test_budgets import of_type, question, set_budget
from tests.agents.engine.test_children import CASE, CLERK, KEYS, asking, children_of, facts
from tests.agents.engine.waiting import ended
from tests.worlds import LOOKUP, World

Json = Any


@pytest.fixture
def office(acme: World) -> World:
    """A boss who may spend half a dollar and asks a clerk, who may spend a whole one."""
    acme.define("clerk", role="You look keys up", tool_specs={"lookup": LOOKUP}, input_schema=KEYS)
    limits = {"usd": "0.50", "tokens": 100_000}
    acme.define("boss", role="You delegate one thing.", tool_specs={"ask_clerk": CLERK}, limits=limits)
    return acme


def decided(acme: World, run: Run, decision: str, **more: Json) -> None:
    """Have Rita answer what the run asks."""
    asked = question(acme, run)
    acme.grant("review", acme.agent(acme.run(run.id).agent.slug), acme.rita)
    decide(asked.id, Answer(decision, asked.digest, **more), acting_as=acme.rita)


def test_a_child_spends_of_its_parents_reservation_and_counts_once(office: World, driver: Driver) -> None:
    set_budget(office, "all", {"tenant": True}, usd="10.00")
    set_budget(office, "bosses", {"agent": "boss"}, usd="10.00")
    set_budget(office, "clerks", {"agent": "clerk"}, usd="10.00")

    run = ended(office, office.submit("boss", CASE))

    (child,) = children_of(office, run)
    (started,) = facts(office, run, "child.started")
    assert started["usd_nano"] == (from_usd("0.50") - facts(office, run, "model.answered")[0]["cost_nano"]) // 2
    (held,) = of_type(office, child, "budget.reserved")
    assert (held["within"], held["usd_nano"], len(held["windows"])) == (str(run.id), started["usd_nano"], 1)
    found = office_windows(office)
    assert found["tenant"] == found["boss"] == (0, run.cost_nano)
    assert found["clerk"] == (0, child.cost_nano)


def office_windows(acme: World) -> dict[str, tuple[int, int]]:
    """What is reserved and spent in the windows, by what their budgets are of."""
    from quotas.models import Window

    slugs: dict[UUID | None, str] = {acme.agent(slug).id: slug for slug in ("boss", "clerk")}
    with tenant_scope(acme.tenant_id):
        return {
            slugs.get(w.budget.of_id, w.budget.of): (w.reserved_usd_nano, w.spent_usd_nano)
            for w in Window.objects.select_related("budget")
        }


def test_a_child_asks_when_the_budget_of_its_agent_is_full(office: World, driver: Driver) -> None:
    set_budget(office, "clerks", {"agent": "clerk"}, usd="0.01")
    run = office.submit("boss", CASE)
    child = asking(office, run)
    assert question(office, child).reason == "budget_exhausted"
    decided(office, child, "approve")
    assert ended(office, run).status == "completed"
    assert {reserved for reserved, _ in office_windows(office).values()} == {0}


def test_what_a_person_adds_to_a_child_is_reserved_and_settled_by_the_child(acme: World, driver: Driver) -> None:
    acme.define("clerk", role="You look keys up", tool_specs={"lookup": LOOKUP}, limits={"usd": "0.003"})
    acme.define("boss", role="You delegate one thing.", tool_specs={"ask_clerk": CLERK})
    for name in ("boss", "clerk"):
        set_budget(acme, name, {"agent": name}, usd="10.00")
    run = acme.submit("boss", CASE)
    child = asking(acme, run)
    assert question(acme, child).reason == "limit_usd"
    decided(acme, child, "approve")
    assert ended(acme, run).status == "completed"

    child = acme.run(child.id)
    (finished,) = facts(acme, run, "child.finished")
    assert finished["cost_nano"] == child.cost_nano > finished["usd_nano"] == from_usd("0.003")
    whole = acme.run(run.id).cost_nano
    assert office_windows(acme) == {"tenant": (0, whole), "boss": (0, whole), "clerk": (0, child.cost_nano)}


def test_usage_counts_what_children_used_once_and_for_their_agents(office: World, driver: Driver) -> None:
    run = ended(office, office.submit("boss", CASE))
    (child,) = children_of(office, run)
    now = datetime.now(UTC)
    with tenant_scope(office.tenant_id):
        found = {
            each.key: each for each in used(by="agent", since=now - timedelta(days=1), until=now + timedelta(days=1))
        }
    assert found["clerk"].cost_nano == child.cost_nano
    assert found["boss"].cost_nano == run.cost_nano - child.cost_nano
    assert found["boss"].model_calls == run.model_calls - child.model_calls
