"""What the pages of agents show, read in the tenant's scope."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import Count, Q, Sum
from django.http import Http404
from django.utils import timezone

from access import grants
from access.errors import AccessDenied
from agents.actions import agents, usage
from agents.core.builtin import ESCALATE
from agents.core.spec import agent_spec
from agents.models import Agent, AgentVersion, Run, Tool
from agents.providers.catalogue import shipped_models
from console import forms, wording
from console.agent_form import SECTIONS
from console.events import pretty
from console.forms import Section
from console.inbox_text import Changed
from console.members import Member
from escalations.models import Escalation, Queue

Json = Any

#: How far the figures of the pages look back.
DAYS: Final = 30

#: Among how many agents one is looked for that the reader may run.
LOOKED_AT: Final = 20

#: What stands for the draft where a version is chosen.
DRAFT: Final = "draft"

#: Versions that a page shows.
VERSIONS: Final = 20


@dataclass(frozen=True, slots=True)
class Line:
    """One agent in the list, ready to render. failed: share of its ended runs, in words."""

    slug: str
    role: str
    live: int | None
    has_draft: bool
    is_stopped: bool
    runs: int
    failed: str
    cost: str
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Version:
    """One version in the list."""

    number: int
    live: bool
    created_at: datetime
    digest: str


@dataclass(frozen=True, slots=True)
class Overview:
    """One agent, ready to render. may_edit, may_run: whether the reader may."""

    slug: str
    role: str
    live: int | None
    newest: int | None
    has_draft: bool
    versions: list[Version]
    runs: int
    completed: str
    waiting: int
    cost: str
    per_run: str
    per_run_most: str
    basis: str
    system: str
    tools: list[str]
    may_edit: bool
    may_run: bool


def listed() -> list[Line]:
    """Return the tenant's agents with what their runs did lately."""
    figures = _figures()
    return [_line(agent, figures.get(agent.id, {})) for agent in Agent.objects.select_related("live").order_by("slug")]


def agent_of(slug: str) -> Agent:
    """Return the tenant's agent; raises `Http404`."""
    agent = Agent.objects.select_related("live").filter(slug=slug).first()
    if agent is None:
        raise Http404
    return agent


def runnable(member: Member) -> Agent | None:
    """Return the published agent that was changed last of those that the member may run."""
    rows = Agent.objects.exclude(live=None).filter(stopped_at=None).select_related("live").order_by("-updated_at")
    rows = rows[:LOOKED_AT]
    return next((each for each in rows if grants.held(member.principal, "run", each)), None)


def runnable_versions(agent: Agent, member: Member) -> list[tuple[str, str]]:
    """Return (value, words) of what a run can be started of: the live version, others, the draft for who edits it."""
    live = [("", f"v{agent.live.number}, which is live")] if agent.live else []
    has_draft = agent.draft is not None and may_edit(agent.slug, member)
    draft = [(DRAFT, "the draft as it stands, with today's tools")] if has_draft else []
    numbers = agent.versions.order_by("-number").values_list("number", flat=True)[:VERSIONS]
    others = [each for each in numbers if agent.live is None or each != agent.live.number]
    return [*live, *draft, *((str(each), f"v{each}") for each in others)]


def spec_of_choice(agent: Agent, chosen: str) -> Mapping[str, Json] | None:
    """Return the document of what was chosen of `runnable_versions`; None where there is none."""
    if chosen == DRAFT or (agent.live is None and not chosen):
        return agents.spec_of(agent)
    if chosen.isascii() and chosen.isdigit() and len(chosen) < 10:
        return agent.versions.filter(number=int(chosen)).values_list("document", flat=True).first()
    return agent.live.document if agent.live else None


def overview(agent: Agent, member: Member) -> Overview:
    """Return everything the agent's page shows."""
    figures = _figures(agent).get(agent.id, {})
    found = list(agent.versions.order_by("-number").defer("compiled", "document")[:VERSIONS])
    live = agent.live
    spec = agent_spec(live.compiled) if live else None
    per_run = usage.estimate(agent, spec, {}, on=timezone.now()) if spec else None
    worked_on = agents.spec_of(agent) or {}
    return Overview(
        slug=agent.slug,
        role=str(worked_on.get("role", "")),
        live=live.number if live else None,
        newest=found[0].number if found else None,
        has_draft=agent.draft is not None,
        versions=[Version(each.number, each.id == agent.live_id, each.created_at, each.digest) for each in found],
        runs=figures.get("runs", 0),
        completed=_share(figures.get("completed", 0), figures.get("ended", 0)),
        waiting=Escalation.objects.filter(agent_id=agent.id, status="open").count(),
        cost=wording.usd(figures.get("cost") or 0),
        per_run=wording.usd(per_run.cost_nano[0]) if per_run else "",
        per_run_most=wording.budget(per_run.cost_nano[1]) if per_run else "",
        basis=per_run.basis if per_run else "",
        system=spec.system if spec else "",
        tools=[name for name, tool in spec.tools.items() if tool.offered] if spec else [],
        may_edit=may_edit(agent.slug, member),
        may_run=member.can("runs:write") and grants.held(member.principal, "run", agent),
    )


def may_edit(slug: str, member: Member) -> bool:
    """Say whether the member may change that agent, or make it."""
    if member.principal.staff_access_id is not None:
        return False
    try:
        agents.may_edit(slug, member.principal)
    except AccessDenied:
        return False
    return True


def sections() -> list[Section]:
    """Return the form with the tools, models and queues that there are."""
    tools = [*Tool.objects.exclude(live=None).order_by("name").values_list("name", flat=True), ESCALATE]
    queues = list(Queue.objects.order_by("slug").values_list("slug", flat=True))
    models = [model.id for model in shipped_models()]
    return forms.with_choices(SECTIONS, {"tools": tools, "model": models, "review_queue": queues})


def version_of(agent: Agent, number: int) -> AgentVersion:
    """Return a version; raises `Http404`."""
    found = agent.versions.filter(number=number).first()
    if found is None:
        raise Http404
    return found


@dataclass(frozen=True, slots=True)
class Compared:
    """A part of two versions. lines: what differs, with a few lines around it; none when nothing does."""

    title: str
    lines: list[Changed]


def compared(before: AgentVersion, after: AgentVersion) -> list[Compared]:
    """Return what two versions differ in: what was written, what the model is told, the tools' definitions."""
    return [
        Compared("What was written", changes(pretty(before.document), pretty(after.document))),
        Compared("What the model is told", changes(before.compiled["system"], after.compiled["system"])),
        Compared("Tools", changes(_pinned(before), _pinned(after))),
    ]


def changes(before: str, after: str) -> list[Changed]:
    """Return the lines that differ, each lot with three lines around it; a mark of `@` stands for what is left out."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), n=3, lineterm="")
    told = [line for line in lines if not line.startswith(("---", "+++"))]
    return [
        Changed("@" if line.startswith("@@") else line[:1], "…" if line.startswith("@@") else line[1:]) for line in told
    ]


def example_of(schema: Mapping[str, Json] | None) -> str:
    """Return an input that fits a schema as far as its types go, for somebody to fill in."""
    return pretty(_example(schema or {"type": "object"}))


def _pinned(version: AgentVersion) -> str:
    return "\n".join(f"{tool['name']} v{tool['version']} {tool['digest']}" for tool in version.compiled["tools"])


def _example(schema: Mapping[str, Json]) -> Json:
    if "enum" in schema:
        return schema["enum"][0]
    if "default" in schema:
        return schema["default"]
    kind = schema.get("type")
    kind = kind[0] if isinstance(kind, list) and kind else kind
    if kind == "object":
        wanted = schema.get("required", ())
        return {name: _example(each) for name, each in schema.get("properties", {}).items() if name in wanted}
    return {"string": "…", "integer": schema.get("minimum", 0), "number": schema.get("minimum", 0)}.get(
        str(kind), {"boolean": False, "array": []}.get(str(kind))
    )


def _line(agent: Agent, figures: Mapping[str, Any]) -> Line:
    document: Mapping[str, Json] = agent.draft or (agent.live.document if agent.live else {})
    return Line(
        slug=agent.slug,
        role=str(document.get("role", "")),
        live=agent.live.number if agent.live else None,
        has_draft=agent.draft is not None,
        is_stopped=agent.stopped_at is not None,
        runs=figures.get("runs", 0),
        failed=_share(figures.get("failed", 0), figures.get("ended", 0)),
        cost=wording.usd(figures.get("cost") or 0),
        updated_at=agent.updated_at,
    )


def _figures(agent: Agent | None = None) -> dict[Any, dict[str, Any]]:
    since = timezone.now() - timedelta(days=DAYS)
    runs = Run.objects.filter(created_at__gte=since, reverses_id=None)  # what undoes a run is no work of the agent's
    if agent is not None:
        runs = runs.filter(agent=agent)
    rows = runs.values("agent_id").annotate(
        runs=Count("id"),
        ended=Count("id", filter=Q(status__in=("completed", "failed"))),
        completed=Count("id", filter=Q(status="completed")),
        failed=Count("id", filter=Q(status="failed")),
        cost=Sum("cost_nano"),
    )
    return {row["agent_id"]: dict(row) for row in rows.order_by()}


def _share(part: int, whole: int) -> str:
    return f"{round(part * 100 / whole)} %" if whole else ""
