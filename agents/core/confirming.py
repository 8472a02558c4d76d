"""What a person's answer about an output leads to: it is given out, or another one in its place. Pure.

An output that a person wrote passes the schema, the rules, the guards and `escalate_when` like any other. One person is
enough for it if one was asked for and nothing else asks than did before; otherwise it is asked about again, and whoever
wrote it is not one of those who decide.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from agents.core import finishing, screening
from agents.core.approvals import RULES
from agents.core.asking import ask
from agents.core.endings import completed
from agents.core.events import DecisionMade, Event, OutputAccepted, OutputRejected
from agents.core.exact import disclose, enclose
from agents.core.output import Judgement, Seen, judge_output
from agents.core.screening import GUARDED, Verdict
from agents.core.spec import AgentSpec
from agents.core.state import Question, RunState

Json = Any

#: Why people are asked about an output that one of them wrote.
EDITED: Final = "edited"


def confirmed(
    state: RunState, spec: AgentSpec, question: Question, made: DecisionMade, *, now: datetime
) -> list[Event]:
    """Return what follows when `made` approves or edits the output that `question` is about. now: aware."""
    proposed = question.proposal["output"]
    if made.decision == "approve":
        return completed(state, disclose(proposed))
    output = disclose(made.output)
    judgement, verdict, code = written(spec, state, output)
    fields = {} if verdict is None else screening.recorded(verdict)
    if code is not None:
        errors = [problem.as_json() for problem in judgement.problems]
        rejected = OutputRejected(turn=state.turn, code=code, errors=errors, output=enclose(judgement.output), **fields)
        detail = f"The output that a person wrote cannot be used: {errors[0]['message']}"
        return [rejected, _ask(state, spec, question, detail, {"output": proposed}, rule=question.rule, now=now)]
    shown = output if verdict is None else verdict.value
    accepted = OutputAccepted(turn=state.turn, output=enclose(shown), **fields)
    reasons = finishing.why_asked(state, spec, judgement, verdict)
    rule = finishing.rule_of(reasons)
    if question.required <= 1 and _asks_nothing_new(finishing.demands(reasons), question):
        return [accepted, *completed(state, shown)]
    detail = "A person changed the output; somebody else has to agree."
    proposal = {"output": enclose(shown)}
    return [accepted, _ask(state, spec, question, detail, proposal, rule=rule, by=made.by, now=now)]


def written(spec: AgentSpec, seen: Seen, output: Json) -> tuple[Judgement, Verdict | None, str | None]:
    """Return the judgement on an output that a person wrote, what guards found, and the code if it cannot be used."""
    judgement = judge_output(spec, seen, output)
    if judgement.code is not None and judgement.on_fail != "escalate":
        return judgement, None, judgement.code
    verdict = finishing.screen(spec, output)
    wrong = [] if verdict is None else finishing.unfit(spec, verdict)
    if verdict is not None and wrong:
        return Judgement(verdict.value, GUARDED, wrong), verdict, GUARDED
    return judgement, verdict, None


def _asks_nothing_new(demands: Sequence[str], question: Question) -> bool:
    before = (question.rule or "").split(RULES)
    return all(part in before for rule in demands for part in rule.split(RULES))


def _ask(
    state: RunState,
    spec: AgentSpec,
    question: Question,
    detail: str,
    proposal: dict[str, Json],
    *,
    rule: str | None,
    now: datetime,
    by: str | None = None,
) -> Event:
    # Who edited before is still one of its authors: what they put in may stand behind another's edit.
    editors = question.excluded if question.reason == EDITED else ()
    excluded = [*editors, *([by] if by is not None else [])] or None
    more = {"rule": rule, "required": question.required, "excluded": excluded, "now": now}
    return ask(state, spec, "output", EDITED, detail, proposal, **more)  # type: ignore[arg-type]
