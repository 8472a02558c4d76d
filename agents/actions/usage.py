"""What runs have used, and what an agent's runs are likely to use."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import connection

from agents.core import limits
from agents.core.events import RunSubmitted
from agents.core.exact import enclose
from agents.core.fold import fold
from agents.core.pricing import tokens_at_most
from agents.core.requests import model_request
from agents.core.spec import AgentSpec
from agents.core.state import RunState
from agents.models import Agent
from db.scope import current_tenant_id

Json = Any

_DAY_MS: Final = 24 * 3600 * 1000

#: Completed runs that an estimate looks back on, and how few are no history.
LOOK_BACK: Final = 500
LEAST: Final = 5


@dataclass(frozen=True, slots=True)
class Used:
    """What a group of runs used. key: the agent's slug, the member's address, the model or the day."""

    key: str
    runs: int
    model_calls: int
    tool_calls: int
    input_tokens: int
    output_tokens: int
    cache_read_input_tokens: int
    cache_creation_input_tokens: int
    cost_nano: int


_COUNTED: Final = {
    "model_calls": "model_calls",
    "tool_calls": "tool_calls",
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cache_read": "cache_read_input_tokens",
    "cache_creation": "cache_creation_input_tokens",
    "cost": "cost_nano",
}

#: A run's row holds what its children used as well, once it has heard of their ends; here each counts for itself.
_SUMS: Final = "count(*) AS runs, " + ", ".join(
    f"sum(r.{column} - coalesce(b.{name}, 0)) AS {name}" for name, column in _COUNTED.items()
)
_BELOW: Final = ", ".join(f"sum({column}) AS {name}" for name, column in _COUNTED.items())
_AGAIN: Final = """
sum(used.runs)::bigint, sum(used.model_calls)::bigint, sum(used.tool_calls)::bigint, sum(used.input_tokens)::bigint,
    sum(used.output_tokens)::bigint, sum(used.cache_read)::bigint, sum(used.cache_creation)::bigint,
    sum(used.cost)::bigint
"""

#: What runs are grouped by, and how that is told. Versions, whose documents are large, are looked up once a group.
BY: Final[Mapping[str, tuple[str, str, str]]] = {
    "agent": ("r.agent_id", "a.slug", "JOIN agents_agent a ON a.tenant_id = %(tenant)s AND a.id = used.by"),
    "user": ("r.principal_id", "u.email", "JOIN tenants_user u ON u.id = used.by"),
    "model": (
        "r.version_id",
        "v.compiled::json #>> '{document,model,id}'",
        "JOIN agents_agentversion v ON v.tenant_id = %(tenant)s AND v.id = used.by",
    ),
    "day": ("(r.created_at AT TIME ZONE 'UTC')::date", "used.by::text", ""),
}


def used(*, by: str, since: datetime, until: datetime) -> list[Used]:
    """Return what the runs submitted from `since` to before `until` have used so far, the last key first.

    What runs that others started used counts for their own agent, member and model, and once.

    by: a key of `BY`. Reads the runs of that time by the index over their ids, which begin with the time.
    """
    group, key, join = BY[by]
    query = f"""
        WITH below AS MATERIALIZED (
            SELECT parent_id, {_BELOW} FROM agents_run
            WHERE tenant_id = %(tenant)s AND parent_id IS NOT NULL AND ended_at IS NOT NULL AND is_unheard IS NULL
              AND id >= %(first)s
            GROUP BY 1),
        used AS MATERIALIZED (
            SELECT {group} AS by, {_SUMS} FROM agents_run r LEFT JOIN below b ON b.parent_id = r.id
            WHERE r.tenant_id = %(tenant)s AND r.id >= %(first)s AND r.id < %(last)s
              AND r.created_at >= %(since)s AND r.created_at < %(until)s
            GROUP BY 1)
        SELECT {key} AS key, {_AGAIN} FROM used {join} GROUP BY 1 ORDER BY 1 DESC
    """  # noqa: S608 - constants only
    parameters: dict[str, UUID | datetime] = {
        "tenant": current_tenant_id(),
        "first": _first_id(since, -_DAY_MS),
        "last": _first_id(until, _DAY_MS),
        "since": since,
        "until": until,
    }
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        found = [Used(*row) for row in cursor.fetchall()]
    return sorted(found, key=lambda each: each.key, reverse=True)


def _first_id(at: datetime, more_ms: int) -> UUID:
    """Return the least UUIDv7 of a time. Ids are of web servers' clocks, times of the database's: a day is between."""
    return UUID(int=max(0, int(at.timestamp() * 1000) + more_ms) << 80)


@dataclass(frozen=True, slots=True)
class PerRun:
    """What one run uses, in tokens and nano-USD: half of them no more than `median`, 19 of 20 no more than `p95`.

    basis: `history`, of so many completed `runs`; or `limits`, where there are too few: then `median` is one call of
    each model (of triage, and its own) with the longest answer that is allowed, and `p95` the run's own limit.
    """

    basis: str
    runs: int
    tokens: tuple[int, int]
    cost_nano: tuple[int, int]


_HISTORY: Final = """
SELECT input_tokens + output_tokens + cache_read_input_tokens + cache_creation_input_tokens, cost_nano FROM agents_run
WHERE tenant_id = %s AND agent_id = %s AND status = 'completed' AND reverses_id IS NULL ORDER BY id DESC LIMIT %s
"""


def estimate(agent: Agent, spec: AgentSpec, run_input: Json, *, on: datetime) -> PerRun:
    """Return what a run of the agent is likely to use. spec: of its live version; run_input: as clients would give it.

    on: whose day's prices count.
    """
    with connection.cursor() as cursor:
        cursor.execute(_HISTORY, [current_tenant_id(), agent.id, LOOK_BACK])
        rows = cursor.fetchall()
    if len(rows) >= LEAST:
        tokens, cost = (sorted(values) for values in zip(*rows, strict=True))
        return PerRun("history", len(rows), _middle_and_most(tokens), _middle_and_most(cost))
    return _by_limits(spec, run_input, len(rows), on)


def _middle_and_most(values: Sequence[int]) -> tuple[int, int]:
    """Return the median and the 95th percentile of sorted values, each one of them (nearest rank)."""
    return values[math.ceil(len(values) * 0.5) - 1], values[math.ceil(len(values) * 0.95) - 1]


def _by_limits(spec: AgentSpec, run_input: Json, runs: int, on: datetime) -> PerRun:
    submitted = RunSubmitted(
        agent=str(spec.agent_id), version=spec.version, principal="", requested_by="", input=enclose(run_input)
    )
    state = fold(RunState(spec.agent_id), submitted)
    asked = tokens_at_most(model_request(state, spec))
    most_usd, most_tokens = limits.allowance(state, spec)
    models = [spec.model] if spec.triage is None else [spec.triage.model, spec.model]
    cost = sum(limits.call_at_most(asked, spec, model, on.date()) for model in models)
    tokens = len(models) * (asked + spec.max_tokens)
    return PerRun("limits", runs, (min(tokens, most_tokens), most_tokens), (min(cost, most_usd), most_usd))
