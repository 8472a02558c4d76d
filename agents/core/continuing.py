"""Runs that begin where another one ended: they try it again from its last step, or undo what it did. Pure."""

from dataclasses import asdict
from typing import Any

from agents.core import conversation
from agents.core.events import Event, RunCompensating, RunCompleted, RunRetried, RunReversing
from agents.core.exact import disclose, enclose
from agents.core.state import Call, Effect, RunState, evolve

Json = Any


def carried_on(ended: RunState, why: str) -> RunRetried:
    """Return the fact that a run carries on where `ended` was when it ended. why: it ended, for the model.

    Calls of its last turn that have their result keep it. Of the others the model is told that they were not made, or
    that nobody knows, so that it can make them again.
    """
    messages = ended.messages
    if ended.calls:
        told = [(each.call_id, *_told(each)) for each in ended.calls]
        blocks = [conversation.tool_result(call_id, answer, is_error=failed) for call_id, answer, failed in told]
        messages = conversation.with_user(messages, blocks)
    note = f"[platform] The run was interrupted and carries on from here. {why}"
    messages = conversation.with_user(messages, [conversation.text(note)])
    return RunRetried(
        of=str(ended.run_id),
        start="step",
        untrusted=ended.is_tainted or None,
        private=ended.has_read_private or None,
        messages=enclose(list(messages)),
        results=enclose(dict(ended.results)),
    )


def _told(call: Call) -> tuple[str, bool]:
    if call.phase == "settled":
        return call.told, call.is_error
    if call.phase in {"requested", "unknown"}:
        return "It is not known whether this call had its effect. Find out before you make it again.", True
    return "This call was not made: the run ended before.", True


def retried(state: RunState, event: RunRetried) -> RunState:
    """Take over what was said and known."""
    if event.messages is None:
        return state
    return evolve(
        state,
        messages=tuple(disclose(event.messages)),
        results=disclose(event.results) or {},
        is_tainted=bool(event.untrusted),
        has_read_private=bool(event.private),
    )


def reversal(ended: RunState) -> RunReversing:
    """Return the fact that a run undoes what `ended` did."""
    return RunReversing(
        of=str(ended.run_id),
        turn=ended.turn,
        effects=enclose([_told_of(each) for each in ended.effects]),
        below=any(each.run is not None for each in ended.effects),
    )


def _told_of(effect: Effect) -> dict[str, Json]:
    """Return the effect as it is recorded: without `run` where it has none, as former releases know it."""
    return {name: value for name, value in asdict(effect).items() if name != "run" or value is not None}


def reversing(state: RunState, event: RunReversing) -> RunState:
    """Take over what is to be undone."""
    effects = tuple(Effect(**each) for each in disclose(event.effects))
    return evolve(state, turn=event.turn, effects=effects, reverses=event.of)


def undone_first(state: RunState) -> list[Event]:
    """Return what a run that reverses another one does: undo, then end."""
    if not state.effects:
        return [RunCompleted(output=enclose({"reversed": state.reverses}))]
    return [RunCompensating(turn=state.turn + 1, calls=len(state.effects), status="completed")]
