"""What runs have used, and what an agent's are likely to use."""

from datetime import datetime, timedelta
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from agents.actions import usage
from agents.actions.runs import transaction_time
from agents.actions.usage import PerRun, Used
from agents.core.money import to_usd
from agents.engine.specs import spec_of
from agents.errors import NotPublished
from agents.models import Agent
from api.bodies import Body
from api.queries import Page, Query
from api.schema import PAGING, call, component, page_of, query
from api.views import View, found, name

Json = Any

_TIME = {"type": "string", "format": "date-time"}
_COUNTED = (
    *("model_calls", "tool_calls", "input_tokens", "output_tokens"),
    *("cache_read_input_tokens", "cache_creation_input_tokens"),
)
_USED = component(
    "Usage",
    {
        "key": {"type": "string", "description": "The agent's slug, the member's address, the model, or the day."},
        "runs": {"type": "integer"},
        "usage": {
            "type": "object",
            "properties": {each: {"type": "integer"} for each in _COUNTED},
            "required": list(_COUNTED),
            "additionalProperties": False,
        },
        "cost_usd": {"type": "string", "examples": ["0.0123"]},
    },
)
_PAGE = page_of("UsagePage", _USED)

_VOLUME = Body(
    {
        "type": "object",
        "properties": {
            "runs_per_day": {"type": "integer", "minimum": 1, "maximum": 10_000_000},
            "input": {"description": "As runs would be given it; counts only while there is no history."},
        },
        "required": ["runs_per_day"],
        "additionalProperties": False,
    },
    example={"runs_per_day": 200, "input": {"application_id": "A-1", "customer_id": "CUST-1"}},
)
_RANGE = {
    "type": "object",
    "properties": {
        "tokens": {"type": "object", "properties": {each: {"type": "integer"} for each in ("median", "p95")}},
        "cost_usd": {"type": "object", "properties": {each: {"type": "string"} for each in ("median", "p95")}},
    },
    "required": ["tokens", "cost_usd"],
    "additionalProperties": False,
}
_ESTIMATE = component(
    "Estimate",
    {
        "basis": {
            "type": "string",
            "enum": ["history", "limits"],
            "description": "`history`: the agent's latest completed runs. `limits`: there are too few; the median is"
            " one call of the model with the longest answer that is allowed (with triage, of each), p95 a run's limit.",
        },
        "runs": {"type": "integer", "description": "Completed runs that were looked at."},
        "per_run": _RANGE,
        "per_day": _RANGE,
        "per_month": {**_RANGE, "description": "30 days."},
    },
)


class Usage(View):
    """What runs have used."""

    @call(
        "listUsage",
        "Add up what runs have used",
        answer=_PAGE,
        parameters=(
            query("by", "What to add up by.", {"type": "string", "enum": list(usage.BY), "default": "day"}),
            query("from", "Runs submitted at this time or later; 30 days ago by default.", _TIME),
            query("to", "Runs submitted before this time; now by default.", _TIME),
            *PAGING,
        ),
        refusals=(400, 422),
    )
    def get(self, request: Request) -> Response:
        """Add up tokens, costs and runs, those under way as far as they are; the last key first. Days are UTC's.

        A run's model is the one that its agent's version names.
        """
        self.require("usage:read")
        given = Query(self.plain_request, ("by", "from", "to", "limit", "cursor"))
        by = given.choice("by", list(usage.BY)) or "day"
        page = Page(given, name=f"usage.{by}.{self.principal.tenant_id}", by=("key",))
        with self.scope():
            now = transaction_time()
            until = given.instant("to") or now + timedelta(seconds=1)
            since = given.instant("from") or until - timedelta(days=30)
            return Response(page.of_values(usage.used(by=by, since=since, until=until), _used))


class Estimate(View):
    """What an agent's runs are likely to cost."""

    @call(
        "estimateAgent",
        "Estimate what an agent will cost",
        answer=_ESTIMATE,
        body=_VOLUME,
        path={"slug": "The agent's slug."},
        refusals=(404, 409),
    )
    def post(self, request: Request, slug: str) -> Response:
        """Return what so many runs a day will take in tokens and money: a median, and what 19 of 20 stay below."""
        with self.scope():
            agent = found(Agent.objects.select_related("live"), slug=name(slug))
            self.require("usage:read")
            given = self.body(_VOLUME)
            live: Any = agent.live
            if live is None:
                raise NotPublished
            spec = spec_of(live.id, lambda: live.compiled)
            now: datetime = transaction_time()
            return Response(
                _estimate(usage.estimate(agent, spec, given.get("input"), on=now), int(given["runs_per_day"]))
            )


def _used(rows: list[Used]) -> list[Json]:
    return [
        {
            "key": row.key,
            "runs": row.runs,
            "usage": {each: getattr(row, each) for each in _COUNTED},
            "cost_usd": to_usd(row.cost_nano),
        }
        for row in rows
    ]


def _estimate(per_run: PerRun, runs_per_day: int) -> Json:
    return {
        "basis": per_run.basis,
        "runs": per_run.runs,
        "per_run": _range(per_run, 1),
        "per_day": _range(per_run, runs_per_day),
        "per_month": _range(per_run, runs_per_day * 30),
    }


def _range(per_run: PerRun, times: int) -> Json:
    named = ("median", "p95")
    return {
        "tokens": {each: value * times for each, value in zip(named, per_run.tokens, strict=True)},
        "cost_usd": {each: to_usd(value * times) for each, value in zip(named, per_run.cost_nano, strict=True)},
    }
