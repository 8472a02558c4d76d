"""What becomes of a finished answer: it ends the run, goes back to the model, or a person looks at it. Pure.

An answer is judged by schema and rules as the model gave it, then screened by the agent's guards. What the run returns,
and what a person is shown, has their masks; it fits the schema with them, or the answer goes back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from agents.core import screening, triage
from agents.core.approvals import RULES
from agents.core.asking import ask
from agents.core.endings import completed, failed
from agents.core.events import Event, OutputAccepted, OutputRejected
from agents.core.exact import enclose
from agents.core.output import Judgement, Seen, must_be_confirmed
from agents.core.schema import Problem, problems
from agents.core.screening import GUARDED, Verdict
from agents.core.spec import AgentSpec
from agents.core.state import RunState

Json = Any

#: The longest a question's rule may be, in characters: what the inbox has room for.
LONGEST_RULE: Final = 4000


def on_output(state: RunState, spec: AgentSpec, judgement: Judgement, *, now: datetime) -> Sequence[Event]:
    """Return what follows from the judgement on an answer. now: the database's time, aware."""
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
    reasons = why_asked(state, spec, judgement, verdict)
    if not reasons:
        return [accepted, *completed(state, shown)]
    detail = " ".join(reason.words for reason in reasons)
    proposal = {"output": enclose(shown)}
    return [accepted, ask(state, spec, "output", reasons[0].code, detail, proposal, rule=rule_of(reasons), now=now)]


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


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a person looks at an output. code: of the question; rules: what asks, by name; words: for people."""

    code: str
    rules: tuple[str, ...]
    words: str


def why_asked(state: Seen, spec: AgentSpec, judgement: Judgement, verdict: Verdict | None) -> list[Reason]:
    """Return all reasons to ask a person about an output, the strongest first; none when nobody is asked."""
    found: list[Reason] = []
    if judgement.on_fail == "escalate":
        broken = dict.fromkeys([judgement.rule or "", *(problem.rule for problem in judgement.problems)])
        found.append(Reason("rule", tuple(broken), "; ".join(problem.message for problem in judgement.problems)))
    hits = [] if verdict is None else verdict.told("escalate")
    if hits:
        held = ", ".join(dict.fromkeys(f"{screening.words(hit)} at {hit.place or '/'}" for hit in hits))
        finders = tuple(dict.fromkeys(hit.finder for hit in hits))
        found.append(Reason(GUARDED, finders, f"The output holds {held}."))
    if spec.escalate_when is not None and must_be_confirmed(spec, state, judgement.output):
        found.append(Reason("escalate_when", (spec.escalate_when,), f"{spec.escalate_when} holds for the output."))
    return found


def demands(reasons: Sequence[Reason]) -> list[str]:
    """Return all that asks, by name."""
    return list(dict.fromkeys(rule for reason in reasons for rule in reason.rules))


def rule_of(reasons: Sequence[Reason]) -> str | None:
    """Return what asks, as a question's rule names it: as much as it holds; None for nothing."""
    names = demands(reasons)
    if not names:
        return None
    said = names[0]
    for name in names[1:]:
        if len(said) + len(RULES) + len(name) <= LONGEST_RULE:
            said += RULES + name
    return said
