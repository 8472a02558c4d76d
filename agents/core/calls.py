"""Plan the tool calls of a turn: which are made, which are refused, which ask a person. Pure.

Order of the checks on each call: known tool, grant, arguments, the grant's condition, cap, policy that denies, loop,
approval. A call whose arguments a person changed passes them all again. What is refused goes back to the model as an
error it can act on; nothing is executed that did not pass all of them at this moment.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final

from agents.core import children
from agents.core.approvals import Demand, call_digest, demanded
from agents.core.asking import ask
from agents.core.builtin import ESCALATE
from agents.core.events import (
    PRINCIPAL_GONE,
    DecisionRequested,
    Event,
    ToolCompensated,
    ToolDenied,
    ToolFailed,
    ToolFinished,
    ToolRequested,
    ToolUnknown,
)
from agents.core.exact import disclose, enclose, enclosed_text, is_interoperable
from agents.core.fold import call_key, fold, fold_all
from agents.core.holdings import Holdings, Proof
from agents.core.spec import AgentSpec, ToolSpec
from agents.core.state import REPEATED_FAILURE, Call, RunState
from agents.tools.seam import Failed, Finished, Outcome

Json = Any

#: The phases of calls that nothing keeps from being made but the checks.
TO_BE_MADE: Final = frozenset({"proposed", "approved", "edited"})

#: What the record calls a tool that there is not.
UNKNOWN = "unknown"

_GONE = "The person this run acts for is no longer an active member here."

#: How often the same call may have had the same result before a person is asked.
SAME_RESULTS = 3


def plan(state: RunState, spec: AgentSpec, held: Holdings, *, now: datetime) -> list[Event]:
    """Return what becomes of the turn's calls that are to be made. held: of their tools, at this moment."""
    happened: list[Event] = []
    new: list[Event] = []  # what the next call has to know; nobody has to know of the last one's
    for call in state.calls:
        if call.phase in TO_BE_MADE:
            state = fold_all(new, state)
            event = _plan_one(state, spec, call, held, now)
            new = [event]
            if isinstance(event, ToolRequested) and (tool := spec.tools[event.tool]).agents:
                everybody = range(len(tool.agents))
                state = fold(state, event)
                new = [*children.begun(state, spec, tool, event.call, held.callees, places=everybody)]
                happened.append(event)
            happened += new
    return happened


def _plan_one(state: RunState, spec: AgentSpec, call: Call, held: Holdings, now: datetime) -> Event:
    if held.gone:
        return denied(state, call, PRINCIPAL_GONE, _GONE, known=call.tool in {*spec.tools, ESCALATE})
    if call.tool == ESCALATE and spec.escalates:
        return _escalate(state, spec, call)
    tool = spec.tools.get(call.tool)
    refused = _refusal(state, spec, tool, call, held, now)
    if refused or tool is None:
        code, error = refused or ("unknown_tool", "")
        return denied(state, call, code, error, known=code != "unknown_tool")
    if state.tool_calls >= spec.limits.tool_calls + state.extra.tool_calls:
        detail = f"The run has made {state.tool_calls} tool calls, its limit."
        more = {"tool_calls": spec.limits.tool_calls}
        return ask(state, spec, "budget", "tool_calls", detail, {"arguments": more}, call=call.index)
    digest = call_digest(spec, tool, call.arguments, held.policies)
    demand = demanded(state, spec, tool, call.arguments, held)
    if demand is not None and demand.denied:
        return forbidden(state, call, demand)
    if call.phase == "proposed" and _fails_again_and_again(state, spec, tool):
        detail = f"{call.tool} has failed {state.failures[call.tool]} times in a row, and is to be called again."
        return ask(state, spec, "question", REPEATED_FAILURE, detail, _proposal(call), call=call.index)
    if call.phase == "proposed" and repeats(state, call) >= SAME_RESULTS:
        detail = f"{call.tool} was called {SAME_RESULTS} times with the same arguments and gave the same result."
        return ask(state, spec, "question", "loop_detected", detail, _proposal(call), call=call.index)
    if demand is not None and not is_approved(call, digest, demand):
        return approval(state, spec, tool, call, digest, demand, now)
    return intent(state, tool, call, digest)


def _fails_again_and_again(state: RunState, spec: AgentSpec, tool: ToolSpec) -> bool:
    return spec.ask_after_failures is not None and state.failures.get(tool.name, 0) >= spec.ask_after_failures


def is_approved(call: Call, digest: str, demand: Demand) -> bool:
    """Say whether people have agreed to exactly this call, for all that demands it now, and enough of them.

    Who changed its arguments has agreed for themselves alone, and only to what they were asked because of.
    """
    agreed = call.agreed
    if agreed is None or call.phase not in {"approved", "edited"} or not agreed.rules.issuperset(demand.rules):
        return False
    return (
        demand.required <= 1
        if agreed.digest is None
        else agreed.digest == digest and demand.required <= agreed.required
    )


def intent(state: RunState, tool: ToolSpec, call: Call, digest: str) -> ToolRequested:
    """Return the intent to make a call that passed every check."""
    return ToolRequested(
        turn=state.turn,
        call=call.index,
        call_id=call.call_id,
        tool=call.tool,
        version=tool.version,
        idempotency_key=idempotency_key(state, call),
        arguments=enclose(call.arguments),
        digest=digest,
    )


def _refusal(
    state: RunState, spec: AgentSpec, tool: ToolSpec | None, call: Call, held: Holdings, now: datetime
) -> tuple[str, str] | None:
    if tool is None or not (tool.offered or call.fallback):
        names = [each["name"] for each in spec.offered]
        return "unknown_tool", f"There is no tool {call.tool!r}. The tools are: {', '.join(names) or 'none'}."
    if not held.ever(tool.id):
        return "not_granted", f"The person this run acts for may not use {call.tool}. Do not try it again."
    wrong = tool.faults(call.arguments)
    if wrong:
        lines = "; ".join(f"{problem.pointer or '/'}: {problem.message}" for problem in wrong)
        return "invalid_arguments", f"The arguments of {call.tool} are not valid. {lines}. Mend them and call again."
    if held.proofs(tool.id, call.arguments) is None:
        return "not_granted", f"The person this run acts for may not use {call.tool} with these arguments."
    return children.refusal(state, spec, tool, call, held.callees, on=now.date()) if tool.agents else None


def proofs(spec: AgentSpec, held: Holdings, planned: Iterable[Event]) -> list[Proof]:
    """Return why those of the `planned` calls that are to be made may be."""
    made = [event for event in planned if isinstance(event, ToolRequested)]
    return [
        proof for event in made for proof in held.proofs(spec.tools[event.tool].id, disclose(event.arguments)) or ()
    ]


def taken_back(state: RunState, spec: AgentSpec, call: Call, held: Holdings) -> Event | None:
    """Return what becomes of a call that would be made again after a crash but no longer may be; None when it may.

    A read is denied like one that was never made. A write may have had its effect: a person finds out.
    """
    tool = spec.tools[call.tool]
    demand = demanded(state, spec, tool, call.arguments, held)
    forbids = demand is not None and demand.denied
    if not forbids and not held.gone and held.proofs(tool.id, call.arguments) is not None:
        return None
    if demand is not None and forbids and tool.effect == "read":
        return forbidden(state, call, demand)
    if tool.effect == "read":
        code = PRINCIPAL_GONE if held.gone else "not_granted"
        return denied(state, call, code, f"The person this run acts for may no longer use {call.tool}.")
    return unknown(
        state, spec, call, "The worker stopped within the call, and the person it was for may no longer make it."
    )


def unknown(state: RunState, spec: AgentSpec, call: Call, error: str) -> ToolUnknown:
    """Return the fact that nobody knows what a call did."""
    return ToolUnknown(
        turn=state.turn,
        call=call.index,
        call_id=call.call_id,
        tool=call.tool,
        version=spec.tools[call.tool].version,
        error=error,
    )


def denied(state: RunState, call: Call, code: str, error: str, *, known: bool = True) -> ToolDenied:
    """Return the fact that a call is not made. known: whether its tool is one that there is."""
    # A name the model made up may say anything; it stays in the payload's message and out of the record's facts.
    tool = call.tool if known else UNKNOWN
    return ToolDenied(turn=state.turn, call=call.index, call_id=call.call_id, tool=tool, code=code, error=error)


def _escalate(state: RunState, spec: AgentSpec, call: Call) -> Event:
    question = call.arguments.get("question") if isinstance(call.arguments, dict) else None
    if not isinstance(question, str) or not question.strip() or not is_interoperable(call.arguments):
        return denied(state, call, "invalid_arguments", f"{ESCALATE} needs a `question` in words.")
    return ask(state, spec, "question", "model_asked", question, _proposal(call), call=call.index)


def approval(
    state: RunState, spec: AgentSpec, tool: ToolSpec, call: Call, digest: str, demand: Demand, now: datetime | None
) -> DecisionRequested:
    """Return the question whether a call may be made. now: None for one that never expires."""
    expires_s = demand.expires_s if now else None
    return ask(
        state,
        spec,
        "tool_call",
        demand.reason,
        f"{tool.name} has the effect {tool.effect!r}. A person is asked because of: {demand.rule}.",
        _proposal(call),
        call=call.index,
        digest=digest,
        rule=demand.rule,
        required=demand.required,
        queue=demand.queue,
        due_s=demand.due_s,
        expires_at=(now + timedelta(seconds=expires_s)).isoformat() if now and expires_s else None,
        excluded=call.edited_by or None,  # each of them: what one put in may still stand behind another's edit
    )


def forbidden(state: RunState, call: Call, demand: Demand) -> ToolDenied:
    """Return the fact that a policy does not let a call be made."""
    error = f"This call of {call.tool} is not allowed ({demand.rule}). Do not try it again with these arguments."
    return denied(state, call, "policy", error)


def _proposal(call: Call) -> dict[str, Json]:
    return {"tool": call.tool, "arguments": enclose(call.arguments)}


def idempotency_key(state: RunState, call: Call) -> str:
    """Return the key of one call: the same at every repetition, another for a fallback."""
    return f"{state.run_id}-{state.turn}-{call.index}-{call.tool}"


def repeats(state: RunState, call: Call) -> int:
    """Count how often, at the end of the window, this same call had one same result."""
    key = call_key(call.tool, call.arguments)
    results = [result for seen, result in state.recent if seen == key]
    count = 0
    for result in reversed(results):
        if result != results[-1]:
            break
        count += 1
    return count


def outcome_event(state: RunState, spec: AgentSpec, call: Call, outcome: Outcome) -> Event:
    """Return the fact that a performed call's outcome is; a failed call goes on to its fallback, if it has one.

    What may have been done has not failed: told so, the model would try again, with another key. So a write that fails
    when it is repeated is unknown: the worker that stopped within it may have seen it done.
    """
    tool = spec.tools[call.tool]
    marks: dict[str, Any] = {"untrusted": tool.is_untrusted or None, "private": tool.is_private or None}
    common: dict[str, Any] = {
        "turn": state.turn,
        "call": call.index,
        "call_id": call.call_id,
        "tool": call.tool,
        "version": tool.version,
    }
    if isinstance(outcome, Finished):
        kept: dict[str, Any] = {"result": enclose(outcome.result)}
        if outcome.whole is not None:
            kept["whole"] = enclosed_text(outcome.whole)
        if state.ending:
            return ToolCompensated(**common, **kept)
        return ToolFinished(**common, **marks, **kept, from_cache=outcome.from_cache)
    maybe_done = isinstance(outcome, Failed) and (outcome.maybe_done or (call.repeated and tool.effect != "read"))
    if isinstance(outcome, Failed) and not maybe_done:
        fallback = _fallback(spec, tool, call) if outcome.retryable else None
        return ToolFailed(**common, **marks, code=outcome.code, error=outcome.message, fallback=fallback)
    return ToolUnknown(**common, **marks, error=outcome.message)


def _fallback(spec: AgentSpec, tool: ToolSpec, call: Call) -> str | None:
    """Return the tool that stands in for one that failed; none is tried twice, whatever an old version pinned."""
    known = tool.fallback in spec.tools and tool.fallback not in (*call.tried, call.tool)
    return tool.fallback if known else None


def requested(state: RunState) -> Iterable[Call]:
    """Return the calls whose intent is recorded and whose outcome is not."""
    return [call for call in state.calls if call.phase == "requested"]
