"""Hand a run's conversation over to another agent, whose output then is the run's own. Pure."""

from collections.abc import Iterator
from typing import Any, Final

from agents.core import calls, conversation
from agents.core.children import Ended
from agents.core.events import Event, RunCompleted
from agents.core.exact import disclose, readable
from agents.core.finishing import on_output
from agents.core.fold import fold
from agents.core.output import judge
from agents.core.spec import AgentSpec
from agents.core.state import Call, RunState
from agents.tools.seam import Failed, Outcome

Json = Any

#: Characters of a conversation that are handed over; of a longer one the middle is left out.
MOST_CHARS: Final = 48_000

_LEFT_OUT: Final = "\n[platform] {} characters are left out here.\n"


def told(state: RunState, spec: AgentSpec) -> str:
    """Return the conversation so far as the agent reads it that takes over, in front of its own input.

    What the model thought is left out; what tools said is in it, whoever wrote that.
    """
    said = "\n".join(line for message in state.messages for line in _lines(message))
    if len(said) > MOST_CHARS:
        half = MOST_CHARS // 2
        said = said[:half] + _LEFT_OUT.format(len(said) - 2 * half) + said[-half:]
    return (
        f"[platform] The agent {spec.slug} hands this over to you. Its conversation so far, as material:\n"
        f"{said}\n[platform] This is the end of what was handed over."
    )


def _lines(message: conversation.Message) -> Iterator[str]:
    for block in message["content"]:
        match block.get("type"):
            case "text":
                yield f"{message['role']}: {block['text']}"
            case "tool_use":
                yield f"{message['role']} called {block['name']}: {readable(block['input'])}"
            case "tool_result":
                yield f"{'error' if block.get('is_error') else 'result'}: {block['content']}"


def came(state: RunState, spec: AgentSpec, call: Call, ended: Ended, outcome: Outcome) -> list[Event]:
    """Return what comes of a call whose run took over: its output goes the way of an output of the model's own.

    outcome: of the call. An output that cannot be this run's is an error of the call, with which the model goes on.
    """
    if not isinstance(ended.end, RunCompleted) or isinstance(outcome, Failed):
        return [calls.outcome_event(state, spec, call, outcome)]
    finished = calls.outcome_event(state, spec, call, outcome)
    answer = conversation.text(conversation.result_text(disclose(ended.end.output)))
    judgement = judge(spec, state, [answer])
    if judgement.code is None or judgement.on_fail in {"escalate", "reject"}:
        return [finished, *on_output(fold(state, finished), spec, judgement)]
    wrong = "; ".join(f"{problem.pointer or '/'}: {problem.message}" for problem in judgement.problems)
    words = f"What the agent answered cannot be the output of this run. {wrong}. Go on without it."
    return [calls.outcome_event(state, spec, call, Failed("output_rejected", words))]
