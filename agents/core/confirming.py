"""What a person's answer about an output leads to: it is given out, or another one in its place. Pure.

An output that a person wrote passes the schema, the rules and `escalate_when` like any other. One person is enough
for it if one was asked for and nothing else asks than did before; otherwise it is asked about again, and whoever wrote
it is not one of those who decide.
"""

from typing import Any, Final

from agents.core.asking import ask
from agents.core.endings import completed
from agents.core.events import DecisionMade, Event, OutputAccepted, OutputRejected
from agents.core.exact import disclose, enclose
from agents.core.output import Judgement, judge_output, must_be_confirmed
from agents.core.spec import AgentSpec
from agents.core.state import Question, RunState

Json = Any

#: Why people are asked about an output that one of them wrote.
EDITED: Final = "edited"


def confirmed(state: RunState, spec: AgentSpec, question: Question, made: DecisionMade) -> list[Event]:
    """Return what follows when `made` approves or edits the output that `question` is about."""
    proposed = question.proposal["output"]
    if made.decision == "approve":
        return completed(state, disclose(proposed))
    output = disclose(made.output)
    judgement = judge_output(spec, state, output)
    if judgement.code is not None and judgement.on_fail != "escalate":
        errors = [problem.as_json() for problem in judgement.problems]
        rejected = OutputRejected(turn=state.turn, code=judgement.code, errors=errors, output=made.output)
        detail = f"The output that a person wrote cannot be used: {errors[0]['message']}"
        return [rejected, _ask(state, spec, question, detail, {"output": proposed}, rule=question.rule)]
    accepted = OutputAccepted(turn=state.turn, output=enclose(output))
    rule = _demands(spec, state, judgement)
    if question.required <= 1 and rule in {None, question.rule}:
        return [accepted, *completed(state, output)]
    detail = "A person changed the output; somebody else has to agree."
    return [accepted, _ask(state, spec, question, detail, {"output": enclose(output)}, rule=rule, by=made.by)]


def _demands(spec: AgentSpec, state: RunState, judgement: Judgement) -> str | None:
    if judgement.on_fail == "escalate":
        return judgement.rule
    return spec.escalate_when if must_be_confirmed(spec, state, judgement.output) else None


def _ask(
    state: RunState,
    spec: AgentSpec,
    question: Question,
    detail: str,
    proposal: dict[str, Json],
    *,
    rule: str | None,
    by: str | None = None,
) -> Event:
    excluded = [by] if by is not None else None
    more = {"rule": rule, "required": question.required, "excluded": excluded}
    return ask(state, spec, "output", EDITED, detail, proposal, **more)  # type: ignore[arg-type]
