"""What the pages of tools and policies show, read in the tenant's scope."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.http import Http404
from django.utils import timezone

from agents.actions import mcp_pins, tries
from agents.models import Agent, McpServerRow, Policy, Tool, ToolBreaker
from agents.tools.breaker import state_of
from agents.tools.seam import Failed, Finished
from console import forms, tool_form, wording
from console.agent_pages import example_of
from console.events import pretty
from console.forms import Section
from escalations.models import Queue

Json = Any


@dataclass(frozen=True, slots=True)
class Line:
    """One tool in the list. breaker: closed, open or half_open; agents: how many offer it."""

    name: str
    kind: str
    effect: str
    description: str
    version: int
    breaker: str
    changed: bool
    agents: int
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Page:
    """One tool, ready to render. pinned: (hash, newest hash known, whether they differ) of a tool of an MCP server."""

    name: str
    kind: str
    effect: str
    description: str
    version: int
    digest: str
    document: str
    examples: list[tuple[str, str, bool]]
    agents: list[str]
    breaker: Mapping[str, Any]
    retry_at: datetime | None
    pinned: Mapping[str, Json] | None
    example: str
    schema: str


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of a try, ready to render. outcome: finished, failed or unknown."""

    outcome: str
    text: str
    code: str


@dataclass(frozen=True, slots=True)
class ServerLine:
    """An MCP server. pins: (tool here, tool there, whether its definition changed)."""

    name: str
    transport: str
    discovered_at: datetime | None
    offered: list[tuple[str, str, str]]
    pins: list[tuple[str, str, bool]]


def listed() -> list[Line]:
    """Return the tenant's tools."""
    found = list(Tool.objects.exclude(live=None).select_related("live").order_by("name"))
    pins, used = mcp_pins.states(found), _used()
    now = timezone.now()
    breakers = {row.tool_id: str(state_of(row, now)["state"]) for row in ToolBreaker.objects.all()}
    return [_line(tool, pins, used, breakers) for tool in found]


def tool_of(name: str) -> Tool:
    """Return the tenant's tool; raises `Http404`."""
    tool = Tool.objects.exclude(live=None).select_related("live").filter(name=name).first()
    if tool is None:
        raise Http404
    return tool


def page(tool: Tool) -> Page:
    """Return what the tool's page shows, but for who may use it (`grants_page`)."""
    live: Any = tool.live
    spec = live.document
    row = ToolBreaker.objects.filter(tool=tool).first()
    return Page(
        name=tool.name,
        kind=spec["type"],
        effect=spec.get("effect", "read"),
        description=spec.get("description", ""),
        version=live.number,
        digest=live.digest,
        document=pretty(spec),
        examples=[_example(each) for each in spec.get("examples", ())],
        agents=_agents_with(tool.name),
        breaker=state_of(row, timezone.now()),
        retry_at=row.retry_at if row else None,
        pinned=mcp_pins.states([tool]).get(tool.name),
        example=_first_input(spec),
        schema=pretty(spec["input_schema"]) if spec.get("input_schema") else "",
    )


def tried(made: tries.Tried) -> Tried:
    """Return what came of a try."""
    outcome = made.outcome
    if isinstance(outcome, Finished):
        return Tried("finished", outcome.result if isinstance(outcome.result, str) else pretty(outcome.result), "")
    code = outcome.code if isinstance(outcome, Failed) else "outcome_unknown"
    return Tried(tries.became(outcome), outcome.message, wording.code(code))


def servers() -> list[ServerLine]:
    """Return the tenant's MCP servers, what they offer, and the tools that are on them."""
    specs = dict(Tool.objects.exclude(live=None).order_by("name").values_list("name", "live__document"))
    return [_server(row, specs) for row in McpServerRow.objects.order_by("name")]


def policies() -> list[Policy]:
    """Return the tenant's policies."""
    return list(Policy.objects.order_by("name"))


def policy_of(name: str) -> Policy:
    """Return the tenant's policy; raises `Http404`."""
    policy = Policy.objects.filter(name=name).first()
    if policy is None:
        raise Http404
    return policy


def tool_sections() -> list[Section]:
    """Return the form of a tool, with the queues that there are."""
    return forms.with_choices(tool_form.TOOL, {"queue": _queues()})


def policy_sections() -> list[Section]:
    """Return the form of a policy, with the tools and queues that there are."""
    tools = list(Tool.objects.exclude(live=None).order_by("name").values_list("name", flat=True))
    return forms.with_choices(tool_form.POLICY, {"tools": tools, "queue": _queues()})


def _queues() -> list[str]:
    return list(Queue.objects.order_by("slug").values_list("slug", flat=True))


def _line(tool: Tool, pins: Mapping[str, Json], used: Mapping[str, int], breakers: Mapping[Any, str]) -> Line:
    live: Any = tool.live
    spec = live.document
    return Line(
        name=tool.name,
        kind=spec["type"],
        effect=spec.get("effect", "read"),
        description=spec.get("description", ""),
        version=live.number,
        breaker=breakers.get(tool.id, "closed"),
        changed=bool((pins.get(tool.name) or {}).get("changed")),
        agents=used.get(tool.name, 0),
        updated_at=tool.updated_at,
    )


def _used() -> Counter[str]:
    return Counter(name for _, names in _offering() for name in names)


def _agents_with(name: str) -> list[str]:
    return [slug for slug, names in _offering() if name in names]


def _offering() -> list[tuple[str, list[str]]]:
    rows = Agent.objects.exclude(live=None).order_by("slug").values_list("slug", "live__document")
    return [(slug, document.get("tools") or []) for slug, document in rows]


def _example(given: Mapping[str, Json]) -> tuple[str, str, bool]:
    failed = "error" in given
    return pretty(given["input"]), str(given["error"]) if failed else pretty(given.get("output")), failed


def _first_input(spec: Mapping[str, Json]) -> str:
    found = next((each["input"] for each in spec.get("examples", ()) if "error" not in each), None)
    return pretty(found) if found is not None else example_of(spec.get("input_schema"))


def _server(row: McpServerRow, specs: Mapping[str, Json]) -> ServerLine:
    blocks = {name: spec["mcp"] for name, spec in specs.items() if (spec.get("mcp") or {}).get("server") == row.name}
    offered = [
        (str(each.get("name")), str(each.get("description") or ""), str(each.get("sha256") or ""))
        for each in row.discovered or ()
    ]
    pins = [(name, block["tool"], bool(mcp_pins.state(row, block)["changed"])) for name, block in blocks.items()]
    return ServerLine(row.name, str(row.document.get("transport", "")), row.discovered_at, offered, pins)
