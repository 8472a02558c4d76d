"""What becomes of a finished answer: it ends the run, goes back to the model, or a person looks at it. Pure.

An answer is judged by schema and rules as the model gave it, then screened by the agent's guards. What the run returns,
and what a person is shown, has their masks; it fits the schema with them, or the answer goes back.
"""

from collections.abc import Sequence
from typing import Any

from agents.core import screening, triage
from agents.core.asking import ask
from agents.core.endings import completed, failed
from agents.core.events import Event, OutputAccepted, OutputRejected
from agents.core.exact import enclose
from agents.core.output import Judgement, must_be_confirmed
from agents.core.schema import Problem, problems
from agents.core.screening import GUARDED, Verdict
from agents.core.spec import AgentSpec
from agents.core.state import RunState

Json = Any


def on_output(state: RunState, spec: AgentSpec, judgement: Judgement) -> Sequence[Event]:
    """Return what follows from the judgement on an answer."""
    if judgement.code is not None and (judgement.on_fail != "escalate" or triage.is_on(state, spec)):
        return _refused(state, spec, judgement)
    verdict = screen(spec, judgement.output)
    fields = {} if verdict is None else screening.recorded(verdict)
    wrong = [] if verdict is None else unfit(spec, verdict)
    shown = judgement.output if verdict is None else verdict.value
    if wrong:
        sent_back = Judgement(shown, GUARDED, wrong)
        return rejected(state, spec, sent_back, [problem.as_json() for problem in wrong], fields)
    if triage.wants_more(state, spec, judgement.output):
        why = [Problem("", "The agent's triage.escalate_when holds for this answer.", triage.HANDED).as_json()]
        return rejected(state, spec, Judgement(shown, triage.HANDED), why, fields)
    accepted = OutputAccepted(turn=state.turn, output=enclose(shown), **fields)
    asked = _why_asked(state, spec, judgement, verdict)
    if asked is None:
        return [accepted, *completed(state, shown)]
    reason, rule, words = asked
    return [accepted, ask(state, spec, "output", reason, words, {"output": enclose(shown)}, rule=rule)]


def rejected(
    state: RunState,
    spec: AgentSpec,
    judgement: Judgement,
    errors: Sequence[dict[str, str]],
    fields: dict[str, Json] | None = None,
) -> list[Event]:
    """Return the facts of an answer that cannot be used; behind the last retry, a person is asked.

    A small model's is no retry: the agent's own is asked in its place.
    errors: what the model is told. fields: what the guards found, for the record.
    """
    events: list[Event] = [
        OutputRejected(
            turn=state.turn,
            code=judgement.code or "",
            errors=errors,
            output=enclose(judgement.output),
            handed_to=spec.model if triage.is_on(state, spec) else None,
            **fields or {},
        )
    ]
    if triage.is_on(state, spec):
        return events
    if state.rejections >= spec.limits.validation_retries + state.extra.validation_retries:
        detail = f"The output was rejected {state.rejections + 1} times, last with: {errors[0]['message']}"
        more = {"validation_retries": spec.limits.validation_retries + 1}
        proposal = {"output": enclose(judgement.output), "arguments": more}
        events.append(ask(state, spec, "question", "validation_failed", detail, proposal))
    return events


def _refused(state: RunState, spec: AgentSpec, judgement: Judgement) -> Sequence[Event]:
    errors = [problem.as_json() for problem in judgement.problems]
    events = rejected(state, spec, judgement, errors)
    if judgement.on_fail == "reject" and not triage.is_on(state, spec):
        detail = "; ".join(error["message"] for error in errors)
        return [events[0], *failed(state, "rule_violated", detail, "Correct the input, or the agent's rules.")]
    return events


def screen(spec: AgentSpec, output: Json) -> Verdict | None:
    """Return what the agent's guards make of an output; None when they look at none."""
    return None if spec.output_screen is None else screening.screened(output, spec.output_screen)


def unfit(spec: AgentSpec, verdict: Verdict) -> list[Problem]:
    """Return what whoever wrote the output must leave out, or change so that it fits with its masks."""
    blocked = verdict.told("block")
    if blocked:
        return [
            Problem(hit.place, f"This holds {screening.words(hit)}. Answer without it.", hit.finder) for hit in blocked
        ]
    if spec.output is None or not verdict.told("mask"):
        return []
    return [
        Problem(each.pointer, f"A mask stands here for what may not be told, and then: {each.message}", GUARDED)
        for each in problems(spec.output, verdict.value)
    ]


def _why_asked(
    state: RunState, spec: AgentSpec, judgement: Judgement, verdict: Verdict | None
) -> tuple[str, str | None, str] | None:
    """Return (reason, rule, words) of the question about an output, or None when nobody is asked."""
    if judgement.on_fail == "escalate":
        return "rule", judgement.rule, "; ".join(problem.message for problem in judgement.problems)
    if verdict is not None and (finders := asked_about(verdict)) is not None:
        found = verdict.told("escalate")
        held = ", ".join(dict.fromkeys(f"{screening.words(hit)} at {hit.place or '/'}" for hit in found))
        return GUARDED, finders, f"The output holds {held}."
    if must_be_confirmed(spec, state, judgement.output):
        return "escalate_when", spec.escalate_when, f"{spec.escalate_when} holds for the output."
    return None


def asked_about(verdict: Verdict) -> str | None:
    """Return the finders that have a person look at the output, as a question's rule names them; None for nobody."""
    return ", ".join(dict.fromkeys(hit.finder for hit in verdict.told("escalate"))) or None
