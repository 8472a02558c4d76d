"""Undo what a run's tools did before it ends without its output: latest first, one call at a time. Pure.

A compensating call is a tool call with its intent, key and result, in a turn of its own behind the model's last. No
grant is asked for, but approval is, by the tool and by policies: docs/adr/0010. One that fails, or of which nobody
knows what came of it, waits for a person; so does a call of which nobody knows whether there is anything to undo.
"""

from dataclasses import replace
from typing import Any

from agents.core import calls, rules
from agents.core.approvals import call_digest, demanded
from agents.core.asking import ask
from agents.core.events import ChildStarted, Event, RunCancelled, RunCompensating, RunCompleted, RunFailed
from agents.core.exact import enclose
from agents.core.holdings import Holdings
from agents.core.spec import AgentSpec, ToolSpec
from agents.core.state import Call, Effect, RunState

Json = Any


def is_needed(state: RunState) -> bool:
    """Say whether a run that ends here has anything to undo, or perhaps has."""
    if state.ending is not None:
        return False
    return bool(state.effects) or any(_is_doubtful(state, call) for call in state.calls)


def begun(state: RunState, end: RunFailed | RunCancelled) -> RunCompensating:
    """Return the fact that the run will end so, once what it did is undone."""
    count = len(state.effects) + sum(_is_doubtful(state, call) for call in state.calls)
    if isinstance(end, RunCancelled):
        return RunCompensating(turn=state.turn + 1, calls=count, status="cancelled")
    return RunCompensating(
        turn=state.turn + 1,
        calls=count,
        status="failed",
        code=end.code,
        detail=end.detail,
        suggestion=end.suggestion,
    )


def end(ending: RunCompensating, reverses: str | None = None) -> RunFailed | RunCancelled | RunCompleted:
    """Return the end that was put off. reverses: the run that this one was to undo."""
    if ending.status == "cancelled":
        return RunCancelled()
    if ending.status == "completed":
        return RunCompleted(output=enclose({"reversed": reverses}))
    return RunFailed(code=ending.code or "", detail=ending.detail or "", suggestion=ending.suggestion or "")


def current(state: RunState) -> Call | None:
    """Return the call that is to be made, or waited for, before any other; None when all are settled."""
    return next((call for call in state.calls if call.phase != "settled"), None)


def is_asked_about(state: RunState, call: Call) -> bool:
    """Say whether a person is asked about `call` already."""
    return any(question.call == call.index for question in state.questions)


def plan(state: RunState, spec: AgentSpec, call: Call, held: Holdings) -> list[Event]:
    """Return what becomes of `call`, whose intent is not recorded. held: the policies of this moment."""
    if _undone(call).run is not None:
        return _plan_below(state, spec, call, held)
    return [_plan_own(state, spec, call, held)]


def _plan_below(state: RunState, spec: AgentSpec, call: Call, held: Holdings) -> list[Event]:
    """Have a run started that undoes what another one did. Whom its calls need to ask, that one asks."""
    tool, reversal = spec.tools[call.tool], held.callees.reversal
    if held.callees.is_undone:
        return [calls.denied(state, call, "undone_already", "Another run undoes that already, or has done so.")]
    if reversal is None:
        return [calls.denied(state, call, "history_erased", "What that run did cannot be read any more.")]
    made = replace(call, arguments={"reverses": reversal.reversing.of})
    started = ChildStarted(
        run=str(reversal.run),
        agent=str(reversal.agent_id),
        version=reversal.version,
        turn=state.turn,
        call=call.index,
        usd_nano=0,
        tokens=0,
        reverses=reversal.reversing.of,
    )
    return [calls.intent(state, tool, made, call_digest(spec, tool, made.arguments, held.policies)), started]


def _plan_own(state: RunState, spec: AgentSpec, call: Call, held: Holdings) -> Event:
    undone = _undone(call)
    if held.callees.is_undone:
        why = "Another run undoes that, or a part of it, already, or it cannot be told any more."
        return calls.denied(state, call, "undone_already", why)
    tool, arguments, wrong = _template(spec, call, undone)
    if tool is None or wrong:
        return calls.denied(state, call, "invalid_arguments" if tool else "unknown_tool", wrong)
    made = replace(call, tool=tool.name, arguments=arguments)
    digest = call_digest(spec, tool, arguments, held.policies)
    demand = demanded(state, spec, tool, arguments, held)
    if demand is not None and demand.denied:
        return calls.forbidden(state, made, demand)
    if demand is not None and not calls.is_approved(call, digest, demand):
        return calls.approval(state, spec, tool, made, digest, demand, None)
    return calls.intent(state, tool, made, digest)


def _template(spec: AgentSpec, call: Call, undone: Effect) -> tuple[ToolSpec | None, Json, str]:
    """Return the tool to call, with what arguments, and why it cannot be."""
    how = spec.tools[undone.tool].compensation
    name = call.tool if call.fallback or how is None else how.tool
    tool = spec.tools.get(name)
    if how is None or tool is None:
        return None, None, f"The version of this run's agent does not hold the tool {name}, which undoes {undone.tool}."
    values = {"args": undone.arguments, "result": undone.result}
    arguments: dict[str, Json] = {}
    for argument, expression in how.arguments.items():
        try:
            arguments[argument] = rules.value(expression, rules.COMPENSATION, values)
        except rules.BadRule as error:
            return tool, None, f"The argument {argument} of {name}: {error}"
    wrong = tool.faults(arguments)
    if wrong:
        lines = "; ".join(f"{problem.pointer or '/'}: {problem.message}" for problem in wrong)
        return tool, None, f"The arguments of {name} are not valid. {lines}"
    return tool, arguments, ""


def reconcile(state: RunState, spec: AgentSpec, call: Call) -> Event:
    """Return the question what came of `call`, which failed or of which nobody knows."""
    undone = _undone(call)
    what = f"what {undone.tool} did in turn {undone.turn}"
    if not undone.known:
        reason, detail = (
            "outcome_unknown",
            (
                f"The run is being undone. It is not known whether {undone.tool} had its effect in turn {undone.turn}. "
                "Approve if it had: it is undone then. Reject if it had not. Respond to leave it as it is."
            ),
        )
    elif call.phase == "unknown":
        reason, detail = (
            "compensation_unknown",
            (
                f"It is not known whether {call.tool} undid {what}: {call.answer} "
                "Approve if it did. Reject if it did not: it is called again. Respond to leave it as it is."
            ),
        )
    else:
        reason, detail = (
            "compensation_failed",
            (
                f"{call.tool} did not undo {what}: {call.answer} "
                "Approve once it is undone by other means. Reject to have it called again. Respond to leave it so."
            ),
        )
    proposal = {"tool": call.tool, "arguments": enclose(call.arguments)}
    if undone.run is None:
        return ask(state, spec, "reconcile", reason, detail, proposal, call=call.index)
    detail = (
        f"What the run {undone.run} did, which {undone.tool} started in turn {undone.turn}, is not all undone: "
        f"{call.answer} Approve once it is undone by other means. Respond to leave it as it is."
    )
    asked = ask(state, spec, "reconcile", reason, detail, proposal, call=call.index)
    return replace(asked, allowed=("approve", "respond"))  # made again, it would undo what is undone


def _undone(call: Call) -> Effect:
    if call.undoes is None:
        raise ValueError("A compensating call undoes something.")
    return call.undoes


def _is_doubtful(state: RunState, call: Call) -> bool:
    return call.phase == "unknown" and call.tool in state.undoable
