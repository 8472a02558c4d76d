"""Budgets as runs meet them: of the tenant, an agent and a person, by day and month; what happens when one is full."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import pytest
from django.db import connection

from agents.actions import budgets
from agents.engine import soft_limits
from agents.engine.driver import Driver
from agents.errors import InvalidArguments
from agents.models import Run
from audit.models import Record
from db.scope import tenant_scope
from escalations.actions.decisions import Answer, decide
from escalations.errors import MayNotDecide
from escalations.models import Escalation
from quotas.models import Budget, Window
from tests.agents.engine.waiting import ended, until
from tests.quotas.test_reservations import at_once
from tests.trips import trips
from tests.worlds import LOOKUP, World

Json = Any
Settles = Callable[[World, UUID], Run]

#: What one run of the agent reserves.
LIMITS = {"usd": "0.50", "tokens": 100_000}


@pytest.fixture
def looker(acme: World) -> World:
    acme.define("looker", role="You look keys up.", tool_specs={"lookup": LOOKUP}, limits=LIMITS)
    return acme


def set_budget(of: World, name: str, subject: Json, window: str = "month", **limits: Json) -> None:
    with tenant_scope(of.tenant_id):
        budgets.put(name, {"of": subject, "window": window, **limits}, acting_as=of.alice)


def windows(of: World) -> dict[str, Window]:
    """Return the windows by what their budget is of."""
    with tenant_scope(of.tenant_id):
        return {f"{w.budget.of}-{w.budget.period}": w for w in Window.objects.select_related("budget")}


def spent(of: World) -> dict[str, tuple[int, int, int, int]]:
    """Return what each window has reserved and spent: nano-USD, tokens, nano-USD, tokens."""
    return {
        name: (w.reserved_usd_nano, w.reserved_tokens, w.spent_usd_nano, w.spent_tokens)
        for name, w in windows(of).items()
    }


def question(of: World, run: Run) -> Escalation:
    """Return what the run asks now."""
    with tenant_scope(of.tenant_id):
        return Escalation.objects.get(run_id=run.id, status="open")


def answer(of: World, run: Run, decision: str) -> None:
    asked = question(of, run)
    of.grant("review", of.agent("looker"), of.rita)
    decide(asked.id, Answer(decision, asked.digest), acting_as=of.rita)


def start(of: World) -> Run:
    return of.submit("looker", {"a": "a", "b": "b"})


def of_type(of: World, run: Run, action: str) -> list[Json]:
    return [stored.facts | (stored.payload or {}) for stored in of.events(run.id) if stored.action == action]


def test_a_run_counts_in_every_budget_that_is_about_it(looker: World, driver: Driver) -> None:
    subjects = {"t": {"tenant": True}, "a": {"agent": "looker"}, "u": {"user": f"alice@{looker.slug}.example"}}
    for name, subject in subjects.items():
        for window in ("day", "month"):
            set_budget(looker, f"{name}-{window}", subject, window, usd="10.00")
    set_budget(looker, "bobs", {"user": f"bob@{looker.slug}.example"}, usd="0.00")

    run = ended(looker, start(looker))

    assert run.status == "completed"
    each = (0, 0, run.cost_nano, run.input_tokens + run.output_tokens + run.cache_read_input_tokens)
    names = {f"{of}-{window}" for of in ("tenant", "agent", "user") for window in ("day", "month")}
    assert spent(looker) == dict.fromkeys(names, each)
    [held] = of_type(looker, run, "budget.reserved")
    assert len(held["windows"]) == 6
    assert {w.starts_on.day for name, w in windows(looker).items() if name.endswith("month")} == {1}


def test_without_more_budgets_a_run_is_reserved_in_the_month_alone(looker: World, driver: Driver) -> None:
    set_budget(looker, "all", {"tenant": True}, usd="10.00")

    run = ended(looker, start(looker))

    [held] = of_type(looker, run, "budget.reserved")
    assert held.keys() == {"usd_nano", "tokens", "window"}
    assert spent(looker).keys() == {"tenant-month"}
    assert spent(looker)["tenant-month"][:3] == (0, 0, run.cost_nano)


def test_without_more_budgets_a_run_reserves_and_settles_as_a_part_of_its_steps(looker: World, driver: Driver) -> None:
    set_budget(looker, "all", {"tenant": True}, usd="10.00", soft=0.9)
    ended(looker, start(looker))  # opens the month

    with trips() as made:
        ended(looker, start(looker))

    moved = [name for trip in made for name in trip if "reserved" in name or "settle" in name]
    assert moved == ["step_if_reserved", "step_and_settle"]


@pytest.mark.parametrize("subject", ["tenant", "agent", "user"])
@pytest.mark.parametrize("window", ["day", "month"])
def test_a_full_budget_asks_once_and_an_approval_lets_the_run_go_on(
    looker: World, driver: Driver, settles: Settles, subject: str, window: str
) -> None:
    of = {"tenant": True, "agent": "looker", "user": f"alice@{looker.slug}.example"}[subject]
    set_budget(looker, "small", {subject: of}, window, usd="0.40")

    run = start(looker)
    waiting = settles(looker, run.id)

    assert (waiting.status, waiting.waiting_for, waiting.cost_nano) == ("waiting", "decision", 0)
    asked = question(looker, run)
    assert (asked.kind, asked.reason, asked.rule) == ("budget", "budget_exhausted", f"{subject}-{window}")
    [requested] = of_type(looker, run, "decision.requested")
    assert requested["proposal"]["arguments"] == {"usd": "0.5000"}
    assert "model.requested" not in looker.actions(run.id)
    assert set(spent(looker).values()) == {(0, 0, 0, 0)}

    answer(looker, run, "approve")
    done = ended(looker, run)

    assert done.status == "completed"
    [extended] = of_type(looker, run, "budget.extended")
    window_of = windows(looker)[f"{subject}-{window}"]
    assert (extended["usd_nano"], extended["window"]) == (500_000_000, str(window_of.id))
    assert (window_of.extra_usd_nano, window_of.reserved_usd_nano) == (500_000_000, 0)
    assert window_of.spent_usd_nano == done.cost_nano
    assert looker.actions(run.id).count("decision.requested") == 1


def test_a_full_budget_of_tokens_asks_for_tokens(looker: World, driver: Driver, settles: Settles) -> None:
    set_budget(looker, "tokens", {"agent": "looker"}, tokens=99_999)

    run = start(looker)
    settles(looker, run.id)

    [requested] = of_type(looker, run, "decision.requested")
    assert requested["proposal"]["arguments"] == {"tokens": 100_000}
    answer(looker, run, "approve")
    assert ended(looker, run).status == "completed"


def test_a_rejection_ends_the_run_with_the_reason_as_its_code(looker: World, driver: Driver, settles: Settles) -> None:
    set_budget(looker, "small", {"agent": "looker"}, usd="0.40")
    run = start(looker)
    settles(looker, run.id)

    answer(looker, run, "reject")

    assert (ended(looker, run).status, looker.run(run.id).error_code) == ("failed", "budget_exhausted")
    assert set(spent(looker).values()) == {(0, 0, 0, 0)}


def test_an_edit_adds_another_amount_and_asks_again_when_that_is_too_little(
    looker: World, driver: Driver, settles: Settles
) -> None:
    set_budget(looker, "small", {"agent": "looker"}, usd="0.40")
    run = start(looker)
    settles(looker, run.id)
    looker.grant("review", looker.agent("looker"), looker.rita)

    def edit(**amounts: Json) -> None:
        asked = question(looker, run)
        decide(asked.id, Answer("edit", asked.digest, arguments=amounts), acting_as=looker.rita)

    for wrong in ({"tokens": 5}, {"usd": "much"}, {"usd": "-1"}, {"usd": None}):
        with pytest.raises(InvalidArguments):
            edit(**wrong)
    edit(usd="0.05")
    until(looker, run, lambda now: len(of_type(looker, run, "decision.requested")) == 2)
    settles(looker, run.id)
    edit(usd="0.06")

    assert ended(looker, run).status == "completed"
    assert [each["usd_nano"] for each in of_type(looker, run, "budget.extended")] == [50_000_000, 60_000_000]


def test_two_full_budgets_are_asked_about_one_after_the_other(looker: World, driver: Driver, settles: Settles) -> None:
    set_budget(looker, "first", {"agent": "looker"}, usd="0.40")
    set_budget(looker, "second", {"tenant": True}, "day", usd="0.40")
    run = start(looker)
    settles(looker, run.id)
    first = question(looker, run)
    answer(looker, run, "approve")
    until(looker, run, lambda now: len(of_type(looker, run, "decision.requested")) == 2)
    settles(looker, run.id)
    second = question(looker, run)
    answer(looker, run, "approve")

    rules = {first.rule, second.rule}
    assert rules == {"agent-month", "tenant-day"}
    assert ended(looker, run).status == "completed"


def test_a_raised_budget_lets_the_next_run_through_without_asking(
    looker: World, driver: Driver, settles: Settles
) -> None:
    set_budget(looker, "small", {"agent": "looker"}, usd="0.40")
    first = start(looker)
    settles(looker, first.id)

    set_budget(looker, "small", {"agent": "looker"}, usd="5.00")

    assert ended(looker, start(looker)).status == "completed"
    answer(looker, first, "approve")
    assert ended(looker, first).status == "completed"


def test_a_budget_that_is_removed_while_a_run_waits_is_in_nobodys_way(
    looker: World, driver: Driver, settles: Settles
) -> None:
    set_budget(looker, "small", {"agent": "looker"}, usd="0.40")
    run = start(looker)
    settles(looker, run.id)
    with tenant_scope(looker.tenant_id):
        budgets.remove("small", acting_as=looker.alice)

    answer(looker, run, "approve")

    assert ended(looker, run).status == "completed"
    assert spent(looker)["tenant-month"][:2] == (0, 0)


def test_a_run_settles_where_it_reserved_also_when_its_day_is_over(
    looker: World, driver: Driver, settles: Settles
) -> None:
    """It waits for a person over midnight; the day it was begun on is charged, and a budget made meanwhile is not."""
    set_budget(looker, "daily", {"agent": "looker"}, "day", usd="5.00")
    set_budget(looker, "turns", {"tenant": True}, usd="5.00")
    looker.define(
        "looker", role="You look keys up.", more_tools=["lookup"], limits=LIMITS | {"turns": 1}
    )  # asks after the first
    run = start(looker)
    settles(looker, run.id)
    with tenant_scope(looker.tenant_id):
        Window.objects.update(starts_on=date(2025, 12, 31))
    set_budget(looker, "later", {"user": f"alice@{looker.slug}.example"}, usd="5.00")

    answer(looker, run, "approve")
    done = ended(looker, run)

    assert done.status == "completed"
    assert {name: w.starts_on for name, w in windows(looker).items()} == dict.fromkeys(
        ("tenant-month", "agent-day"), date(2025, 12, 31)
    )
    assert {(each[0], each[1], each[2]) for each in spent(looker).values()} == {(0, 0, done.cost_nano)}


def test_the_day_is_the_databases(looker: World, driver: Driver) -> None:
    set_budget(looker, "daily", {"agent": "looker"}, "day", usd="5.00")
    with connection.cursor() as cursor:
        cursor.execute("SELECT (now() AT TIME ZONE 'UTC')::date")
        [before] = cursor.fetchone()

    ended(looker, start(looker))

    assert windows(looker)["agent-day"].starts_on in {before, datetime.now(UTC).date()}


# --- the soft limit -------------------------------------------------------------------------------------------------


def told(of: World) -> list[Json]:
    with tenant_scope(of.tenant_id):
        return [record.facts for record in Record.objects.filter(action="budget.soft_limit_reached")]


@pytest.mark.parametrize("subject", ["tenant", "agent"])
def test_a_spent_soft_limit_is_told_once_a_window(looker: World, driver: Driver, subject: str) -> None:
    of = {"tenant": True, "agent": "looker"}[subject]
    set_budget(looker, "soft", {subject: of}, usd="100.00", soft=0.001)
    with tenant_scope(looker.tenant_id):
        Budget.objects.filter(name="soft").update(usd_nano=600_000_000)

    for _ in range(3):
        ended(looker, start(looker))

    [facts] = told(looker)
    assert facts["window"] == str(windows(looker)[f"{subject}-month"].id)
    assert facts["usd_nano"] >= 600_000


def test_many_who_see_it_at_once_tell_it_once(looker: World) -> None:
    set_budget(looker, "soft", {"tenant": True}, usd="1.00", soft=0.5)
    with tenant_scope(looker.tenant_id):
        budget = Budget.objects.get()
        Window.objects.create(budget=budget, starts_on=date(2026, 11, 1), spent_usd_nano=500_000_000)

    at_once(16, lambda _: soft_limits.tell(looker.tenant_id))

    assert len(told(looker)) == 1


def test_nothing_is_told_before_it_is_spent(looker: World, driver: Driver) -> None:
    set_budget(looker, "soft", {"tenant": True}, usd="100.00", soft=0.999)

    ended(looker, start(looker))

    assert told(looker) == []


def test_a_limit_that_is_set_today_says_nothing_of_months_gone_by(looker: World) -> None:
    set_budget(looker, "soft", {"tenant": True}, usd="1.00", soft=0.5)
    with tenant_scope(looker.tenant_id):
        budget = Budget.objects.get()
        this = datetime.now(UTC).date().replace(day=1)
        for starts_on in (date(2020, 1, 1), date(2024, 6, 1), this):
            Window.objects.create(budget=budget, starts_on=starts_on, spent_usd_nano=900_000_000)

    soft_limits.tell(looker.tenant_id)

    assert [each["starts_on"] for each in told(looker)] == [this.isoformat()]


def test_who_reviews_one_agent_adds_no_more_to_a_budget_of_all_than_is_proposed(
    looker: World, driver: Driver, settles: Settles
) -> None:
    set_budget(looker, "small", {"tenant": True}, usd="0.40")
    run = start(looker)
    settles(looker, run.id)
    looker.grant("review", looker.agent("looker"), looker.rita)
    asked = question(looker, run)

    with pytest.raises(MayNotDecide, match="who may write budgets"):
        decide(asked.id, Answer("edit", asked.digest, arguments={"usd": "0.51"}), acting_as=looker.rita)
    with pytest.raises(InvalidArguments, match="At most"):
        decide(asked.id, Answer("edit", asked.digest, arguments={"usd": "1000001"}), acting_as=looker.rita)
    decide(asked.id, Answer("edit", asked.digest, arguments={"usd": "0.45"}), acting_as=looker.rita)

    assert ended(looker, run).status == "completed"
