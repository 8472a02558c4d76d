"""Whether a call of a tool needs people before it is made, and what an approval of it is bound to. Pure.

A call asks a person when one of these says so (contract.md): the tool's `approval.when`; an irreversible effect of a
tool without an `approval` block; a policy; or taint: the run has read what an untrusted tool said, the call changes
state or leaves, and the tool does not say `taint: allow`.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any, Final

from agents.core import rules
from agents.core.exact import enclose
from agents.core.holdings import Holdings
from agents.core.policies import Policies, Policy
from agents.core.spec import AgentSpec, ToolSpec
from agents.core.state import RunState
from audit.canonical import canonical

Json = Any

#: Why people are asked: by the tool or a policy, or for nothing but what the run has read before.
ASKED: Final = "approval_required"
TAINTED: Final = "tainted"

#: What of its own accord asks about a tool without an `approval` block.
IRREVERSIBLE: Final = "irreversible effect"

#: Between the rules of a demand, as a question names them.
RULES: Final = "; "

_NANO_A_CENT: Final = 10**7


@dataclass(frozen=True, slots=True)
class Demand:
    """What has to happen before a call is made.

    rules: what demands it, in words for the record. denied: whether one of them forbids the call. required: how many
    people must approve. due_s, expires_s: seconds until an answer is due, and until none counts any more.
    """

    reason: str
    rules: tuple[str, ...]
    denied: bool = False
    required: int = 1
    queue: str | None = None
    due_s: int | None = None
    expires_s: int | None = None

    @property
    def rule(self) -> str:
        """All that demands it, as one text."""
        return RULES.join(self.rules)


def demanded(state: RunState, spec: AgentSpec, tool: ToolSpec, arguments: Json, held: Holdings) -> Demand | None:
    """Return what a call needs before it is made; None when nothing. held: the policies, and who it is made for.

    An expression that cannot be evaluated asks, and one of a policy that denies, denies.
    """
    values = facts(state, spec, tool, arguments, held)
    found = [asking for policy in held.policies.of(tool, spec.slug) if (asking := _by_policy(policy, values))]
    approval = tool.approval
    if approval is not None and rules.asks(approval.when, rules.APPROVAL, values):
        words = f"approval.when of {tool.name}"
        found.append(Demand(ASKED, (words,), False, approval.required, approval.queue, None, approval.expires_s))
    elif approval is None and tool.effect == "irreversible":
        found.append(Demand(ASKED, (IRREVERSIBLE,)))
    if _is_tainted(state, tool):
        queue = approval.queue if approval is not None else None
        found.append(Demand(TAINTED, ("the run has read untrusted content",), queue=queue))
    return _together(found) if found else None


def facts(state: RunState, spec: AgentSpec, tool: ToolSpec, arguments: Json, held: Holdings) -> dict[str, Json]:
    """Return what conditions of approvals and policies may speak of (`conditions.APPROVAL`)."""
    return {
        "args": arguments,
        "tool": {"name": tool.name, "effect": tool.effect, "version": tool.version},
        "principal": held.facts or {},
        "run": {
            "id": str(state.run_id),
            "agent": spec.slug,
            "version": spec.version,
            "input": state.input,
            "turn": state.turn,
            "tool_calls": state.tool_calls,
            "cost_cents": ceil(state.cost_nano / _NANO_A_CENT),
            "private": state.has_read_private,
        },
        "taint": state.is_tainted,
    }


def speak_of_principal(spec: AgentSpec, tools: Iterable[ToolSpec], policies: Policies) -> bool:
    """Say whether what decides on calls of these tools speaks of who they are made for."""
    return any(
        rules.speaks_of(when, rules.APPROVAL, "principal")
        for tool in tools
        for when in (
            *([tool.approval.when] if tool.approval is not None else []),
            *(policy.when for policy in policies.of(tool, spec.slug)),
        )
    )


def call_digest(spec: AgentSpec, tool: ToolSpec, arguments: Json, policies: Policies) -> str:
    """Return what an approval is bound to: SHA-256 (hex) over the tool's definition, the canonical arguments and the
    policies that apply.
    """
    bound: dict[str, Json] = {"tool": tool.digest, "arguments": enclose(arguments)}
    applying = policies.of(tool, spec.slug)
    if applying:
        bound["policies"] = [policy.digest for policy in applying]
    return hashlib.sha256(canonical(bound).encode()).hexdigest()


def _by_policy(policy: Policy, values: Mapping[str, Json]) -> Demand | None:
    if not rules.asks(policy.when, rules.APPROVAL, values):
        return None
    return Demand(
        ASKED,
        (f"policy {policy.name}",),
        policy.then == "deny",
        policy.required,
        policy.queue,
        policy.due_s,
        policy.expires_s,
    )


def _is_tainted(state: RunState, tool: ToolSpec) -> bool:
    """Say whether taint asks. Undoing is what the operator wrote down, so it does not."""
    return state.is_tainted and state.ending is None and tool.acts and tool.asks_when_tainted


def _together(found: list[Demand]) -> Demand:
    """Return one demand that meets them all: the most people, the shortest times, the first queue named."""
    return Demand(
        reason=TAINTED if all(each.reason == TAINTED for each in found) else ASKED,
        rules=tuple(rule for each in found for rule in each.rules),
        denied=any(each.denied for each in found),
        required=max(each.required for each in found),
        queue=next((each.queue for each in found if each.queue is not None), None),
        due_s=min((each.due_s for each in found if each.due_s is not None), default=None),
        expires_s=min((each.expires_s for each in found if each.expires_s is not None), default=None),
    )
