"""Budgets: what runs may spend together, and what they have."""

from collections.abc import Iterable
from typing import Any

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from agents.actions import budgets
from api import conditions
from api.bodies import Body, beneath
from api.queries import Page, Query
from api.schema import CONDITIONS, ETAG, PAGING, call, component, nullable, page_of
from api.views import View, found, name
from quotas.models import Budget

Json = Any

_SPEC = Body(
    {
        "type": "object",
        "properties": {"spec": {"type": "object", "description": "The `spec` of a document of the kind Budget."}},
        "required": ["spec"],
        "additionalProperties": False,
    },
    example={"spec": {"of": {"agent": "loan-review"}, "window": "month", "usd": "200.00", "soft": 0.8}},
)
_AMOUNTS = {
    "type": "object",
    "properties": {"usd": {"type": "string"}, "tokens": {"type": "integer"}},
    "required": ["usd", "tokens"],
    "additionalProperties": False,
}
_BUDGET = component(
    "Budget",
    {
        "name": {"type": "string"},
        "spec": {"type": "object"},
        "current": nullable(
            {
                "type": "object",
                "description": "Today's or this month's window (UTC); null before the first run in it. No part of the"
                " ETag.",
                "properties": {
                    "starts_on": {"type": "string", "format": "date"},
                    "spent": _AMOUNTS,
                    "reserved": _AMOUNTS,
                    "extended": {**_AMOUNTS, "description": "What people added to this window alone."},
                    "soft_limit_reached": {"type": "boolean"},
                },
                "required": ["starts_on", "spent", "reserved", "extended", "soft_limit_reached"],
                "additionalProperties": False,
            }
        ),
    },
)
_PAGE = page_of("BudgetPage", _BUDGET)
_PATH = {"budget_name": "The budget's name."}


class Budgets(View):
    """The tenant's budgets."""

    @call("listBudgets", "List budgets, newest first", answer=_PAGE, parameters=PAGING, refusals=(400, 422))
    def get(self, request: Request) -> Response:
        """List budgets, newest first."""
        self.require("usage:read")
        page = Page(Query(self.plain_request, ("limit", "cursor")), name=f"budgets.{self.principal.tenant_id}")
        with self.scope():
            return Response(page.of(budgets.named(), _listed))


class OneBudget(View):
    """One budget."""

    @call("getBudget", "Read a budget", answer=_BUDGET, path=_PATH, parameters=(ETAG,), refusals=(404,))
    def get(self, request: Request, budget_name: str) -> Response:
        """Return its limits, and what is spent and reserved of them now."""
        with self.scope():
            budget = found(budgets.named(), name=name(budget_name))
            self.require("usage:read")
            return _answer(budget)

    @call(
        "putBudget",
        "Set a budget",
        also=201,
        answer=_BUDGET,
        body=_SPEC,
        path=_PATH,
        parameters=CONDITIONS,
        refusals=(412, 428),
    )
    def put(self, request: Request, budget_name: str) -> Response:
        """Set the budget as the body says; 201 when it is new.

        What it is of and its window stay for life. Runs that wait since it was exhausted go on when they are approved.
        """
        self.require("agents:write")
        with self.scope():
            present = conditions.replaced(self.plain_request, "budget", budgets.named(), _json, name=budget_name)
            with beneath("/spec"):
                budget = budgets.put(budget_name, self.body(_SPEC)["spec"], acting_as=self.principal)
            return _answer(budget, status=200 if present else 201)

    @call("deleteBudget", "Remove a budget", status=204, path=_PATH, refusals=(404,))
    def delete(self, request: Request, budget_name: str) -> HttpResponse:
        """Take its limits away. What runs hold of it goes with it."""
        with self.scope():
            found(budgets.named(), name=name(budget_name))
            self.require("agents:write")
            budgets.remove(budget_name, acting_as=self.principal)
        return HttpResponse(status=204)


def _answer(budget: Budget, status: int = 200) -> Response:
    [shown] = _listed([budget])
    return Response(shown, status=status, headers={"ETag": conditions.etag(_json(budget))})


def _json(budget: Budget) -> Json:
    return {"name": budget.name, "spec": budgets.spec_of(budget)}


def _listed(listed: Iterable[Budget]) -> list[Json]:
    rows = list(listed)
    windows = budgets.current(rows)
    return [
        {"name": budget.name, "spec": spec, "current": windows.get(budget.id)}
        for budget, spec in zip(rows, budgets.specs_of(rows), strict=True)
    ]
