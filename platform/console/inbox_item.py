"""One question of the inbox, read in the tenant's scope."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.http import Http404
from django.utils import timezone

from access.errors import AccessDenied
from agents.actions.versions import spec_of_run
from agents.core.approvals import RULES
from agents.core.spec import AgentSpec, ToolSpec
from agents.models import Policy, Run
from agents.presenters import proposal_json
from audit import journal
from audit.journal import Stored
from console import inbox_text, wording
from console.events import data_of, pretty
from console.inbox_list import ended
from console.inbox_text import Button, Due, Reason
from console.members import Member
from console.run_list import name_of
from console.run_page import people_in
from console.step_text import DECIDED
from escalations import risk
from escalations.errors import EscalationError
from escalations.inbox import ranked
from escalations.models import Escalation
from escalations.permissions import check_decide, standing, visible
from tenants.models import User

Json = Any

#: How many events before the question are read for its evidence; older ones stand on the run's page.
EVIDENCE: Final = 120

_SHOWN: Final = frozenset({
    "tool.finished", "tool.failed", "tool.denied", "tool.unknown", "tool.compensated", "output.rejected",
    "model.answered", "decision.made",
    "decision.answered", "decision.undone", "output.accepted", "run.guided", "run.retried",
})  # fmt: skip

#: Beside those, of an appeal: what was asked and decided, and what came out.
_DECIDED: Final = frozenset({"decision.requested", "decision.expired", "run.completed", "run.failed"})

#: An answer that can still be taken back, and one that takes effect.
_ANSWERED: Final = frozenset({"decision.answered", "decision.made"})

_CAME_OUT: Final = {"output.accepted": "Output that was accepted", "run.completed": "What the run gave out"}


@dataclass(frozen=True, slots=True)
class Evidence:
    """Something the run had read, said or done. seq: its event; marks: (icon, word) such as untrusted."""

    seq: int
    label: str
    form: str
    value: str
    tone: str
    marks: tuple[tuple[str, str], ...]
    folded: bool


@dataclass(frozen=True, slots=True)
class Vote:
    """An answer that was given. edited: the arguments or the output that it put in the place of those proposed."""

    who: str
    verb: str
    at: datetime
    said: str
    edited: str


@dataclass(frozen=True, slots=True)
class Item:
    """A question, ready to render.

    edits: what an edit is written as: `json`, or `text` for the output of an agent without output schema. why_not: why
    the reader may not answer it, or nothing; then there are no buttons. undo_until: until when they can take their
    answer back, or nothing.
    """

    id: UUID
    seq: int
    kind: str
    words: str
    risk: str
    heading: str
    tool: str
    run: UUID
    agent: str
    version: int
    principal: str
    queue: str
    requested_at: datetime
    due_at: datetime | None
    due: Due
    expires_at: datetime | None
    reasons: list[Reason]
    proposal: str
    form: str
    what: str
    edits: str
    digest: str
    required: int
    given: int
    votes: list[Vote]
    evidence: list[Evidence]
    earlier: bool
    cost: str
    limit: str
    share: int
    tokens: str
    lasted: str
    buttons: list[Button]
    why_not: str
    ended: str
    undo_until: datetime | None
    erased: bool

    @property
    def is_open(self) -> bool:
        """Say whether it still waits for an answer."""
        return not self.ended

    @property
    def needs_reason(self) -> bool:
        """Say whether an approval needs a reason too."""
        return inbox_text.needs_reason(self.kind, self.risk)


def escalation_of(escalation_id: UUID, member: Member) -> Escalation:
    """Return the question if the member may see it; raises `Http404`."""
    found = ranked(visible(member.principal)).filter(id=escalation_id).first()
    if found is None:
        raise Http404
    return found


def proposal_of(escalation: Escalation) -> Mapping[str, Json]:
    """Return what is proposed; empty once it was erased."""
    asked = journal.payloads_at([escalation.place])
    return proposal_json((asked.get(escalation.place) or {}).get("proposal") or {})


def item(escalation: Escalation, member: Member) -> Item:
    """Return everything the page shows of the question."""
    run = Run.objects.select_related("agent", "version", "principal", "requested_by").get(id=escalation.run_id)
    spec = spec_of_run(run)
    history, asked = _history(escalation)
    data = data_of(asked, payloads=True) if asked else {}
    proposal: Mapping[str, Json] = data.get("proposal") or {}
    detail, tool = str(data.get("detail") or ""), str(proposal.get("tool") or "")
    shown = proposal.get("arguments", proposal.get("output"))
    why_not, given = _why_not(escalation, run, member), _given(escalation, run)
    now = timezone.now()
    limit = spec.limits.usd_nano
    is_open = escalation.status == "open"
    return Item(
        id=escalation.id,
        seq=escalation.seq,
        kind=escalation.kind,
        words=wording.ASKED.get(escalation.kind, "A decision"),
        risk=risk.word(escalation.risk),
        heading=inbox_text.headline(escalation.kind, escalation.reason, detail, proposal),
        tool=tool,
        run=run.id,
        agent=run.agent.slug,
        version=run.version.number,
        principal=name_of(run.principal),
        queue=escalation.queue or "",
        requested_at=escalation.requested_at,
        due_at=escalation.due_at,
        due=inbox_text.due(escalation.due_at, now) if is_open else Due(""),
        expires_at=escalation.expires_at,
        reasons=_reasons(escalation, spec, tool, detail, proposal),
        proposal=_as_text(shown),
        form="text" if isinstance(shown, str) else "json",
        what=_what(escalation.kind, proposal),
        edits="text" if escalation.kind == "output" and spec.output_schema is None else "json",
        digest=escalation.digest,
        required=escalation.required,
        given=given,
        votes=list(_votes(escalation, run)),
        evidence=list(_evidence(history, _SHOWN | _DECIDED if escalation.kind == "appeal" else _SHOWN)),
        earlier=escalation.kind != "appeal" and escalation.seq - 1 > EVIDENCE,
        cost=wording.usd(run.cost_nano),
        limit=wording.budget(limit),
        share=min(round(run.cost_nano * 100 / limit), 100) if limit else 100,
        tokens=wording.count(_tokens(run)),
        lasted=wording.duration((run.ended_at or now) - run.created_at),
        buttons=_buttons(escalation, spec.tools.get(tool), given, why_not),
        why_not=why_not if is_open else "",
        ended=ended(escalation),
        undo_until=_until(escalation, member),
        erased=bool(asked and asked.erased),
    )


def _as_text(shown: Json) -> str:
    return "" if shown is None else shown if isinstance(shown, str) else pretty(shown)


def _reasons(
    escalation: Escalation, spec: AgentSpec, tool: str, detail: str, proposal: Mapping[str, Json]
) -> list[Reason]:
    expressions = _expressions(escalation, spec.tools.get(tool), spec)
    why = escalation.kind, escalation.reason, escalation.rule, detail
    return inbox_text.reasons(*why, arguments=proposal.get("arguments"), expressions=expressions)


def _tokens(run: Run) -> int:
    return run.input_tokens + run.cache_read_input_tokens + run.cache_creation_input_tokens + run.output_tokens


def _history(escalation: Escalation) -> tuple[list[Stored], Stored | None]:
    """Return what the run did before it asked, and the event that asks. Of an appeal, all that the run did."""
    if escalation.kind == "appeal":
        stream, seq = escalation.place
        return journal.read(escalation.run_id), next(iter(journal.read(stream, after=seq - 1, limit=1)), None)
    found = journal.read(escalation.run_id, after=max(escalation.seq - 1 - EVIDENCE, 0), limit=EVIDENCE + 1)
    before = [each for each in found if each.seq and each.seq < escalation.seq]
    return before, next((each for each in found if each.seq == escalation.seq), None)


def _what(kind: str, proposal: Mapping[str, Json]) -> str:
    if kind == "appeal":
        return "What the run decided"
    if kind == "budget":
        return "Proposed amounts to add"
    if proposal.get("tool"):
        return "The call in question" if kind == "reconcile" else "Proposed call"
    return "Proposed output" if "output" in proposal else "Proposed"


def _given(escalation: Escalation, run: Run) -> int:
    """Return how many approvals count: of what is open, those alone whose right is current."""
    if escalation.status == "open":
        return len(standing(escalation, run))
    return escalation.votes.filter(decision="approve").count()


def _until(escalation: Escalation, member: Member) -> datetime | None:
    """Return until when the reader can take their own answer back; nothing where they cannot."""
    until = escalation.effective_at
    if not escalation.is_pending or until is None or until <= timezone.now():
        return None
    last = escalation.votes.order_by("-at").values_list("user_id", flat=True).first()
    return until if last == member.principal.user_id and member.can("escalations:decide") else None


def _why_not(escalation: Escalation, run: Run, member: Member) -> str:
    try:
        check_decide(member.principal, escalation, run)
    except (AccessDenied, EscalationError) as error:
        return str(error)
    return ""


def _buttons(escalation: Escalation, tool: ToolSpec | None, given: int, why_not: str) -> list[Button]:
    if escalation.status != "open" or why_not:
        return []
    return inbox_text.buttons(
        escalation.kind,
        list(escalation.allowed),
        tool=tool.name if tool else "The tool",
        irreversible=tool is not None and tool.effect == "irreversible",
        undone_by=tool.compensation.tool if tool and tool.compensation else "",
        left=escalation.required - given,
    )


def _expressions(escalation: Escalation, tool: ToolSpec | None, spec: AgentSpec) -> dict[str, str]:
    """Return rule → CEL: of the agent's and the tool's version that the run is pinned to, of policies as they are."""
    rules = (escalation.rule or "").split(RULES)
    names = [rule.removeprefix("policy ") for rule in rules if rule.startswith("policy ")]
    found = {f"policy {policy.name}": str(policy.document.get("when", "")) for policy in _policies(names)}
    if tool is not None and tool.approval is not None:
        found[f"approval.when of {tool.name}"] = tool.approval.when
    return found | {rule.id: rule.expression for rule in spec.rules}


def _policies(names: list[str]) -> list[Policy]:
    return list(Policy.objects.filter(name__in=names)) if names else []


def _votes(escalation: Escalation, run: Run) -> Iterator[Vote]:
    """Yield the answers given so far, oldest first, with what was said along."""
    votes = list(escalation.votes.select_related("user").order_by("at"))
    if not votes:
        return
    said = _said(escalation, run)
    for vote in votes:
        verb, words = DECIDED.get(vote.decision, vote.decision), said.get(vote.user_id, ("", ""))
        yield Vote(name_of(vote.user), verb, vote.at, *words)


def _said(escalation: Escalation, run: Run) -> dict[UUID, tuple[str, str]]:
    """Return who decided: what they said, and what they edited it to. It stands a little behind the question."""
    found = {}
    if escalation.kind == "appeal":
        settled = journal.read(escalation.id, after=escalation.seq, limit=1)
        return {
            UUID(each.actor.removeprefix("user:")): (str((each.payload or {}).get("reason") or ""), "")
            for each in settled
        }
    for event in journal.read(run.id, after=escalation.seq, limit=EVIDENCE):
        if event.action in _ANSWERED and event.facts.get("escalation") == str(escalation.id):
            data = data_of(event, payloads=True)
            by = UUID(str(data["by"]).removeprefix("user:"))
            found[by] = str(data.get("message") or data.get("reason") or ""), _edited(data)
    return found


def _edited(data: Mapping[str, Json]) -> str:
    if data.get("decision") != "edit":
        return ""
    return _as_text(data["arguments"] if data.get("arguments") is not None else data.get("output"))


def _evidence(history: list[Stored], shown: frozenset[str]) -> Iterator[Evidence]:
    """Yield what the run was given, had read, said and done in these events, in order. shown: the actions to tell."""
    people = people_in(history)
    for event in history:
        data = data_of(event, payloads=True)
        if event.action == "run.submitted":
            yield _one(event, "Input of the run", data.get("input"))
        elif event.action in shown:
            yield from _told(event, data, people)


def _told(event: Stored, data: Mapping[str, Json], people: Mapping[str, str]) -> Iterator[Evidence]:
    tool = str(event.facts.get("tool") or "")
    if event.action == "model.answered":
        texts = [
            block["text"]
            for block in data.get("content") or ()
            if isinstance(block, Mapping) and block.get("type") == "text" and block.get("text")
        ]
        if texts:
            yield _one(event, "The agent said", "\n\n".join(texts))
    elif event.action in _ANSWERED:
        verb = DECIDED.get(str(data.get("decision")), "Decided")
        said = data.get("message") or data.get("reason") or ""
        yield _one(event, f"{verb} by {people.get(str(data.get('by')), 'a person')}", said)
    elif event.action == "output.rejected":
        yield _one(event, "Output that was sent back", data.get("errors"), tone="bad")
    elif event.action in {"output.accepted", "run.completed"}:
        yield _one(event, _CAME_OUT[event.action], data.get("output"))
    elif event.action == "decision.requested":
        yield _one(event, "A person was asked", data.get("detail"))
    elif event.action == "decision.undone":
        yield _one(event, f"Answer taken back by {people.get(str(data.get('by')), 'the platform')}", None)
    elif event.action == "run.guided":
        yield _one(event, f"Guided by {people.get(str(data.get('by')), 'a person')}", data.get("message"))
    elif event.action == "run.retried":
        yield _one(event, f"Tried again: run …{str(data.get('of'))[-8:]}", data.get("messages"))
    elif event.action == "decision.expired":
        yield _one(event, "Nobody decided in time", None)
    elif event.action == "run.failed":
        failed = data.get("error") or wording.code(str(event.facts.get("code") or ""))
        yield _one(event, "The run failed", failed, tone="bad")
    elif event.action in {"tool.finished", "tool.compensated"}:
        yield _one(event, tool, data.get("result"))
    else:
        yield _one(event, tool, data.get("error") or wording.code(str(event.facts.get("code") or "")), tone="bad")


def _one(event: Stored, label: str, value: Json, *, tone: str = "") -> Evidence:
    text = value if isinstance(value, str) else "" if value is None else pretty(value)
    marks = []
    if event.erased:
        marks.append(("eraser", "erased"))
    if event.facts.get("untrusted"):
        marks.append(("shield-alert", "untrusted"))
    if event.facts.get("private"):
        marks.append(("lock", "private"))
    form = "text" if isinstance(value, str) else "json"
    return Evidence(event.seq or 0, label, form, text, tone, tuple(marks), folded=text.count("\n") > 12)


def decided_by_whom(escalation: Escalation) -> str:
    """Return who completed the question; empty when nobody did."""
    last = escalation.votes.select_related("user").order_by("-at").first()
    return name_of(last.user) if last and isinstance(last.user, User) else ""
