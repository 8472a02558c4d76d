"""Define tools, look them up."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from django.db import connection

from access.acting import acting
from agents.actions import dependents, grants, mcp_pins
from agents.actions.checking import refuse
from agents.core import agent_tools, document
from agents.core.dependents import Break
from agents.core.schema import Problem
from agents.engine.toolbox import registry
from agents.errors import ChangedMeanwhile, ToolBreaks, UnknownTool
from agents.models import Agent, Tool, ToolVersion
from audit import journal
from db.scope import current_tenant_id
from tenants.principal import Principal

Json = Any
Spec = Mapping[str, Json]


class Saved(NamedTuple):
    """What a definition became. changed: whether this made a new version; otherwise it was defined so already.

    breaks: what speaks of its arguments from elsewhere and no longer type-checks.
    """

    version: ToolVersion
    changed: bool
    breaks: tuple[Break, ...] = ()


def put(
    name: str,
    spec: Spec,
    *,
    acting_as: Principal | str,
    expected: str | None = None,
    beside: Mapping[str, Spec] = MappingProxyType({}),
    agents: Iterable[str] = (),
    strict: bool = False,
) -> Saved:
    """Define the tool `name`; agents published from now on get it. Only a changed definition is a new version.

    A tool of type mcp is pinned to its server's definition (`mcp_pins`).

    spec: the document's `spec`; its `grants`, if given, become the tool's only ones.
    expected: digest of the version it was written after; None for whatever there is.
    beside: the `spec` of other tools that the same transaction is about to put; each has the shape of a tool.
    agents: the slugs of agents that it is about to make.
    strict: whether what breaks policies or conditions of grants is refused, rather than told.
    Raises `InvalidDocument`, `ChangedMeanwhile`, `ToolBreaks`, and what `acting` raises for `tools:write`.
    """
    with acting(acting_as, "tools:write") as actor:
        _one_at_a_time()
        others = {other: known for other, known in {**specs(), **beside}.items() if other != name}
        spec = mcp_pins.pinned(name, spec)
        refuse(document.tool_problems(name, spec, kinds=registry(), tools=others), f"The tool {name} is not valid.")
        refuse(_unknown_agents(spec, agents), f"The tool {name} is not valid.")
        Tool.objects.get_or_create(name=name)
        # No join here: after a wait for the lock its other side would still be that of before.
        tool = Tool.objects.select_for_update().get(name=name)
        if expected is not None and (tool.live is None or tool.live.digest != expected):
            raise ChangedMeanwhile
        saved = _save(tool, spec, actor, strict=strict)
        grants.apply(tool, spec.get("grants"), acting_as=acting_as)
        return saved


def by_name(name: str) -> Tool:
    """Return the tool of the tenant in scope with its live version; raises `UnknownTool`."""
    tool = Tool.objects.select_related("live").filter(name=name).first()
    if tool is None:
        raise UnknownTool(f"There is no tool {name!r}.")
    return tool


def specs() -> dict[str, Spec]:
    """Return the live `spec` of every tool of the tenant in scope, by name."""
    return dict(Tool.objects.exclude(live=None).order_by("name").values_list("name", "live__document"))


def _unknown_agents(spec: Spec, made: Iterable[str]) -> list[Problem]:
    """Return which agents the tool calls that there are not. made: agents that are about to be."""
    named = agent_tools.names(spec)
    known = {*made, *Agent.objects.filter(slug__in=named).values_list("slug", flat=True)} if named else set()
    return list(agent_tools.unknown(spec, known))


def _one_at_a_time() -> None:
    """Let no other definition of the tenant be checked until this one is there: two could name each other."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"{current_tenant_id()}/tools"])


def _save(tool: Tool, spec: Spec, actor: str, *, strict: bool) -> Saved:
    digest = document.digest(tool.name, spec)
    before = tool.live
    if before is not None and before.digest == digest:
        return Saved(before, False)
    number = before.number + 1 if before else 1
    version = ToolVersion.objects.create(
        tool=tool, number=number, document=document.without_grants(spec), digest=digest
    )
    tool.live = version
    tool.save(update_fields=["live", "updated_at"])
    found = dependents.broken(tool, with_grants=spec.get("grants") is None)  # those that come with it were checked
    if found and strict:
        raise ToolBreaks(errors=[{"pointer": "/input_schema", "detail": str(each)} for each in found])
    journal.record(
        "tool.changed" if before else "tool.added",
        stream=tool.id,
        actor=actor,
        facts={"version": number, "digest": digest} | ({"breaks": len(found)} if found else {}),
        payload={"name": tool.name, "spec": version.document}
        | ({"breaks": [each.as_json() for each in found]} if found else {}),
    )
    return Saved(version, True, tuple(found))
