"""Set budgets, remove them, look them up."""

from collections.abc import Iterable, Mapping
from typing import Any, Final
from uuid import UUID

from django.db import connection
from django.db.models import QuerySet

from access.acting import acting
from agents.actions.checking import refuse
from agents.core.budgets import budget_problems, limits_of, shown_usd
from agents.core.money import to_usd
from agents.core.schema import Problem
from agents.errors import UnknownBudget
from agents.models import Agent
from audit import journal
from quotas.models import Budget
from tenants.actions import members, names
from tenants.errors import TenantError, UnknownMember
from tenants.models import User
from tenants.principal import Principal

Json = Any

_LIMITS: Final = ("usd_nano", "tokens", "soft")


def put(name: str, spec: Mapping[str, Json], *, acting_as: Principal | str) -> Budget:
    """Set the budget `name`: `{of: {tenant: true} | {agent} | {user}, window: day|month, usd?, tokens?, soft?}`.

    What it is of and its window stay for life. One that is so already is returned without a record. Raises
    `InvalidDocument`, and what `acting` raises for `agents:write`.
    """
    with acting(acting_as, "agents:write") as actor:
        refuse([*_name_problems(name), *budget_problems(spec)], f"The budget {name} is not valid.")
        of, of_id = _subject(spec["of"])
        budget = _found_or_made(name, of, of_id, spec["window"])
        wanted = limits_of(spec)
        if budget.name == name and {field: getattr(budget, field) for field in _LIMITS} == wanted:
            return budget
        budget.name, budget.usd_nano, budget.tokens, budget.soft = name, *(wanted[field] for field in _LIMITS)
        budget.save()
        facts = {
            "of": of,
            "of_id": None if of_id is None else str(of_id),
            "window": budget.period,
            "usd_nano": budget.usd_nano,
            "tokens": budget.tokens,
            "soft": None if budget.soft is None else str(budget.soft),
        }
        journal.record("budget.set", stream=budget.id, actor=actor, facts=facts, payload={"name": name})
        return budget


def remove(name: str, *, acting_as: Principal | str) -> None:
    """Take the limits away; what was spent in the tenant's month stays counted. Raises `UnknownBudget`.

    What runs hold of it goes with it.
    """
    with acting(acting_as, "agents:write") as actor:
        budget = Budget.objects.select_for_update().filter(name=name).first()
        if budget is None:
            raise UnknownBudget
        journal.record("budget.deleted", stream=budget.id, actor=actor, payload={"name": name})
        if (budget.of, budget.period) == ("tenant", "month"):
            budget.name = budget.usd_nano = budget.tokens = budget.soft = None
            budget.save()
        else:
            budget.delete()


def named() -> "QuerySet[Budget]":
    """Return the budgets that somebody has set."""
    return Budget.objects.exclude(name=None)


def spec_of(budget: Budget) -> dict[str, Json]:
    """Return the budget as a document's `spec`; what is not set is left out."""
    return specs_of([budget])[0]


def specs_of(budgets: Iterable[Budget]) -> list[dict[str, Json]]:
    """Return budgets as documents' `spec`, looking agents and members up at once."""
    listed = list(budgets)
    ids = {budget.of_id for budget in listed if budget.of_id is not None}
    slugs: dict[UUID, str] = dict(Agent.objects.filter(id__in=ids).values_list("id", "slug"))
    emails: dict[UUID, str] = dict(User.objects.filter(id__in=ids).values_list("id", "email"))
    return [_spec(budget, slugs, emails) for budget in listed]


def _spec(budget: Budget, slugs: Mapping[UUID, str], emails: Mapping[UUID, str]) -> dict[str, Json]:
    known: Mapping[UUID, str] = {"agent": slugs, "user": emails}.get(budget.of, {})
    of = {budget.of: True if budget.of_id is None else known.get(budget.of_id, str(budget.of_id))}
    limits = {
        "usd": None if budget.usd_nano is None else shown_usd(budget.usd_nano),
        "tokens": budget.tokens,
        "soft": None if budget.soft is None else float(budget.soft),
    }
    return {"of": of, "window": budget.period} | {key: value for key, value in limits.items() if value is not None}


_CURRENT: Final = """
SELECT w.budget_id, w.starts_on, w.spent_usd_nano, w.spent_tokens, w.reserved_usd_nano, w.reserved_tokens,
    w.extra_usd_nano, w.extra_tokens, w.soft_told
FROM quotas_budget b JOIN quotas_window w ON w.tenant_id = b.tenant_id AND w.budget_id = b.id
WHERE b.id = ANY(%s)
  AND w.starts_on = CASE b.period WHEN 'day' THEN (now() AT TIME ZONE 'UTC')::date
                         ELSE date_trunc('month', now() AT TIME ZONE 'UTC')::date END
"""


def current(budgets: Iterable[Budget]) -> dict[UUID, dict[str, Json]]:
    """Return what is spent, reserved and added in today's or this month's window, by the budgets that have one yet."""
    with connection.cursor() as cursor:
        cursor.execute(_CURRENT, [[budget.id for budget in budgets]])
        rows = cursor.fetchall()
    return {
        budget: {
            "starts_on": starts_on.isoformat(),
            "spent": {"usd": to_usd(spent), "tokens": spent_tokens},
            "reserved": {"usd": to_usd(reserved), "tokens": reserved_tokens},
            "extended": {"usd": to_usd(extra), "tokens": extra_tokens},
            "soft_limit_reached": told,
        }
        for budget, starts_on, spent, spent_tokens, reserved, reserved_tokens, extra, extra_tokens, told in rows
    }


def _found_or_made(name: str, of: str, of_id: UUID | None, period: str) -> Budget:
    """Return the budget of that name, or the one of the same subject and window that has no name; locked."""
    rows = Budget.objects.select_for_update()
    budget = rows.filter(name=name).first()
    if budget is not None and (budget.of, budget.of_id, budget.period) != (of, of_id, period):
        refuse([Problem("/of", "What it is of and its window stay; remove it and set another one.", "document")], name)
    if budget is not None:
        return budget
    Budget.objects.bulk_create([Budget(of=of, of_id=of_id, period=period)], ignore_conflicts=True)
    budget = rows.get(of=of, of_id=of_id, period=period)
    if budget.name is not None:
        refuse([Problem("/of", f"There is such a budget already: {budget.name}.", "document")], name)
    return budget


def _subject(of: Mapping[str, Json]) -> tuple[str, UUID | None]:
    [(kind, value)] = of.items()
    if kind == "agent":
        agent = Agent.objects.filter(slug=value).first()
        if agent is None:
            refuse([Problem("/of/agent", f"There is no agent {value!r}.", "document")], "The budget is not valid.")
        else:
            return kind, agent.id
    if kind == "user":
        try:
            return kind, members.by_email(value).id
        except UnknownMember as error:
            refuse([Problem("/of/user", str(error), "document")], "The budget is not valid.")
    return kind, None


def _name_problems(name: str) -> list[Problem]:
    try:
        names.check_slug(name)
    except TenantError as error:
        return [Problem("", str(error), "document")]
    return []
