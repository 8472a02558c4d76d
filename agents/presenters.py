"""Runs and their events as the API and the pages show them (contract.md)."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from django.db.models import Prefetch, QuerySet

from agents.core.events import own_facts
from agents.core.exact import disclose, scrubbed
from agents.core.money import to_usd
from agents.models import AgentVersion, Run
from audit import journal
from audit.journal import Stored

Json = Any

_ENCLOSED = frozenset({"input", "content", "arguments", "result", "whole", "output"})
_TOKENS = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


def event_json(stored: Stored, *, payloads: bool) -> dict[str, Json]:
    """Return `{seq, type, at, actor, data}`. payloads: whether the viewer may see what lies in erasable payloads."""
    return {
        "seq": stored.seq,
        "type": stored.action,
        "at": stored.at.isoformat(),
        "actor": stored.actor,
        "data": _data(stored, payloads=payloads),
    }


def _data(stored: Stored, *, payloads: bool) -> dict[str, Json]:
    data = own_facts(stored.action, stored.facts)
    if "cost_nano" in data:
        data["cost_usd"] = to_usd(data.pop("cost_nano"))
    if "usd_nano" in data:
        data["usd"] = to_usd(data.pop("usd_nano"))
    if "input_tokens" in data:
        data["usage"] = {name: data.pop(name, 0) for name in _TOKENS}
    if stored.erased:
        return data | {"erased": True}
    payload = stored.payload or {}
    if not payloads:
        return data | dict.fromkeys(payload)
    return data | payload_json(payload)


def payload_json(payload: Mapping[str, Json]) -> dict[str, Json]:
    """Return a payload as people see it: what was enclosed to be kept exactly (`agents.core.exact`) is undone."""
    shown = {name: shown_value(value) if name in _ENCLOSED else value for name, value in payload.items()}
    return shown | {"proposal": proposal_json(shown["proposal"])} if "proposal" in shown else shown


def proposal_json(proposal: Mapping[str, Json]) -> dict[str, Json]:
    """Return a proposal as people see it: its parts were enclosed one by one."""
    return {name: shown_value(part) if name in _ENCLOSED else part for name, part in proposal.items()}


def shown_value(enclosed: Json) -> Json:
    """Return a kept value as it can be shown: exact, but for what no JSON answer can carry."""
    value = disclose(enclosed)
    return value if value is enclosed else scrubbed(value)


def with_names(runs: "QuerySet[Run]") -> "QuerySet[Run]":
    """Bring the agent's slug and the version's number along, each by one small query.

    A join would have the planner sort all runs of the tenant to show one page, and drag every whole spec through it.
    """
    numbers = AgentVersion.objects.only("id", "number")
    return runs.prefetch_related("agent", Prefetch("version", numbers))


def runs_json(runs: Iterable[Run], escalations: Mapping[UUID, list[str]], *, payloads: bool) -> list[dict[str, Json]]:
    """Return runs in the contract's shape, reading all their outputs at once.

    runs: with agent and version at hand (`with_names`). escalations: ids by run id.
    """
    listed = list(runs)
    children = _children(listed)
    ended = [(run.id, run.output_seq) for run in listed if run.output_seq is not None]
    endings = journal.payloads_at(ended) if payloads else {}
    return [
        _run_json(
            run,
            endings.get((run.id, run.output_seq or 0)) or {},
            escalations=escalations.get(run.id, []),
            children=children.get(run.id, []),
        )
        for run in listed
    ]


def _children(runs: Iterable[Run]) -> dict[UUID, list[str]]:
    by_parent: dict[UUID, list[str]] = {}
    rows = Run.objects.filter(parent_id__in=[run.id for run in runs]).order_by("id").values_list("parent_id", "id")
    for parent_id, child_id in rows:
        if parent_id is not None:
            by_parent.setdefault(parent_id, []).append(str(child_id))
    return by_parent


def _run_json(run: Run, ending: Mapping[str, Json], *, escalations: list[str], children: list[str]) -> dict[str, Json]:
    """Return one run. ending: the payload of its last event, empty before the end or when it may not be shown."""
    error = None
    if run.status == "failed":
        error = {"code": run.error_code, "detail": ending.get("detail"), "suggestion": ending.get("suggestion")}
    return {
        "id": str(run.id),
        "agent": run.agent.slug,
        "version": run.version.number,
        "status": run.status,
        "waiting_for": run.waiting_for if run.status == "waiting" else None,
        "doing": run.doing,
        "created_at": run.created_at.isoformat(),
        "ended_at": run.ended_at.isoformat() if run.ended_at else None,
        "output": shown_value(ending.get("output")),
        "error": error,
        "usage": {name: getattr(run, name) for name in (*_TOKENS, "model_calls", "tool_calls")},
        "cost_usd": to_usd(run.cost_nano),
        "metadata": run.metadata,
        "retry_of": str(run.retry_of_id) if run.retry_of_id else None,
        "parent": str(run.parent_id) if run.parent_id else None,
        "escalations": escalations,
        "children": children,
    }
