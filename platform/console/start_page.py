"""The page one arrives at: what to do next, what waits, what goes on. Read in the tenant's scope."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from django.urls import reverse

from agents.models import Agent, Run
from console import agent_pages, inbox_list, run_list
from console.members import Member
from quotas.models import Budget
from tenants.models import ApiKey, Membership

#: How many lines of each list are shown.
LINES: Final = 5

#: How many next steps are shown.
STEPS: Final = 4

#: What goes on, the most telling first.
_GOING: Final = ("waiting", "running", "queued")


@dataclass(frozen=True, slots=True)
class Next:
    """Something to do next. label: of the link to `address`; both are empty where it is done elsewhere."""

    icon: str
    title: str
    text: str
    label: str
    address: str


@dataclass(frozen=True, slots=True)
class Now:
    """What stands now. digest: `glance`."""

    steps: list[Next]
    questions: list[inbox_list.Line]
    more_questions: bool
    runs: list[run_list.Line]
    more_runs: bool
    may_see_inbox: bool
    digest: str


def glance(member: Member) -> str:
    """Return what changes when the questions or the runs that the page shows do, at the cost of three short queries."""
    going = list(Run.objects.order_by("-id").values_list("id", "status", "waiting_for", "cost_nano")[: run_list.PAGE])
    told = [
        *going[: LINES + 1],
        *(run[:3] for run in going[LINES + 1 :]),
        len(going),
        inbox_list.glance(member, LINES + 1),
    ]
    return hashlib.sha256(repr(told).encode()).hexdigest()[:16]


def now(member: Member, supplier: str) -> Now:
    """Return what the page shows this member. supplier: who answers for the model (`pages.supplier`)."""
    digest = glance(member)  # before what it stands for is read, so that a change meanwhile is seen the next time
    inbox = _inbox(member)
    runs = run_list.page(run_list.Filters())
    steps = list(_steps(member, supplier, inbox, runs.lines))[:STEPS]
    return Now(
        steps=steps,
        questions=inbox.lines[:LINES] if inbox else [],
        more_questions=bool(inbox and len(inbox.lines) > LINES),
        runs=runs.lines[:LINES],
        more_runs=len(runs.lines) > LINES,
        may_see_inbox=inbox is not None,
        digest=digest,
    )


def _inbox(member: Member) -> inbox_list.Page | None:
    """Return the member's inbox as it opens; none for a role without one."""
    if not member.can("escalations:read"):
        return None
    return inbox_list.page(inbox_list.Filters(inbox_list.views_of(member)[0]), member)


def _steps(member: Member, supplier: str, inbox: inbox_list.Page | None, runs: list[run_list.Line]) -> Iterator[Next]:
    """Yield what makes sense for this member to do, the most pressing first; only what their role may do."""
    agent = Agent.objects.exclude(live=None).order_by("-updated_at").values_list("slug", flat=True).first()
    if inbox and inbox.lines and member.can("escalations:decide"):
        first = inbox.lines[0]
        yield Next(
            "user-check",
            f"Decide: {first.title}",
            f"{first.agent} waits for a person, and does nothing of it before the answer.",
            "Open the question",
            _at("inbox_item", member, escalation=first.id),
        )
    if supplier == "missing" and member.can("admin"):
        yield Next(
            "unplug",
            "Give the platform a model",
            "No run can ask one: set ANTHROPIC_API_KEY where the platform is started, or ANTHROPIC_BASE_URL.",
            "",
            "",
        )
    yield from _watching(member, runs)
    yield from _building(member, agent)
    yield from _proving(member)


def _watching(member: Member, runs: list[run_list.Line]) -> Iterator[Next]:
    going = sorted(
        (run for run in runs if run.status in _GOING), key=lambda run: (_GOING.index(run.status), -run.id.int)
    )
    if going:
        yield Next(
            "activity",
            f"Watch {going[0].agent} at work",
            "Each step shows up as it is taken: what the model said, what was called, what was checked, what it cost.",
            "Open the live run",
            _at("run", member, run=going[0].id),
        )
    elif member.can("runs:write") and (agent := agent_pages.runnable(member)):
        yield Next(
            "play",
            f"Start a run of {agent.slug}",
            "Give it an input and watch what it does with it.",
            "Start a run",
            _at("agent_run", member, slug=agent.slug),
        )
    elif runs:
        yield Next(
            "activity",
            f"Follow what {runs[0].agent} did",
            "A run shows each step it took, and why.",
            "Open the latest run",
            _at("run", member, run=runs[0].id),
        )


def _building(member: Member, agent: str | None) -> Iterator[Next]:
    if member.can("agents:write") and agent:
        yield Next(
            "bot",
            f"Look at what {agent} is told",
            "Change its draft and see the prompt it makes, before any run uses it.",
            "Open its draft",
            _at("agent_draft", member, slug=agent),
        )
    elif member.can("agents:write"):
        yield Next(
            "bot",
            "Make the first agent",
            "A role, what it must not do, the tools it may call, and when a person decides.",
            "New agent",
            _at("agent_new", member),
        )
    if member.can("admin") and Membership.objects.filter(user__is_service=False)[:2].count() == 1:
        yield Next(
            "users",
            "Invite the others",
            "Whoever asks for something cannot approve it: a second person has to.",
            "Invite somebody",
            _at("members", member),
        )
    if member.can("keys:write") and not ApiKey.objects.filter(principal_id=member.user.id, revoked_at=None).exists():
        yield Next(
            "code-xml",
            "Start runs from your own program",
            "Make a key, then paste the example: one request starts a run, one more reads what came of it.",
            "Developers",
            _at("developers", member),
        )


def _proving(member: Member) -> Iterator[Next]:
    if member.can("audit:read"):
        yield Next(
            "scroll-text",
            "See who decided what",
            "Every step, decision and change stands in one journal that nobody can alter unseen.",
            "Open the audit",
            _at("audit", member),
        )
    if member.can("agents:write") and member.can("usage:read") and not Budget.objects.exclude(name=None).exists():
        yield Next(
            "gauge",
            "Set a budget",
            "When it is used up, runs ask a person instead of spending on.",
            "Set one",
            _at("budget_new", member),
        )
    if not member.can("runs:write") and not member.can("escalations:decide"):
        yield Next(
            "bot",
            "Look at the agents",
            "What each one is for, what it may use, and how its runs ended lately.",
            "See the agents",
            _at("agents", member),
        )


def _at(view: str, member: Member, **variables: Any) -> str:
    return reverse(f"console:{view}", kwargs={"tenant": member.tenant.slug, **variables})
