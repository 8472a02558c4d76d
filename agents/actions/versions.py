"""Make versions of agents, publish them, roll back, show what the model will be told."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from math import ceil
from typing import Any, NamedTuple

from access.acting import acting
from agents.actions import agents, tools
from agents.actions.checking import refuse
from agents.core import agent_tools, document, lint, partners, prompt
from agents.core.builtin import ESCALATE
from agents.core.schema import Problem
from agents.core.spec import AgentSpec
from agents.engine.specs import spec_of
from agents.errors import NotAvailable, NothingToPublish, NothingToRollBackTo, UnknownTool, UnknownVersion
from agents.models import Agent, AgentVersion, Run, Tool
from audit import journal
from audit.canonical import canonical
from audit.models import Record
from tenants.principal import Principal
from vault import hashing

Json = Any
Spec = Mapping[str, Json]

#: Characters of English and JSON a token has on average; an estimate for planning, never for billing.
CHARS_PER_TOKEN = 4


class Made(NamedTuple):
    """A version. created: whether it was made now; otherwise the newest version is this already."""

    version: AgentVersion
    created: bool


@dataclass(frozen=True, slots=True)
class Preview:
    """What the model will be told.

    system: the compiled system prompt. tools: as the model gets them. tokens: estimates of `system`, `tools`,
    `output_schema` and their `total`, by characters. hints: what to think about before it is published (`lint`).
    """

    system: str
    tools: tuple[Mapping[str, Json], ...]
    output_schema: Json
    tokens: Mapping[str, int]
    hints: tuple[Problem, ...] = ()


def create(agent: Agent, *, keeps_draft: bool = False, acting_as: Principal | str) -> Made:
    """Make a version of what is being worked on: the draft, else the newest version's document with the tools of today.

    The version pins the system prompt and every tool's live definition, with the tools that it falls back on or is
    undone by. It changes nothing for runs until it is published. keeps_draft: whether the draft stays being worked on,
    for a rehearsal; publishing it unchanged then publishes the very version that was rehearsed. Raises
    `NothingToPublish`, `InvalidDocument`, and what `agents.may_edit` raises.
    """
    with acting(acting_as) as actor:
        agents.may_edit(agent.slug, acting_as)
        agent = agents.locked(id=agent.id)
        spec = agents.spec_of(agent)
        if spec is None:
            raise NothingToPublish
        pinned = _checked(agent.slug, spec)
        digest = _digest(agent.slug, spec, pinned)
        newest = agents.newest(agent)
        if not keeps_draft:
            agent.draft = None
            agent.save(update_fields=["draft", "updated_at"])
        if newest is not None and newest.digest == digest:
            return Made(newest, False)
        return Made(_made(agent, spec, pinned, digest, newest.number + 1 if newest else 1, actor), True)


def publish(
    agent: Agent,
    number: int,
    *,
    percent: int | None = None,
    beside: Iterable[str] = (),
    acting_as: Principal | str,
) -> AgentVersion:
    """Let new runs of the agent use version `number`; a version that is live already stays so, without a record.

    percent: 100 or None; a part of the runs is not available in this version. beside: the slugs of other agents that
    the same transaction is about to publish.
    Raises `UnknownVersion`, `NotAvailable`, `InvalidDocument`, and what `agents.may_edit` raises.
    """
    with acting(acting_as) as actor:
        agents.may_edit(agent.slug, acting_as)
        if percent not in (None, 100):
            raise NotAvailable("Publishing to a part of the runs is not available in this version; leave percent out.")
        agent = agents.locked(id=agent.id)
        version = by_number(agent, number)
        if agent.live != version:
            refuse(_not_published(version, {agent.slug, *beside}), f"The agent {agent.slug} cannot be published.")
            _go_live(agent, version, "agent.published", actor)
        return version


def rollback(agent: Agent, *, acting_as: Principal | str) -> AgentVersion:
    """Let new runs use the version that was live before the present one; again, the one before that.

    Raises `NothingToRollBackTo`, and what `agents.may_edit` raises.
    """
    with acting(acting_as) as actor:
        agents.may_edit(agent.slug, acting_as)
        agent = agents.locked(id=agent.id)
        live = _lives(agent)
        if len(live) < 2:
            raise NothingToRollBackTo
        version = by_number(agent, live[-2])
        _go_live(agent, version, "agent.rolled_back", actor)
        return version


def preview(slug: str, spec: Spec | None = None, *, acting_as: Principal | str) -> Preview:
    """Return what the model would be told if `spec` were published now; without it, what is being worked on.

    Raises `UnknownAgent`, `NothingToPublish`, `InvalidDocument`, and what `acting` raises for `agents:read`.
    """
    with acting(acting_as, "agents:read"):
        wanted = spec if spec is not None else agents.spec_of(agents.by_slug(slug))
        if wanted is None:
            raise NothingToPublish
        pinned = _checked(slug, wanted)
    complete = document.agent_document(wanted)
    offered = [tool["document"] for tool in pinned if tool["offered"]]
    told = [prompt.model_tool(tool) for tool in offered]
    if ESCALATE in complete["tools"]:
        told.append(prompt.escalation_tool())
    system = prompt.compile_system(complete, offered)
    tokens = {
        "system": _tokens(system),
        "tools": _tokens(json.dumps(told)) if told else 0,
        "output_schema": _tokens(json.dumps(wanted["output_schema"])) if "output_schema" in wanted else 0,
    }
    found = tuple(lint.hints(wanted, offered))
    return Preview(system, tuple(told), wanted.get("output_schema"), {**tokens, "total": sum(tokens.values())}, found)


def by_number(agent: Agent, number: int) -> AgentVersion:
    """Return that version of the agent; raises `UnknownVersion`."""
    version = agent.versions.filter(number=number).first()
    if version is None:
        raise UnknownVersion(f"The agent {agent.slug} has no version {number}.")
    return version


def spec_of_run(run: Run) -> AgentSpec:
    """Return what the run is told and allowed: the version it is pinned to, which comes along (`select_related`)."""
    return spec_of(run.version_id, lambda: run.version.compiled)


def is_live(agent: Agent, spec: Spec) -> bool:
    """Say whether the live version is what publishing `spec` now would make, tools included."""
    return agent.live is not None and agent.live.digest == _digest(agent.slug, spec, _checked(agent.slug, spec))


def _made(agent: Agent, spec: Spec, pinned: list[Json], digest: str, number: int, actor: str) -> AgentVersion:
    complete = document.agent_document(spec)
    system = prompt.compile_system(complete, [tool["document"] for tool in pinned if tool["offered"]])
    compiled = {
        "agent_id": str(agent.id),
        "slug": agent.slug,
        "version": number,
        "system": system,
        "document": complete,
        "tools": pinned,
    }
    version = AgentVersion.objects.create(
        agent=agent, number=number, document=dict(spec), compiled=compiled, digest=digest
    )
    if complete.get("subject"):
        hashing.newest()  # so that there is a key before the first run that a tool call starts
    journal.record(
        "agent.versioned",
        stream=agent.id,
        actor=actor,
        facts={
            "version": number,
            "digest": digest,
            "tools": [{"tool": tool["id"], "version": tool["version"], "digest": tool["digest"]} for tool in pinned],
        },
        payload={"slug": agent.slug, "spec": version.document, "system": system},
    )
    return version


def _go_live(agent: Agent, version: AgentVersion, action: str, actor: str) -> None:
    before = agent.live.number if agent.live is not None else None
    agent.live = version
    agent.save(update_fields=["live", "updated_at"])
    journal.record(
        action,
        stream=agent.id,
        actor=actor,
        facts={"version": version.number, "digest": version.digest, "from": before},
        payload={"slug": agent.slug},
    )


def _lives(agent: Agent) -> list[int]:
    """Return the versions that a chain of rollbacks goes back through, the live one last. The journal knows."""
    happened = Record.objects.filter(stream=agent.id, action__in=("agent.published", "agent.rolled_back"))
    lives: list[int] = []
    for action, facts in happened.order_by("id").values_list("action", "facts"):
        if action == "agent.published":
            lives.append(facts["version"])
        else:
            lives.pop()
    return lives


def _checked(slug: str, spec: Spec) -> list[Json]:
    """Return the tools that `spec` pins now: those it offers in its order, then what they name for another purpose."""
    refuse(document.agent_problems(spec, tools.specs()), f"The agent {slug} is not valid.")
    known = {tool.name: tool for tool in Tool.objects.exclude(live=None).select_related("live")}
    offered = [name for name in spec.get("tools", ()) if name != ESCALATE]
    pinned = [_pinned(known[name], offered=True) for name in offered]
    for tool in pinned:
        for partner in partners.named(tool["document"]):
            if partner in known and all(other["name"] != partner for other in pinned):
                pinned.append(_pinned(known[partner], offered=False))
    return pinned


def _not_published(version: AgentVersion, published: Set[str]) -> list[Problem]:
    """Return which agents the version's tools call that are not published. published: agents that are, or will be."""
    pinned = version.compiled["tools"]
    called = {slug for tool in pinned for slug in agent_tools.names(tool["document"])} - published
    live = (
        set(Agent.objects.filter(slug__in=called).exclude(live=None).values_list("slug", flat=True)) if called else ()
    )
    return [
        Problem("/tools", f"{tool['name']} calls the agent {slug}, which is not published.", "document")
        for tool in pinned
        for slug in agent_tools.names(tool["document"])
        if slug in called and slug not in live
    ]


def _pinned(tool: Tool, *, offered: bool) -> dict[str, Json]:
    if tool.live is None:
        raise UnknownTool(f"The tool {tool.name} has no definition.")
    spec, digest = tool.live.document, tool.live.digest
    if (schema := _input_of_callee(spec)) is not None:
        spec = {**spec, "input_schema": schema}
        digest = document.digest(tool.name, spec)
    return {
        "id": str(tool.id),
        "name": tool.name,
        "version": tool.live.number,
        "digest": digest,
        "document": document.tool_document(tool.name, spec),
        "offered": offered,
    }


def _input_of_callee(spec: Spec) -> Spec | None:
    """Return what the agent takes that a tool calls, unless the tool says it itself; None when nothing says it."""
    slugs = agent_tools.names(spec)
    if not slugs or "input_schema" in spec:
        return None
    callee = Agent.objects.filter(slug=slugs[0]).first()
    written = agents.spec_of(callee) if callee is not None else None
    return (written or {}).get("input_schema")


def _digest(slug: str, spec: Spec, pinned: list[Json]) -> str:
    parts = {"agent": document.digest(slug, spec), "tools": [[tool["name"], tool["digest"]] for tool in pinned]}
    return hashlib.sha256(canonical(parts).encode()).hexdigest()


def _tokens(text: str) -> int:
    return ceil(len(text) / CHARS_PER_TOKEN)
