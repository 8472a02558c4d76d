"""What one run's page shows, read in the tenant's scope."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.http import Http404
from django.utils import timezone

from access.errors import AccessDenied
from agents.core.lifecycle import TERMINAL
from agents.core.spec import Limits
from agents.models import Run
from audit import journal
from audit.journal import Stored
from console import wording
from console.events import data_of, pretty
from console.members import Member
from console.run_list import name_of
from console.steps import Step, between, steps
from console.timeline import Axis
from escalations.errors import EscalationError
from escalations.models import Escalation
from escalations.permissions import check_decide, visible
from tenants.models import User

#: How many events a page of the timeline spans.
SPAN: Final = 200

#: How many events before and behind it are read, to see where its steps ended and which were under way.
AROUND: Final = 100


def run_of(run_id: UUID) -> Run:
    """Return the tenant's run; raises `Http404`."""
    run = Run.objects.select_related("agent", "version", "principal", "requested_by").filter(id=run_id).first()
    if run is None:
        raise Http404
    return run


@dataclass(frozen=True, slots=True)
class Span:
    """The part of the journal a page shows: behind `after`, up to `upto`. latest: whether nothing comes later."""

    after: int
    upto: int
    latest: bool

    @classmethod
    def of(cls, run: Run, *, upto: int | None = None, step: int | None = None) -> "Span":
        """Return the span that ends at `upto`, or holds `step`, or else the latest."""
        if upto is None and step is not None and step <= run.seq - SPAN:
            upto = step + SPAN // 2
        end = run.seq if upto is None else max(min(upto, run.seq), 0)
        return cls(max(end - SPAN, 0), end, end == run.seq)


def read(run: Run, span: Span) -> list[Stored]:
    """Return the span's events and those around it."""
    first = max(span.after - AROUND, 0)
    return journal.read(run.id, after=first, limit=span.upto + AROUND - first)


def steps_in(events: Iterable[Stored], span: Span) -> list[Step]:
    """Return the steps that began in the span."""
    return list(between(steps(events), span.after, span.upto))


def axis_of(run: Run, events: Iterable[Stored]) -> Axis:
    """Return the time the run has taken so far."""
    latest = max((event.at for event in events), default=run.created_at)
    return Axis(run.created_at, run.ended_at or max(latest, run.created_at))


def people_in(events: Iterable[Stored]) -> dict[str, str]:
    """Return opaque id → name of everybody the events name."""
    named = {event.actor for event in events} | {str(event.facts.get("by", "")) for event in events}
    ids = {text.removeprefix("user:") for text in named if text.startswith("user:")}
    return {f"user:{user.id}": name_of(user) for user in User.objects.filter(id__in=ids)}


@dataclass(frozen=True, slots=True)
class Head:
    """What stands above the timeline, ready to render."""

    id: UUID
    agent: str
    version: int
    principal: str
    requested_by: str
    status: str
    words: str
    icon: str
    created_at: datetime
    over: bool
    lasted: str
    tokens: str
    tokens_in: str
    tokens_cached: str
    tokens_out: str
    cost: str
    limit: str
    share: int
    calls: int
    model_calls: int
    tool_calls: int
    events: int
    curl: str


def head_of(run: Run, submitted: Stored | None) -> Head:
    """Return the run's head. submitted: its first event, which holds the budget it was given."""
    limit = _limit_nano(run, submitted.facts if submitted else {})
    over = run.status in TERMINAL
    read = run.input_tokens + run.cache_read_input_tokens + run.cache_creation_input_tokens
    return Head(
        id=run.id,
        agent=run.agent.slug,
        version=run.version.number,
        principal=name_of(run.principal),
        requested_by=name_of(run.requested_by) if run.requested_by_id != run.principal_id else "",
        status=run.status,
        words=wording.status(run.status, run.waiting_for),
        icon=wording.status_icon(run.status, run.waiting_for),
        created_at=run.created_at,
        over=over,
        lasted=wording.duration((run.ended_at or timezone.now()) - run.created_at),
        tokens=wording.count(read + run.output_tokens),
        tokens_in=wording.count(read),
        tokens_cached=wording.count(run.cache_read_input_tokens) if run.cache_read_input_tokens else "",
        tokens_out=wording.count(run.output_tokens),
        cost=wording.usd(run.cost_nano),
        limit=wording.budget(limit),
        share=min(round(run.cost_nano * 100 / limit), 100) if limit else 100,
        calls=run.model_calls + run.tool_calls,
        model_calls=run.model_calls,
        tool_calls=run.tool_calls,
        events=run.seq,
        curl=f'curl {settings.BASE_URL}/api/v1/runs/{run.id} -H "Authorization: Bearer $COUNTERSIGN_KEY"',
    )


def _limit_nano(run: Run, submitted: Mapping[str, Any]) -> int:
    own = Limits.of(run.version.document.get("limits") or {}).usd_nano
    return min(own, submitted.get("usd_nano") or own)


@dataclass(frozen=True, slots=True)
class End:
    """What went into the run or came out of it. notice: why `value` is not shown, or nothing."""

    label: str
    icon: str
    tone: str
    form: str = "text"
    value: str = ""
    suggestion: str = ""
    notice: str = ""
    folded: bool = False


def ends_of(run: Run, submitted: Stored | None, *, payloads: bool) -> list[End]:
    """Return the run's input, folded while it goes on, and its output or error once it has one."""
    ends = []
    over = run.output_seq is not None
    if submitted is not None and payloads:
        end = End("Input", "log-in", "", folded=not over)
        ends.append(_shown(end, submitted, data_of(submitted, payloads=True).get("input"), payloads=True))
    if run.output_seq is None:
        return ends
    [event] = journal.read(run.id, after=run.output_seq - 1, limit=1)
    data = data_of(event, payloads=payloads)
    if event.action == "run.failed":
        end = End(wording.code(data["code"]).capitalize(), "circle-x", "bad", suggestion=data.get("suggestion", ""))
        return [*ends, _shown(end, event, data.get("detail", ""), payloads=payloads)]
    return [*ends, _shown(End("Output", "circle-check", "good"), event, data.get("output"), payloads=payloads)]


def _shown(end: End, event: Stored, value: Any, *, payloads: bool) -> End:
    if event.erased:
        return replace(end, notice="It has been erased. The record and its proofs stay.")
    if not payloads:
        return replace(end, notice="Your role sees that the run ended, not with what.")
    text = isinstance(value, str)
    return replace(end, form="text" if text else "json", value=value if text else pretty(value))


@dataclass(frozen=True, slots=True)
class Ask:
    """An open escalation. proposal: what an approval brings about; empty when the reader may not see it.

    commands: (answer, cURL) of each answer it takes; empty when the reader may not decide, and `why_not` says why.
    in_inbox: whether the reader finds it there.
    """

    id: UUID
    words: str
    reason: str
    rule: str
    detail: str
    tool: str
    proposal: str
    form: str
    queue: str
    required: int
    requested_at: datetime
    due_at: datetime | None
    commands: list[tuple[str, str]]
    why_not: str
    seq: int
    in_inbox: bool


def asks_of(run: Run, member: Member) -> list[Ask]:
    """Return what people are asked about the run now, oldest first."""
    if run.status in TERMINAL:
        return []
    found = Escalation.objects.filter(run_id=run.id, status="open").order_by("requested_at", "id")
    seen = visible(member.principal) if member.can("escalations:read") else Escalation.objects.none()
    ids = set(seen.filter(run_id=run.id).values_list("id", flat=True))
    return [_ask(escalation, run, member, in_inbox=escalation.id in ids) for escalation in found]


def _ask(escalation: Escalation, run: Run, member: Member, *, in_inbox: bool) -> Ask:
    events = journal.read(escalation.run_id, after=escalation.seq - 1, limit=1)
    data = data_of(events[0], payloads=member.sees_payloads) if events else {}
    proposal = data.get("proposal") or {}
    shown = proposal.get("arguments", proposal.get("output", proposal)) if isinstance(proposal, Mapping) else proposal
    why_not = _why_not(escalation, run, member)
    return Ask(
        id=escalation.id,
        words=wording.ASKED.get(escalation.kind, "A decision"),
        reason=wording.code(escalation.reason).capitalize(),
        rule=escalation.rule or "",
        detail=str(data.get("detail", "")),
        tool=str(proposal.get("tool", "")) if isinstance(proposal, Mapping) else "",
        proposal="" if not shown else shown if isinstance(shown, str) else pretty(shown),
        form="text" if isinstance(shown, str) else "json",
        queue=escalation.queue or "",
        required=escalation.required,
        requested_at=escalation.requested_at,
        due_at=escalation.due_at,
        commands=[] if why_not else [(word, _curl(escalation, word)) for word in escalation.allowed],
        why_not=why_not,
        seq=escalation.seq,
        in_inbox=in_inbox,
    )


def _why_not(escalation: Escalation, run: Run, member: Member) -> str:
    try:
        check_decide(member.principal, escalation, run)
    except (AccessDenied, EscalationError) as error:
        return str(error)
    return ""


_MORE: Final[Mapping[str, dict[str, str]]] = {
    "reject": {"reason": "Why it must not happen"},
    "respond": {"message": "What the agent should know"},
}


def _curl(escalation: Escalation, decision: str) -> str:
    body = json.dumps({"decision": decision, "digest": escalation.digest, **_MORE.get(decision, {})})
    return (
        f"curl -X POST {settings.BASE_URL}/api/v1/escalations/{escalation.id}/decide \\\n"
        '  -H "Authorization: Bearer $COUNTERSIGN_KEY" -H "Content-Type: application/json" \\\n'
        f"  -d '{body}'"
    )
