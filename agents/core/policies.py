"""A tenant's policies: which calls of tools a person has to approve, or that are not made at all. Pure.

A policy is current: what counts is what it says when a call is planned, whatever stood in it when the agent's version
was published. So the digest that an approval is bound to names the policies that apply (`approvals.call_digest`).
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from agents.core import conditions, rules
from agents.core.document import is_shaped, tool_document, value_problems
from agents.core.schema import Problem
from agents.core.shapes import POLICY
from agents.core.spec import ToolSpec
from agents.core.wording import meant, shape_problems
from audit.canonical import canonical

Json = Any
Spec = Mapping[str, Json]

#: Where no tool is named, an expression may speak of any argument.
_ANY_INPUT: Spec = {"type": "object", "additionalProperties": True}


@dataclass(frozen=True, slots=True)
class Policy:
    """One policy, as its document's `spec` has it. digest: SHA-256 (hex) of its definition.

    tools, agents, effects: what it applies to, by name; None for all. then: `approve`, a person must; or `deny`.
    required: how many must approve; due_s, expires_s: seconds.
    """

    name: str
    digest: str
    when: str
    then: str = "approve"
    required: int = 1
    queue: str | None = None
    due_s: int | None = None
    expires_s: int | None = None
    tools: frozenset[str] | None = None
    agents: frozenset[str] | None = None
    effects: frozenset[str] | None = None

    def applies(self, tool: ToolSpec, agent: str) -> bool:
        """Say whether it speaks of calls of this tool by this agent at all."""
        return (
            (self.tools is None or tool.name in self.tools)
            and (self.agents is None or agent in self.agents)
            and (self.effects is None or tool.effect in self.effects)
        )


@dataclass(frozen=True, slots=True)
class Policies:
    """All policies of a tenant at one moment. version: grows with each change of any of them."""

    version: int = 0
    each: tuple[Policy, ...] = ()

    def of(self, tool: ToolSpec, agent: str) -> tuple[Policy, ...]:
        """Return those that apply to calls of this tool by this agent, by name."""
        return tuple(policy for policy in self.each if policy.applies(tool, agent))


#: What a tenant without policies has.
NONE: Final = Policies()


def policy(name: str, spec: Spec) -> Policy:
    """Make the value from a stored `spec`."""
    to = spec["applies_to"]
    return Policy(
        name=name,
        digest=policy_digest(name, spec),
        when=spec.get("when", "true"),
        then=spec["then"],
        required=int(spec.get("required", 1)),
        queue=spec.get("queue"),
        due_s=_whole(spec.get("due_s")),
        expires_s=_whole(spec.get("expires_s")),
        tools=_names(to, "tools"),
        agents=_names(to, "agents"),
        effects=_names(to, "effects"),
    )


def policy_digest(name: str, spec: Spec) -> str:
    """Return SHA-256 (hex) over the canonical definition."""
    return hashlib.sha256(canonical({"name": name, "spec": spec}).encode()).hexdigest()


def policy_problems(spec: Json, tools: Mapping[str, Spec]) -> list[Problem]:
    """Return what is wrong with a policy's `spec`; empty when it can be used. tools: of the tenant, `spec` by name."""
    found = value_problems(spec) or shape_problems(POLICY, spec)
    return found or [*_tool_problems(spec, tools), *_when_problems(spec, tools), *_deny_problems(spec)]


def _tool_problems(spec: Spec, tools: Mapping[str, Spec]) -> Iterator[Problem]:
    for index, name in enumerate(spec["applies_to"].get("tools", ())):
        if name not in tools:
            yield _problem(f"/applies_to/tools/{index}", f"There is no tool {name}.{meant(name, tools)}")


def _when_problems(spec: Spec, tools: Mapping[str, Spec]) -> Iterator[Problem]:
    when = spec.get("when")
    if when is None:
        return
    named = [name for name in spec["applies_to"].get("tools", ()) if name in tools and is_shaped(tools[name])]
    schemas = {name: tool_document(name, tools[name])["input_schema"] for name in named}
    seen: set[str] = set()
    for name, schema in schemas.items() or [("", _ANY_INPUT)]:
        try:
            conditions.check(when, schema, names=rules.APPROVAL)
        except rules.BadRule as error:
            said = " ".join(str(error).split())
            if said not in seen:
                yield _problem("/when", f"For {name}: {said}" if len(schemas) > 1 else said)
            seen.add(said)


def _deny_problems(spec: Spec) -> Iterator[Problem]:
    if spec["then"] == "deny":
        for key in ("required", "queue", "due_s", "expires_s"):
            if key in spec:
                yield _problem(f"/{key}", "A call that is denied asks nobody; remove this.")


def _whole(number: float | None) -> int | None:
    """Return a whole number as one: to JSON Schema, 60.0 is an integer."""
    return None if number is None else int(number)


def _names(to: Spec, key: str) -> frozenset[str] | None:
    return frozenset(to[key]) if key in to else None


def _problem(place: str, message: str) -> Problem:
    return Problem(place, message, "document")
