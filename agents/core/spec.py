"""What an agent is told and allowed, as one frozen value made from a version's stored JSON.

The JSON was checked when the version was made (`agents.core.document`), so nothing here validates again.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from uuid import UUID

from jsonschema.protocols import Validator

from agents.core import agent_tools
from agents.core.builtin import ESCALATE
from agents.core.exact import is_interoperable
from agents.core.guards import Guards, guards_of
from agents.core.money import from_usd
from agents.core.prompt import escalation_tool, model_tool
from agents.core.schema import Problem, problems, validator
from agents.core.screens import Screen, screen_of
from agents.tools.seam import ToolDefinition

Json = Any


@dataclass(frozen=True, slots=True)
class Limits:
    """Caps of one run; reaching one parks the run for a person.

    turns: model calls answered. tool_calls: calls made. validation_retries: outputs sent back before a person gets it.
    usd_nano: nano-USD. tokens: of all kinds. seconds: wall time since the start, less the time waited for people.

    depth: levels of runs that calls of agents may start below this one; 0 for none.

    Two more end what they limit: model_s: seconds one model call may take. queued_s: seconds until a worker must have
    begun the run; None for any time. dedupe_s: seconds in which identical requests get the same run; 0 for never.
    """

    turns: int = 20
    tool_calls: int = 40
    validation_retries: int = 3
    usd_nano: int = 1_000_000_000
    tokens: int = 500_000
    seconds: int = 3600
    depth: int = 3
    model_s: int = 600
    queued_s: int | None = None
    dedupe_s: int = 0

    @classmethod
    def of(cls, document: Mapping[str, Json]) -> "Limits":
        """Read the `limits` block; what it does not name keeps its default."""
        values = {key: int(document[key]) for key in cls.__slots__ if document.get(key) is not None}
        if "usd" in document:
            values["usd_nano"] = from_usd(document["usd"])
        return cls(**values)


@dataclass(frozen=True)
class Rule:
    """A semantic rule: a CEL expression over `input` and `output` that must hold."""

    id: str
    expression: str
    message: str
    on_fail: str = "retry"


@dataclass(frozen=True)
class Approval:
    """When a call of a tool waits for people. when: CEL (`conditions`); required: how many must approve."""

    when: str
    required: int = 1
    queue: str | None = None
    expires_s: int | None = None


@dataclass(frozen=True)
class Triage:
    """A small model that is asked first. model: its id; escalate_when: CEL, when the large one is asked after all."""

    model: str
    escalate_when: str


@dataclass(frozen=True)
class Compensation:
    """How to undo what a tool did. tool: by name; arguments: CEL over `args` and `result` by argument."""

    tool: str
    arguments: Mapping[str, str]


@dataclass(frozen=True)
class ToolSpec:
    """One tool as the agent's version pinned it.

    id: the tool whose grants are checked at each call. digest: SHA-256 (hex) of the definition, part of what an
    approval is bound to. offered: False for a tool that only serves as another's fallback.
    """

    id: UUID
    name: str
    version: int
    digest: str
    effect: str
    idempotent: bool
    document: Mapping[str, Json]
    approval: Approval | None
    fallback: str | None
    offered: bool = True

    @cached_property
    def arguments(self) -> Validator:
        """The validator of its arguments."""
        return validator(self.document.get("input_schema") or {"type": "object"})

    def faults(self, arguments: Json) -> list[Problem]:
        """Return why it does not take these arguments; empty when it does."""
        found = problems(self.arguments, arguments)
        if found or is_interoperable(arguments):
            return found
        return [Problem("", "A number is beyond 2^53 - 1 (write it as a string), or the nesting is too deep.")]

    @cached_property
    def definition(self) -> ToolDefinition:
        """The tool in the form its kind takes."""
        retries = self.document.get("retries") or {}
        kind = self.document["type"]
        return ToolDefinition(
            name=self.name,
            version=self.version,
            kind=kind,
            config=self.document.get(kind) or {},
            description=self.document.get("description", ""),
            input_schema=self.document.get("input_schema"),
            output_schema=self.document.get("output_schema"),
            effect=self.effect,
            idempotent=self.idempotent,
            timeout_s=float(self.document.get("timeout_s", 30)),
            attempts=int(retries.get("attempts", 1)),
            backoff_s=float(retries.get("backoff_s", 0.5)),
            fallback=self.fallback,
        )

    @cached_property
    def guards(self) -> Guards | None:
        """What stands before its calls, if anything does."""
        return guards_of(self.document)

    @cached_property
    def compensation(self) -> Compensation | None:
        """How a call of it is undone, if it can be."""
        with_ = self.document.get("compensate_with")
        return Compensation(with_["tool"], with_.get("arguments") or {}) if with_ else None

    @cached_property
    def agents(self) -> tuple[str, ...]:
        """The slugs of the agents whose runs a call starts; empty of a tool that is performed."""
        return tuple(agent_tools.names(self.document))

    @property
    def rounds(self) -> int:
        """How often the agents of a debate answer at most; 0 of any other tool."""
        is_debate = bool(self.agents) and self.document["agent"].get("mode") == "debate"
        return int(self.document["agent"].get("rounds", agent_tools.ROUNDS)) if is_debate else 0

    @property
    def hands_over(self) -> bool:
        """Whether the output of a call's run becomes that of the calling run."""
        return bool(self.agents) and self.document["agent"].get("mode") == "handoff"

    @cached_property
    def is_untrusted(self) -> bool:
        """Whether what it says, results and errors alike, taints the run: strangers may have written it."""
        return bool(self._data.get("untrusted", self._is_remote and self.effect == "read"))

    @cached_property
    def is_private(self) -> bool:
        """Whether its results are not for everybody."""
        return bool(self._data.get("private", False))

    @cached_property
    def acts(self) -> bool:
        """Whether a call changes something, or carries what it is given to the outside."""
        return self.effect != "read" or bool(self._data.get("egress", False))

    @property
    def asks_when_tainted(self) -> bool:
        """Whether a person is asked before a tainted run makes a call that `acts`."""
        return bool(self.document.get("taint", "ask") == "ask")

    @property
    def _data(self) -> Mapping[str, Json]:
        return self.document.get("data") or {}

    @property
    def _is_remote(self) -> bool:
        return self.document["type"] in {"http", "mcp"}

    @property
    def repeatable(self) -> bool:
        """Whether a call whose outcome nobody saw may simply be made again with the same key."""
        return self.effect == "read" or self.idempotent


@dataclass(frozen=True)
class AgentSpec:
    """One version of an agent.

    system: the compiled system prompt. tools: by name, fallbacks included. escalates: whether the model may call
    `escalate_to_human`. escalate_when: CEL over `input` and `output`; a person confirms the output when it holds.
    guards: what is looked for in input and output (`agents.core.screening`), defaults written out.
    triage: which model goes first, if another does. subject: JSON pointers to the ids of persons in the input.
    ask_after_failures: of one tool in a row, after which a person is asked before it is called again; None for never.
    """

    agent_id: UUID
    slug: str
    version: int
    system: str
    model: str
    max_tokens: int
    effort: str | None
    tools: Mapping[str, ToolSpec]
    escalates: bool
    input_schema: Mapping[str, Json] | None
    output_schema: Mapping[str, Json] | None
    rules: tuple[Rule, ...] = ()
    escalate_when: str | None = None
    review: Mapping[str, Json] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    guards: Mapping[str, Json] | None = None
    triage: Triage | None = None
    subject: tuple[str, ...] = ()
    ask_after_failures: int | None = None

    @cached_property
    def input(self) -> Validator | None:
        """The validator of the run's input, or None when anything goes."""
        return validator(self.input_schema) if self.input_schema is not None else None

    @cached_property
    def output(self) -> Validator | None:
        """The validator of the final output, or None when it is free text."""
        return validator(self.output_schema) if self.output_schema is not None else None

    @cached_property
    def input_screen(self) -> Screen | None:
        """What is looked for in a run's input, if anything is."""
        return screen_of(self.guards, "input")

    @cached_property
    def output_screen(self) -> Screen | None:
        """What is looked for in the output, if anything is."""
        return screen_of(self.guards, "output")

    @cached_property
    def undoable(self) -> frozenset[str]:
        """The tools whose calls can be undone."""
        return frozenset(name for name, tool in self.tools.items() if tool.compensation is not None)

    @cached_property
    def offered(self) -> tuple[Mapping[str, Json], ...]:
        """The tools as the model is told of them, in the agent's order."""
        told = [model_tool({**tool.document, "name": tool.name}) for tool in self.tools.values() if tool.offered]
        return (*told, escalation_tool()) if self.escalates else tuple(told)

    @cached_property
    def told_bytes(self) -> int:
        """How long that is, as JSON, which every call of the model begins with."""
        told = [self.system, [], list(self.offered), self.output_schema]
        return len(json.dumps(told, ensure_ascii=False, default=dict).encode(errors="replace"))


def agent_spec(stored: Mapping[str, Json]) -> AgentSpec:
    """Make the value from `AgentVersion.compiled`, the JSON that `agents.actions.versions` stores."""
    document = stored["document"]
    model = document["model"]
    return AgentSpec(
        agent_id=UUID(stored["agent_id"]),
        slug=stored["slug"],
        version=stored["version"],
        system=stored["system"],
        model=model["id"],
        max_tokens=int(model.get("max_tokens", 8192)),
        effort=model.get("effort"),
        tools={tool["name"]: tool_spec(tool) for tool in stored["tools"]},
        escalates=ESCALATE in document.get("tools", ()),
        input_schema=document.get("input_schema"),
        output_schema=document.get("output_schema"),
        rules=tuple(
            Rule(rule["id"], rule["assert"], rule.get("message", rule["id"]), rule.get("on_fail", "retry"))
            for rule in document.get("rules", ())
        ),
        escalate_when=document.get("escalate_when"),
        review=document.get("review") or {},
        limits=Limits.of(document.get("limits") or {}),
        guards=document.get("guards"),
        triage=Triage(**document["triage"]) if document.get("triage") else None,
        subject=tuple(document.get("subject") or ()),
        ask_after_failures=document.get("ask_after_failures"),
    )


def tool_spec(stored: Mapping[str, Json]) -> ToolSpec:
    """Make the value from what a version pins of a tool: `{id, name, version, digest, document, offered}`."""
    document = stored["document"]
    approval = document.get("approval")
    return ToolSpec(
        id=UUID(stored["id"]),
        name=stored["name"],
        version=stored["version"],
        digest=stored["digest"],
        effect=document.get("effect", "read"),
        idempotent=bool(document.get("idempotent", False)),
        document=document,
        approval=Approval(
            approval.get("when", "true"),
            int(approval.get("required", 1)),  # to JSON Schema, 2.0 is an integer
            approval.get("queue"),
            approval.get("expires_s"),
        )
        if approval is not None
        else None,
        fallback=document.get("fallback"),
        offered=stored["offered"],
    )
