"""What people tell a run while it goes on: kept until it can stand in the conversation, before the model's next call.

Pure. It never comes between a call of the model and its answer, nor between calls of tools and their results.
"""

from typing import Final

from agents.core.conversation import COMPLETE
from agents.core.events import OutputRejected, RunGuided
from agents.core.state import RunState, evolve, told

#: The code of an answer that was given before the model knew what people said meanwhile; it counts as no failure.
GUIDED: Final = "guided"

PREFIX: Final = "[a person says] "


def guided(state: RunState, event: RunGuided) -> RunState:
    """Keep what a person said, and that it was they."""
    return evolve(state, guidance=(*state.guidance, event.message), guides=state.guides | {event.by})


def settled(state: RunState) -> RunState:
    """Put what people said into the conversation, if this is the moment for it."""
    in_the_midst = state.calling_model or state.calls or state.answered is not None or state.ending is not None
    if in_the_midst or not state.messages or state.messages[-1]["role"] != "user":
        return state
    words = state.guidance
    state = evolve(state, guidance=())
    for each in words:
        state = told(state, f"{PREFIX}{each}")
    return state


def answered_without(state: RunState) -> OutputRejected | None:
    """Return why the model's finished answer is not judged: it was given before people said more."""
    if not state.guidance or state.answered is None or state.answered.stop_reason not in COMPLETE:
        return None
    words = "A person has said something meanwhile, see below. Take it into account and answer again."
    return OutputRejected(turn=state.turn, code=GUIDED, errors=[{"rule": GUIDED, "pointer": "", "message": words}])
