"""The list of runs: its filters, its order and its pages."""

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from urllib.parse import urlencode
from uuid import UUID

from django.conf import settings
from django.http import QueryDict

from agents.core.lifecycle import TERMINAL
from agents.models import Agent, Run
from agents.presenters import with_names
from console import wording
from tenants.models import User

PAGE: Final = 50

#: What can be chosen as status, in the order shown.
STATUSES: Final = ("queued", "running", "waiting", "completed", "failed", "cancelled")


FIRST_COMMAND: Final = (
    "curl -X POST {base}/api/v1/runs \\\n"
    '  -H "Authorization: Bearer $COUNTERSIGN_KEY" \\\n'
    '  -H "Content-Type: application/json" \\\n'
    '  -H "Idempotency-Key: $(uuidgen)" \\\n'
    '  -d \'{{"agent": "NAME", "input": {{}}}}\''
)


@dataclass(frozen=True, slots=True)
class Filters:
    """What the list is narrowed to. before: show what is older than this run, newest first."""

    status: str = ""
    agent: str = ""
    before: UUID | None = None

    @classmethod
    def of(cls, query: QueryDict) -> "Filters":
        """Read the address; what makes no sense there narrows nothing."""
        status = query.get("status", "")
        return cls(status if status in STATUSES else "", query.get("agent", "")[:63], uuid_of(query.get("before", "")))

    @property
    def narrowed(self) -> bool:
        """Say whether anything but the page is chosen."""
        return bool(self.status or self.agent)

    @property
    def query(self) -> str:
        """Return the address's query."""
        chosen = {"status": self.status, "agent": self.agent, "before": self.before}
        return urlencode({name: str(value) for name, value in chosen.items() if value})

    @property
    def newest(self) -> str:
        """Return the query of the first page."""
        return replace(self, before=None).query


def uuid_of(text: str) -> UUID | None:
    """Return the id that `text` is, or None."""
    try:
        return UUID(text)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class Line:
    """One run in the list, ready to render. since: when it began, while it goes on and no person is waited for."""

    id: UUID
    agent: str
    version: int
    principal: str
    status: str
    words: str
    icon: str
    doing: str
    created_at: datetime
    lasted: str
    since: datetime | None
    cost: str
    error: str


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the list. digest: changes when anything on it does. older: the query of the next page, or nothing.

    first_command: how a run is started, for those who have none yet.
    """

    lines: list[Line]
    digest: str
    older: str
    first_command: str


def page(filters: Filters) -> Page:
    """Return the page of the tenant in scope."""
    found = with_names(Run.objects.prefetch_related("principal")).order_by("-id")
    if filters.status:
        found = found.filter(status=filters.status)
    if filters.agent:
        found = found.filter(agent__slug=filters.agent)
    if filters.before:
        found = found.filter(id__lt=filters.before)
    some = list(found[: PAGE + 1])
    shown = some[:PAGE]
    state = "".join(f"{run.id}{run.seq}{run.status}" for run in shown)
    return Page(
        [_line(run) for run in shown],
        hashlib.sha256(f"{state}{len(some)}".encode()).hexdigest()[:16],
        replace(filters, before=shown[-1].id).query if len(some) > PAGE else "",
        "" if shown else FIRST_COMMAND.format(base=settings.BASE_URL),
    )


def agents() -> list[str]:
    """Return the slugs of the tenant's agents."""
    return list(Agent.objects.order_by("slug").values_list("slug", flat=True))


def _line(run: Run) -> Line:
    over = run.status in TERMINAL
    return Line(
        id=run.id,
        agent=run.agent.slug,
        version=run.version.number,
        principal=name_of(run.principal),
        status=run.status,
        words=wording.status(run.status, run.waiting_for),
        icon=wording.status_icon(run.status, run.waiting_for),
        doing=run.doing or "" if run.status == "running" else "",
        created_at=run.created_at,
        lasted=wording.duration(run.ended_at - run.created_at) if over and run.ended_at else "",
        since=None if over else run.created_at,
        cost=wording.usd(run.cost_nano) if run.cost_nano else "",
        error=wording.code(run.error_code) if run.error_code else "",
    )


def name_of(user: User) -> str:
    """Return what a person or a service is called."""
    return user.name or user.email.partition("@")[0] if user.is_service else user.email
