"""Tools of type `agent` as documents: what may stand there, and what their calls take. Pure."""

import re
from collections.abc import Iterator, Mapping, Set
from typing import Any, Final

from agents.core.schema import Problem
from agents.core.shapes import SLUG
from agents.tools.seam import ConfigProblem

Json = Any
Spec = Mapping[str, Json]

TYPE: Final = "agent"
MODES: Final = ("call", "handoff", "debate")

#: Rounds of a debate of which its definition does not say it; at most; and how many agents take part.
ROUNDS: Final = 2
MOST_ROUNDS: Final = 5
AGENTS: Final = range(2, 6)

#: The effect of a call of which the definition does not say it: what the agent's own tools do is its own.
EFFECT: Final = "write"

#: What says how a call is performed. A call of an agent is a run: its agent's limits hold, and it is never lost.
_OF_PERFORMING: Final = (
    *("timeout_s", "retries", "idempotent", "cache_ttl_s", "cache_scope", "concurrency", "breaker", "fallback"),
)


def is_one(spec: Spec) -> bool:
    """Say whether this is the `spec` of a tool that calls an agent."""
    return bool(spec.get("type") == TYPE)


def effect_of(spec: Spec) -> str:
    """Return the effect of any tool, as its `spec` says or its type has it."""
    effect: str = spec.get("effect") or (EFFECT if is_one(spec) else "read")
    return effect


def names(spec: Spec) -> list[str]:
    """Return the slugs of the agents that a tool calls; none of one that calls none."""
    block = spec.get(TYPE) if is_one(spec) else None
    if not isinstance(block, Mapping):
        return []
    named = block.get("names") if block.get("mode") == "debate" else [block.get("name")]
    return [name for name in named if isinstance(name, str)] if isinstance(named, list) else []


def config_problems(config: Json) -> list[ConfigProblem]:
    """Return what is wrong with the block `agent`."""
    if config.get("mode") == "debate":
        return _debate_problems(config)
    found = [
        ConfigProblem(f"/{key}", "This key is not known; an agent tool has name and mode.")
        for key in config
        if key not in {"name", "mode"}
    ]
    if not isinstance(config.get("name"), str) or not re.fullmatch(SLUG, config["name"]):
        found.append(ConfigProblem("/name", "Write the slug of the agent."))
    if config.get("mode", "call") not in MODES:
        found.append(ConfigProblem("/mode", f"Write one of: {', '.join(MODES)}."))
    return found


def _debate_problems(config: Json) -> list[ConfigProblem]:
    found = [
        ConfigProblem(f"/{key}", "This key is not known; a debate has names, mode and rounds.")
        for key in config
        if key not in {"names", "mode", "rounds"}
    ]
    named = config.get("names")
    if not isinstance(named, list) or len(named) not in AGENTS or len(set(map(str, named))) != len(named):
        found.append(ConfigProblem("/names", f"Write {AGENTS[0]} to {AGENTS[-1]} slugs of agents, each once."))
    elif not all(isinstance(each, str) and re.fullmatch(SLUG, each) for each in named):
        found.append(ConfigProblem("/names", "Write slugs of agents."))
    rounds = config.get("rounds", ROUNDS)
    if not isinstance(rounds, int) or isinstance(rounds, bool) or not 1 <= rounds <= MOST_ROUNDS:
        found.append(ConfigProblem("/rounds", f"Write a number from 1 to {MOST_ROUNDS}."))
    return found


def problems(name: str, spec: Spec, tools: Mapping[str, Spec]) -> Iterator[Problem]:
    """Yield what does not go together in the `spec` of the tool `name`. tools: all others by name."""
    if is_one(spec):
        for key in _OF_PERFORMING:
            if key in spec and spec[key] not in (None, False, 0):
                words = f"A call of an agent is a run of its own, so {key} says nothing: see the agent's limits."
                yield Problem(f"/{key}", words, "document")
        for other, theirs in tools.items():
            if name in _stand_ins(theirs).values():
                yield Problem(
                    "/type", f"{other} falls back on it or is undone by it, so it can call no agent.", "document"
                )
    for place, other in _stand_ins(spec).items():
        if other is not None and is_one(tools.get(other, {})):
            yield Problem(place, f"{other} calls an agent, which stands in for nothing and undoes nothing.", "document")


def _stand_ins(spec: Spec) -> dict[str, Json]:
    """Return the tools that a tool names, by their place."""
    undoes = (spec.get("compensate_with") or {}).get("tool")
    return {"/fallback": spec.get("fallback"), "/compensate_with/tool": undoes}


def unknown(spec: Spec, known: Set[str]) -> Iterator[Problem]:
    """Yield the agents that a tool names and that there are not. known: the slugs of those that there are."""
    for slug in names(spec):
        if slug not in known:
            place = "/agent/names" if spec["agent"].get("mode") == "debate" else "/agent/name"
            yield Problem(place, f"There is no agent {slug}.", "document")
