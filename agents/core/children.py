"""Runs that tool calls start: who may, with how much, and what becomes of the call when they have ended. Pure.

A child is a run like any other, with a journal of its own (docs/adr/0017). What it may spend is set aside of what its
parent may, so that neither together nor one after the other do they spend more than the parent's limit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from agents.core import carried, conversation, limits, screening
from agents.core.events import (
    BudgetSettled,
    ChildFinished,
    ChildStarted,
    RunCancelled,
    RunCompleted,
    RunFailed,
    RunReversing,
)
from agents.core.exact import disclose
from agents.core.schema import problems
from agents.core.spec import AgentSpec, ToolSpec
from agents.core.state import Call, Child, RunState, evolve
from agents.tools.seam import Failed, Finished, Outcome

Json = Any

#: Of a call whose agents are told nothing but their input.
NOTHING_TOLD: Final[Mapping[str, str]] = MappingProxyType({})

#: The phases of calls that may still be made in this turn.
_TO_COME: Final = frozenset({"proposed", "approved", "edited", "asked"})


@dataclass(frozen=True, slots=True)
class Callee:
    """An agent as a call of it finds it at this moment.

    spec: of the version that new runs get; None when none is published. may_run: whether everybody that the calling run
    acts for may start runs of it.
    """

    agent_id: UUID
    version_id: UUID | None
    spec: AgentSpec | None
    may_run: bool


@dataclass(frozen=True, slots=True)
class Callees:
    """agents: by slug, as far as there are such agents. ids: of the runs a call would start, by its place.

    reversal: of the run that did what is to be undone now, if it can be had. is_undone: whether another run undoes
    that, or a part of it, already, or has.
    """

    agents: Mapping[str, Callee] = field(default_factory=dict)
    ids: Mapping[int, Sequence[UUID]] = field(default_factory=dict)
    reversal: "Reversal | None" = None
    is_undone: bool = False


@dataclass(frozen=True, slots=True)
class Reversal:
    """A run that would undo what another one did. run: its id; agent, version: of both; input: the other one's."""

    run: UUID
    agent_id: UUID
    version: int
    input: Json
    reversing: RunReversing


#: What calls of no agents need to know.
NOBODY: Final = Callees()


@dataclass(frozen=True, slots=True)
class Ended:
    """How a child ended. settled: what it spent, None of one that never got to it; used: of its row, all it used."""

    run: UUID
    end: RunCompleted | RunFailed | RunCancelled
    settled: BudgetSettled | None
    cost_nano: int
    used: Mapping[str, int]


# --- starting -------------------------------------------------------------------------------------------------------


def levels(state: RunState, spec: AgentSpec) -> int:
    """Return how many levels of children there may be below the run: by its agent, and by the runs above it."""
    return spec.limits.depth if state.levels is None else min(spec.limits.depth, state.levels)


def refusal(
    state: RunState,
    spec: AgentSpec,
    tool: ToolSpec,
    call: Call,
    known: Callees,
    *,
    on: date,
    number: int = 1,
    told: Mapping[str, str] = NOTHING_TOLD,
) -> tuple[str, str] | None:
    """Return (code, words for the model) of why a call of an agent is not made; None when it may be.

    on: whose day's prices count. number: of the round of a debate; told: what is told its agents, by slug, of the
    round before.
    """
    told = dict.fromkeys(tool.agents, carried.conversation_of(state, spec)) if tool.hands_over else told
    if tool.hands_over and len(state.calls) > 1:
        return "not_alone", f"{tool.name} hands over for good: call it by itself, when the other calls are done."
    for slug in tool.agents:
        callee = known.agents.get(slug)
        if callee is None:
            return "unknown_agent", f"There is no agent {slug} any more. Do not call {tool.name} again."
        if not callee.may_run:
            return "not_granted", f"The person this run acts for may not run the agent {slug}. Do not try it again."
        if callee.spec is None:
            return "not_published", f"The agent {slug} takes no runs now. Do not call {tool.name} again."
        wrong = problems(callee.spec.input, call.arguments) if callee.spec.input is not None else []
        if wrong:
            lines = "; ".join(f"{problem.pointer or '/'}: {problem.message}" for problem in wrong)
            return "invalid_arguments", f"The agent {slug} does not take these arguments. {lines}. Call again."
        if (refused := _guarded(callee.spec, call.arguments, None)) is not None:
            return "input_refused", f"The agent {slug} takes nobody's input like this. {refused} Leave it out."
        if (refused := _guarded(callee.spec, None, told.get(slug))) is not None:
            return "input_refused", f"What was said so far is not for the agent {slug}. {refused} Go on without it."
    if levels(state, spec) < 1:
        return "too_deep", f"Runs of agents that call agents are as deep here as they may be: {tool.name} is not made."
    share = _share(state, spec, tool, call.index, number)
    for slug in tool.agents:
        if (own := known.agents[slug].spec) is not None and not _pays_for_an_answer(share, own, call, on):
            return "budget_exhausted", f"What is left of what this run may spend pays for no run of the agent {slug}."
    return None


def _guarded(callee: AgentSpec, arguments: Json, context: str | None) -> str | None:
    """Return what the agent's guards refuse of an input, or of what is told before it; None when they let it in."""
    if callee.input_screen is None:
        return None
    verdict = carried.screened(arguments, context, callee.input_screen)
    found = [f"{hit.place or '/'}: This holds {screening.words(hit)}." for hit in verdict.told("refuse")]
    return "; ".join([*(f"{place or '/'}: {why}" for place, why in verdict.wrong), *found]) or None


def _pays_for_an_answer(share: tuple[int, int], callee: AgentSpec, call: Call, on: date) -> bool:
    """Say whether a run with this share could ask its model at all; else the first thing it did were to ask for more.

    What its own limits bound, and not the share, is for whoever looks after that agent.
    """
    own = callee.limits.usd_nano, callee.limits.tokens
    usd_nano, tokens = (limits.MOST if part >= whole else part for part, whole in zip(share, own, strict=True))
    state = evolve(RunState(callee.agent_id), messages=conversation.opening(call.arguments, None))
    return limits.output_within(usd_nano, tokens, state, callee, on) >= limits.least_answer(callee)


def begun(
    state: RunState,
    spec: AgentSpec,
    tool: ToolSpec,
    index: int,
    known: Callees,
    *,
    places: Sequence[int],
    number: int = 1,
) -> list[ChildStarted]:
    """Return the facts that runs of a call are started: of those of its agents, for that round.

    state: with the call's intent. known: of the call that has this `index`.
    """
    usd_nano, tokens = _share(state, spec, tool, index, number)
    happened: list[ChildStarted] = []
    for place, run in zip(places, known.ids[index], strict=False):
        callee = known.agents[tool.agents[place]]
        if callee.spec is None:
            raise ValueError(f"The agent {tool.agents[place]} has no version to run.")
        own = callee.spec.limits
        happened.append(
            ChildStarted(
                run=str(run),
                agent=str(callee.agent_id),
                version=callee.spec.version,
                turn=state.turn,
                call=index,
                usd_nano=min(usd_nano, own.usd_nano),
                tokens=min(tokens, own.tokens),
                place=place,
                round=number,
            )
        )
    return happened


def _share(state: RunState, spec: AgentSpec, tool: ToolSpec, index: int, number: int = 1) -> tuple[int, int]:
    """Return what each run of a call gets at most, in nano-USD and tokens.

    The calls of agents that are still to be made in this turn share what is left evenly, and leave as much for the run
    itself to go on with; so do the rounds of a debate from this `number` on.
    """
    usd_nano, tokens = limits.left(state, spec)
    others = sum(
        _runs(spec.tools[call.tool])
        for call in state.calls
        if call.index != index and call.phase in _TO_COME and call.tool in spec.tools
    )
    parts = others + _runs(tool, number) + 1
    return usd_nano // parts, tokens // parts


def _runs(tool: ToolSpec, number: int = 1) -> int:
    """Return how many runs a call can start, from that round on."""
    return len(tool.agents) * (max(1, tool.rounds) - number + 1)


# --- ending ---------------------------------------------------------------------------------------------------------


def marked(state: RunState, end: RunCompleted | RunFailed | RunCancelled) -> RunCompleted | RunFailed | RunCancelled:
    """Return the end of a child with what it has read, which its parent reads with what it says, and what it did."""
    if state.levels is None:
        return end
    if isinstance(end, RunCompleted) and state.effects:
        end = replace(end, undoable=len(state.effects))
    if not (state.is_tainted or state.has_read_private):
        return end
    return replace(end, untrusted=state.is_tainted or None, private=state.has_read_private or None)


def call_of(state: RunState, run: UUID) -> tuple[Call, Child]:
    """Return the call that started the run, and what is known of the run there."""
    return next((call, child) for call in state.calls for child in call.children if child.run == run)


def finished(state: RunState, ended: Ended) -> ChildFinished:
    """Return the fact that a child has ended."""
    call, child = call_of(state, ended.run)
    usd_nano, tokens = (0, 0) if ended.settled is None else (ended.settled.usd_nano, ended.settled.tokens)
    return ChildFinished(
        run=str(ended.run),
        agent=child.agent,
        turn=state.turn,
        call=call.index,
        status=ended.end.action.removeprefix("run."),
        cost_nano=ended.cost_nano,
        usd_nano=min(usd_nano, child.usd_nano),
        tokens=min(tokens, child.tokens),
        untrusted=ended.end.untrusted,
        private=ended.end.private,
        undoable=ended.end.undoable if isinstance(ended.end, RunCompleted) else None,
        **ended.used,
    )


def outcome(ended: Ended) -> Outcome:
    """Return what a call comes to whose one run ended so."""
    if isinstance(ended.end, RunCompleted):
        return Finished(disclose(ended.end.output))
    if isinstance(ended.end, RunCancelled):
        return Failed("child_cancelled", "The agent's run was cancelled before it had an output.")
    return Failed("child_failed", f"The agent's run failed ({ended.end.code}): {ended.end.detail}")
