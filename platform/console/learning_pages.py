"""Cases and feedback as their pages show them; read in the tenant's scope."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.http import Http404

from access import grants
from agents.models import Agent
from console.events import pretty
from console.members import Member
from escalations.models import Escalation
from learning.actions import cases
from learning.models import Case, Feedback
from learning.presenters import cases_json, feedback_json

Json = Any

PAGE: Final = 50

#: What a case came from, in words.
SOURCES: Final = {
    "edit": "a reviewer’s edit",  # noqa: RUF001
    "reject": "a rejection",
    "appeal": "an appeal that was upheld",
    "run": "a run, with what would have been right",
}

#: What a case expects, in words.
EXPECTED: Final = {
    "output": "This output",
    "not_output": "Not this output",
    "call": "This call",
    "not_call": "Not this call",
}


@dataclass(frozen=True, slots=True)
class ShownCase:
    """A case, ready to render. input, expected: as text; empty where erased, or not to be shown."""

    id: UUID
    run: UUID
    escalation: UUID | None
    version: int
    source: str
    tag: str
    input: str
    what: str
    tool: str
    expected: str
    reason: str
    note: str
    kept_by: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Said:
    """Feedback, ready to render."""

    run: UUID
    score: int | None
    thumb: str
    comment: str
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ToKeep:
    """What can be taught by a question's answer. kept: the case that was kept of it already."""

    may: bool
    kept: UUID | None


def agent_of(slug: str) -> Agent:
    """Return an agent; raises `Http404`."""
    found = Agent.objects.filter(slug=slug).first()
    if found is None:
        raise Http404
    return found


def case_of(agent: Agent, case_id: UUID) -> Case:
    """Return a case of the agent that nobody let go; raises `Http404`."""
    found = cases.kept().filter(agent=agent, id=case_id).first()
    if found is None:
        raise Http404
    return found


def cases_of(agent: Agent, tag: str, before: UUID | None, member: Member) -> tuple[list[ShownCase], UUID | None]:
    """Return a page of the agent's cases, newest first, and the last one's id when there are more."""
    rows = cases.kept().filter(agent=agent).order_by("-created_at", "-id")
    if tag:
        rows = rows.filter(tag=tag)
    last = cases.kept().filter(agent=agent, id=before).first() if before else None
    if last is not None:
        rows = rows.filter(created_at__lte=last.created_at).exclude(created_at=last.created_at, id__gte=last.id)
    some = list(rows[: PAGE + 1])
    return shown_cases(some[:PAGE], member), some[PAGE - 1].id if len(some) > PAGE else None


def shown_cases(listed: list[Case], member: Member) -> list[ShownCase]:
    """Return cases as they are shown to that member."""
    told = cases_json(listed, payloads=member.sees_payloads)
    return [_case(row, each) for row, each in zip(listed, told, strict=True)]


def may_remove(case: Case, member: Member) -> bool:
    """Say whether the member may let the case go: who kept it, and who may edit the agent."""
    own = case.kept_by_id == member.user.id
    return member.can("escalations:decide") and (own or grants.held(member.principal, "edit", case.agent))


def to_keep(escalation: Escalation, member: Member) -> ToKeep:
    """Return whether the member may keep what the question's answer teaches, and what was kept of it."""
    kept = cases.kept().filter(escalation_id=escalation.id).values_list("id", flat=True).first()
    taught = escalation.status == "decided" and (
        (escalation.kind in {"tool_call", "output"} and escalation.decision in {"edit", "reject"})
        or (escalation.kind == "appeal" and escalation.decision == "approve")
    )
    return ToKeep(taught and kept is None and member.can("escalations:decide"), kept)


def feedback_of(agent: Agent, before: UUID | None, member: Member) -> tuple[list[Said], UUID | None]:
    """Return a page of what was said of the agent's outputs, newest first, and the last one's id when there is more."""
    rows = Feedback.objects.filter(agent_id=agent.id).order_by("-created_at", "-id")
    last = Feedback.objects.filter(agent_id=agent.id, id=before).first() if before else None
    if last is not None:
        rows = rows.filter(created_at__lte=last.created_at).exclude(created_at=last.created_at, id__gte=last.id)
    some = list(rows[: PAGE + 1])
    return said(some[:PAGE], member), some[PAGE - 1].id if len(some) > PAGE else None


def said(listed: list[Feedback], member: Member) -> list[Said]:
    """Return feedback as it is shown to that member."""
    told = feedback_json(listed, payloads=member.sees_payloads)
    return [
        Said(
            row.run_id,
            row.score,
            each["thumb"] or "",
            each["comment"] or "",
            each["by"] or ("whoever had the link" if row.user_id is None else "a member"),
            row.created_at,
        )
        for row, each in zip(listed, told, strict=True)
    ]


def _case(row: Case, told: dict[str, Json]) -> ShownCase:
    expected: dict[str, Json] = told["expected"] or {}
    value = expected.get("arguments") if "call" in expected.get("what", "") else expected.get("output")
    return ShownCase(
        id=row.id,
        run=row.run_id,
        escalation=row.escalation_id,
        version=told["version"],
        source=SOURCES[row.source],
        tag=row.tag,
        input="" if told["input"] is None else pretty(told["input"]),
        what=EXPECTED.get(expected.get("what", ""), ""),
        tool=str(expected.get("tool") or ""),
        expected="" if value is None else value if isinstance(value, str) else pretty(value),
        reason=str(expected.get("reason") or ""),
        note=told["note"] or "",
        kept_by=told["kept_by"] or "somebody who left",
        created_at=row.created_at,
    )
