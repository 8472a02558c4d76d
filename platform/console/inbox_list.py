"""The list of the inbox: its views, its order and its pages, read in the tenant's scope."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import QuerySet
from django.http import QueryDict
from django.utils import timezone

from agents.models import Agent, Run
from agents.presenters import proposal_json, with_names
from audit import journal
from console import inbox_text, wording
from console.inbox_text import Due
from console.members import Member
from console.run_list import name_of, uuid_of
from escalations import risk
from escalations.inbox import behind, needing, pressing, ranked
from escalations.models import Escalation
from escalations.permissions import visible
from tenants.models import User

Json = Any

PAGE: Final = 50

#: More than this many are not counted out.
MOST_COUNTED: Final = 99

#: view → what it is called. The first one that a member has is shown when none is asked for.
VIEWS: Final[Mapping[str, str]] = {"mine": "Needs me", "risk": "High risk", "open": "All open", "decided": "Decided"}

KINDS: Final = tuple(wording.ASKED)


@dataclass(frozen=True, slots=True)
class Filters:
    """What the list is narrowed to. after: show what stands behind this question."""

    view: str = "mine"
    kind: str = ""
    agent: str = ""
    after: UUID | None = None

    @classmethod
    def of(cls, query: QueryDict, member: Member) -> "Filters":
        """Read the address; what makes no sense there narrows nothing."""
        views = views_of(member)
        view, kind = query.get("view", ""), query.get("kind", "")
        return cls(
            view if view in views else views[0],
            kind if kind in KINDS else "",
            query.get("agent", "")[:63],
            uuid_of(query.get("after", "")),
        )

    @property
    def narrowed(self) -> bool:
        """Say whether anything but view and page is chosen."""
        return bool(self.kind or self.agent)

    @property
    def query(self) -> str:
        """Return the address's query."""
        chosen = {"view": self.view, "kind": self.kind, "agent": self.agent, "after": self.after}
        return urlencode({name: str(value) for name, value in chosen.items() if value})

    @property
    def first(self) -> str:
        """Return the query of the first page."""
        return replace(self, after=None).query


@dataclass(frozen=True, slots=True)
class Line:
    """One question in the list, ready to render. token: its id and digest, as a choice of it sends them.

    holder: who is at it or was given it; empty for nobody.
    """

    id: UUID
    risk: str
    title: str
    summary: str
    agent: str
    version: int
    requested_at: datetime
    due: Due
    ended: str
    token: str
    holder: str


@dataclass(frozen=True, slots=True)
class Tab:
    """A view to choose. count: how many are in it, in words; empty where it is not counted."""

    view: str
    label: str
    query: str
    count: str


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the list. digest: changes when anything on it does. more: the query of the next page, or nothing."""

    lines: list[Line]
    tabs: list[Tab]
    digest: str
    more: str
    waiting: str


def views_of(member: Member) -> list[str]:
    """Return the views a member has: who may not decide needs none of what needs them."""
    return [view for view in VIEWS if view in {"open", "decided"} or member.can("escalations:decide")]


def waiting(member: Member) -> str:
    """Return how many questions need this member, in words; empty for none."""
    return _counted(needing(member.principal))


def page(filters: Filters, member: Member, *, shown: UUID | None = None) -> Page:
    """Return the page of the tenant in scope. shown: the question that is open beside it, to follow how it stands."""
    found = _chosen(filters, member)
    if filters.after:
        last = _of_view(filters.view, member).filter(id=filters.after).first()
        found = _later(found, filters, last) if last else found
    some = list(found[: PAGE + 1])
    listed = some[:PAGE]
    lines = lines_of(listed)
    tabs = [_tab(view, filters, member) for view in views_of(member)]
    status = visible(member.principal).filter(id=shown).values_list("status", flat=True).first() if shown else ""
    told = "".join(f"{line.id}{line.due.words}{line.ended}{line.holder}" for line in lines) + "".join(
        tab.count for tab in tabs
    )
    digest = hashlib.sha256(f"{told}{len(some)}{status}".encode()).hexdigest()[:16]
    more = replace(filters, after=listed[-1].id).query if len(some) > PAGE else ""
    return Page(lines, tabs, digest, more, waiting(member))


def glance(member: Member, lines: int) -> str:
    """Return what changes when the first lines of the inbox as it opens do; empty for a role without an inbox."""
    if not member.can("escalations:read"):
        return ""
    found, now = _of_view(views_of(member)[0], member), timezone.now()
    columns = ("id", "risk", "claimed_by_id", "assignee_id", "due_at")
    return repr([(*row[:4], inbox_text.due(row[4], now).words) for row in found.values_list(*columns)[:lines]])


def next_after(filters: Filters, member: Member, decided: Escalation) -> UUID | None:
    """Return the question to look at once `decided` is done: the one that stood behind it, else the first."""
    found = _chosen(replace(filters, after=None), member).exclude(id=decided.id)
    if filters.view != "decided":
        last = ranked(Escalation.objects.filter(id=decided.id)).get()
        later = behind(found, last).values_list("id", flat=True).first()
        if later:
            return later
    return found.values_list("id", flat=True).first()


def first_of(filters: Filters, member: Member) -> UUID | None:
    """Return the first question of the list."""
    return _chosen(replace(filters, after=None), member).values_list("id", flat=True).first()


def agents() -> list[str]:
    """Return the slugs of the tenant's agents."""
    return list(Agent.objects.order_by("slug").values_list("slug", flat=True))


def _of_view(view: str, member: Member) -> QuerySet[Escalation]:
    if view == "decided":
        return ranked(visible(member.principal).exclude(status="open")).order_by("-requested_at", "-id")
    if view == "open":
        return ranked(visible(member.principal).filter(status="open"))
    found = ranked(needing(member.principal))
    return pressing(found) if view == "risk" else found


def _chosen(filters: Filters, member: Member) -> QuerySet[Escalation]:
    found = _of_view(filters.view, member)
    if filters.kind:
        found = found.filter(kind=filters.kind)
    if filters.agent:
        found = found.filter(agent_id__in=Agent.objects.filter(slug=filters.agent).values("id"))
    return found


def _later(found: QuerySet[Escalation], filters: Filters, last: Escalation) -> QuerySet[Escalation]:
    if filters.view == "decided":
        return found.filter(requested_at__lte=last.requested_at).exclude(
            requested_at=last.requested_at, id__gte=last.id
        )
    return behind(found, last)


def _tab(view: str, filters: Filters, member: Member) -> Tab:
    count = "" if view == "decided" else _counted(_of_view(view, member)) or "0"
    return Tab(view, VIEWS[view], replace(filters, view=view, after=None).query, count)


def _counted(found: QuerySet[Escalation]) -> str:
    count = found.order_by()[: MOST_COUNTED + 1].count()
    return f"{MOST_COUNTED}+" if count > MOST_COUNTED else str(count) if count else ""


def lines_of(listed: list[Escalation]) -> list[Line]:
    """Return questions ready to render, in their order; in the tenant's scope."""
    now = timezone.now()
    asked = journal.payloads_at(each.place for each in listed)
    runs = {run.id: run for run in with_names(Run.objects.filter(id__in={each.run_id for each in listed}))}
    holders = User.objects.in_bulk({_holder(each) for each in listed} - {None})
    return [
        _line(each, asked.get(each.place) or {}, runs[each.run_id], holders.get(_holder(each)), now) for each in listed
    ]


def _holder(escalation: Escalation) -> UUID | None:
    return escalation.claimed_by_id or escalation.assignee_id if escalation.status == "open" else None


def _line(escalation: Escalation, asked: Mapping[str, Json], run: Run, holder: User | None, now: datetime) -> Line:
    proposal = proposal_json(asked.get("proposal") or {})
    return Line(
        id=escalation.id,
        risk=risk.word(escalation.risk),
        title=inbox_text.title(escalation.kind, escalation.reason, proposal),
        summary=inbox_text.summary(escalation.kind, str(asked.get("detail") or ""), proposal),
        agent=run.agent.slug,
        version=run.version.number,
        requested_at=escalation.requested_at,
        due=inbox_text.due(escalation.due_at, now) if escalation.status == "open" else Due(""),
        ended=ended(escalation),
        token=f"{escalation.id}:{escalation.digest}",
        holder=name_of(holder) if holder else "",
    )


def ended(escalation: Escalation) -> str:
    """Return how it ended, in a word; empty while it is open."""
    if escalation.status == "open":
        return ""
    return inbox_text.DECIDED.get(escalation.decision or "", inbox_text.ENDED.get(escalation.status, escalation.status))
