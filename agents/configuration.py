"""Data sources, tools, agents, policies and budgets as documents."""

from collections.abc import Iterator, Mapping
from typing import Any

from agents.actions import agents, budgets, dependents, grants, mcp_servers, policies, sources, tools, versions
from agents.config.kinds import Kind
from agents.core import agent_tools
from agents.core.document import is_shaped
from agents.errors import McpServerFailed
from agents.models import Agent, DataSourceRow, McpServerRow, Policy, Tool
from tenants.principal import Principal

Json = Any
Spec = Mapping[str, Json]


class SourceKind:
    """`DataSource`."""

    name = "DataSource"
    rank = 10

    def names(self) -> list[str]:
        return list(DataSourceRow.objects.order_by("name").values_list("name", flat=True))

    def current(self, name: str, *, publish: bool) -> Spec | None:
        row = DataSourceRow.objects.filter(name=name).first()
        return {"engine": row.engine, "url": row.url} if row is not None else None

    def put(
        self, name: str, spec: Spec, *, beside: Mapping[str, Spec], publish: bool, acting_as: Principal | str
    ) -> list[str]:
        sources.put(name, spec, acting_as=acting_as)
        return []

    def broken(self, name: str) -> Iterator[tuple[str, str]]:
        return iter(())

    def mentions(self, spec: Spec) -> Iterator[tuple[str, str, str]]:
        return iter(())


class McpServerKind:
    """`McpServer`. One that nobody has asked yet what it offers is asked at once, so that tools can be pinned to it."""

    name = "McpServer"
    rank = 20

    def names(self) -> list[str]:
        return list(McpServerRow.objects.order_by("name").values_list("name", flat=True))

    def current(self, name: str, *, publish: bool) -> Spec | None:
        row = McpServerRow.objects.filter(name=name).first()
        return row.document if row is not None else None

    def put(
        self, name: str, spec: Spec, *, beside: Mapping[str, Spec], publish: bool, acting_as: Principal | str
    ) -> list[str]:
        saved = mcp_servers.put(name, spec, acting_as=acting_as)
        if saved.discovered is not None:
            return []
        try:
            saved = mcp_servers.discover(name, acting_as=acting_as)
        except McpServerFailed as error:
            return [str(error)]
        return [f"{len(saved.discovered)} tools discovered"]

    def broken(self, name: str) -> Iterator[tuple[str, str]]:
        return iter(())

    def mentions(self, spec: Spec) -> Iterator[tuple[str, str, str]]:
        return iter(())


class ToolKind:
    """`Tool`."""

    name = "Tool"
    rank = 30

    def names(self) -> list[str]:
        return list(tools.specs())

    def current(self, name: str, *, publish: bool) -> Spec | None:
        tool = Tool.objects.select_related("live").filter(name=name).first()
        return _with_grants(tool.live.document, tool) if tool is not None and tool.live is not None else None

    def put(
        self, name: str, spec: Spec, *, beside: Mapping[str, Spec], publish: bool, acting_as: Principal | str
    ) -> list[str]:
        shaped = {other: its for other, its in beside.items() if is_shaped(its)}
        # Agents are made after the tools that they name: one that is missing in the end is warned of.
        saved = tools.put(name, spec, beside=shaped, agents=agent_tools.names(spec), acting_as=acting_as)
        return [f"version {saved.version.number}"] if saved.changed else []

    def broken(self, name: str) -> Iterator[tuple[str, str]]:
        place = "/input_schema"
        return ((place, str(each)) for each in dependents.broken(tools.by_name(name)))

    def mentions(self, spec: Spec) -> Iterator[tuple[str, str, str]]:
        approval = spec.get("approval") or {}
        if "queue" in approval:
            yield "/approval/queue", "Queue", approval["queue"]
        if spec["type"] == "sql":
            yield "/sql/source", "DataSource", spec["sql"]["source"]
        for slug in agent_tools.names(spec):
            yield "/agent/name", "Agent", slug


class PolicyKind:
    """`Policy`."""

    name = "Policy"
    rank = 50

    def names(self) -> list[str]:
        return list(Policy.objects.order_by("name").values_list("name", flat=True))

    def current(self, name: str, *, publish: bool) -> Spec | None:
        policy = Policy.objects.filter(name=name).first()
        return policy.document if policy is not None else None

    def put(
        self, name: str, spec: Spec, *, beside: Mapping[str, Spec], publish: bool, acting_as: Principal | str
    ) -> list[str]:
        policies.put(name, spec, acting_as=acting_as)
        return []

    def broken(self, name: str) -> Iterator[tuple[str, str]]:
        return iter(())

    def mentions(self, spec: Spec) -> Iterator[tuple[str, str, str]]:
        if "queue" in spec:
            yield "/queue", "Queue", spec["queue"]


class AgentKind:
    """`Agent`: a draft, or with `publish` a live version."""

    name = "Agent"
    rank = 40

    def names(self) -> list[str]:
        return list(Agent.objects.order_by("slug").values_list("slug", flat=True))

    def arranged(self, beside: Mapping[str, Spec]) -> list[str]:
        """Return the agents with those first that others call: what these take is pinned by the callers' tools."""
        known, found = tools.specs(), list[str]()

        def visit(slug: str, above: tuple[str, ...]) -> None:
            named = beside[slug].get("tools", ()) if isinstance(beside[slug], Mapping) else ()
            for tool in named if isinstance(named, list) else ():
                for callee in agent_tools.names(known.get(tool, {})) if isinstance(tool, str) else ():
                    if callee in beside and callee not in (*above, slug, *found):
                        visit(callee, (*above, slug))
            if slug not in found:
                found.append(slug)

        for slug in beside:
            visit(slug, ())
        return found

    def current(self, name: str, *, publish: bool) -> Spec | None:
        agent = Agent.objects.select_related("live").filter(slug=name).first()
        if agent is None:
            return None
        live = agent.live.document if agent.live is not None else None
        spec = live if publish else agents.spec_of(agent)
        return _with_grants(spec, agent) if spec is not None else None

    def put(
        self, name: str, spec: Spec, *, beside: Mapping[str, Spec], publish: bool, acting_as: Principal | str
    ) -> list[str]:
        agent = Agent.objects.select_related("live").filter(slug=name).first()
        if publish and agent is not None and versions.is_live(agent, spec):
            grants.apply(agent, spec.get("grants"), acting_as=acting_as)
            return []
        agent = agents.put_draft(name, spec, acting_as=acting_as)
        if not publish:
            return []
        made = versions.create(agent, acting_as=acting_as)
        versions.publish(agent, made.version.number, beside=beside, acting_as=acting_as)
        return [f"version {made.version.number} goes live"]

    def broken(self, name: str) -> Iterator[tuple[str, str]]:
        return iter(())

    def mentions(self, spec: Spec) -> Iterator[tuple[str, str, str]]:
        if "queue" in (spec.get("review") or {}):
            yield "/review/queue", "Queue", spec["review"]["queue"]
        if "to" in (spec.get("appeal") or {}):
            yield "/appeal/to", "Queue", spec["appeal"]["to"]


class BudgetKind:
    """`Budget`."""

    name = "Budget"
    rank = 50

    def names(self) -> list[str]:
        return sorted(budget.name or "" for budget in budgets.named())

    def current(self, name: str, *, publish: bool) -> Spec | None:
        budget = budgets.named().filter(name=name).first()
        return budgets.spec_of(budget) if budget is not None else None

    def put(
        self, name: str, spec: Spec, *, beside: Mapping[str, Spec], publish: bool, acting_as: Principal | str
    ) -> list[str]:
        budgets.put(name, spec, acting_as=acting_as)
        return []

    def broken(self, name: str) -> Iterator[tuple[str, str]]:
        return iter(())

    def mentions(self, spec: Spec) -> Iterator[tuple[str, str, str]]:
        return iter(())


def _with_grants(spec: Spec, obj: Agent | Tool) -> Spec:
    held = grants.written(obj)
    return {**spec, "grants": held} if held else spec


KINDS: tuple[Kind, ...] = (SourceKind(), McpServerKind(), ToolKind(), AgentKind(), PolicyKind(), BudgetKind())
