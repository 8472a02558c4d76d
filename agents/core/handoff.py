"""Hand a run's conversation over to another agent, whose output then is the run's own. Pure."""

from datetime import datetime
from typing import Any

from agents.core import calls, conversation
from agents.core.children import Ended
from agents.core.events import Event, RunCompleted
from agents.core.exact import disclose
from agents.core.finishing import on_output
from agents.core.fold import fold
from agents.core.output import judge
from agents.core.spec import AgentSpec
from agents.core.state import Call, RunState
from agents.tools.seam import Failed, Outcome

Json = Any


def came(state: RunState, spec: AgentSpec, call: Call, ended: Ended, outcome: Outcome, *, now: datetime) -> list[Event]:
    """Return what comes of a call whose run took over: its output goes the way of an output of the model's own.

    outcome: of the call. now: aware. An output that cannot be this run's is an error of the call, with which the model
    goes on.
    """
    if not isinstance(ended.end, RunCompleted) or isinstance(outcome, Failed):
        return [calls.outcome_event(state, spec, call, outcome)]
    finished = calls.outcome_event(state, spec, call, outcome)
    answer = conversation.text(conversation.result_text(disclose(ended.end.output)))
    judgement = judge(spec, state, [answer])
    if judgement.code is None or judgement.on_fail in {"escalate", "reject"}:
        return [finished, *on_output(fold(state, finished), spec, judgement, now=now)]
    wrong = "; ".join(f"{problem.pointer or '/'}: {problem.message}" for problem in judgement.problems)
    words = f"What the agent answered cannot be the output of this run. {wrong}. Go on without it."
    return [calls.outcome_event(state, spec, call, Failed("output_rejected", words))]
