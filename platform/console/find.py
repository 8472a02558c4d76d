"""What the palette finds: agents and tools by their names, runs and questions by their ids."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.db.models import QuerySet
from django.urls import reverse

from agents.models import Agent, Run, Tool
from console import agent_pages, wording
from console.members import Member
from console.run_list import uuid_of
from escalations.permissions import visible

#: How many of each kind are shown.
EACH: Final = 5

#: How far back the end of an id, as pages show it, is looked for.
RECENT: Final = 2000

_END: Final = re.compile("[0-9a-f]{4,12}")


@dataclass(frozen=True, slots=True)
class Found:
    """One result, ready to render."""

    label: str
    note: str
    icon: str
    address: str


def find(words: str, member: Member) -> list[Found]:
    """Return what is called so in the tenant in scope and the member may open."""
    words = words.strip().strip("…").lower()
    if not words:
        return []
    return [*_runs(words, member), *_questions(words, member), *_agents(words, member), *_tools(words, member)]


def _agents(words: str, member: Member) -> Iterator[Found]:
    named = words.removeprefix("stop").strip()
    known = Agent.objects.filter(slug__icontains=named).order_by("slug")
    for slug, stopped_at in known.values_list("slug", "stopped_at")[:EACH]:
        yield Found(slug, "agent", "bot", _address(member, "agent", slug=slug))
        if stopped_at is None and agent_pages.may_edit(slug, member):
            yield Found(
                f"Stop {slug}",
                "shows first how many runs it ends",
                "octagon-x",
                _address(member, "agent_stop", slug=slug),
            )


def _tools(words: str, member: Member) -> Iterator[Found]:
    known = Tool.objects.exclude(live=None).filter(name__icontains=words)
    for name in known.order_by("name").values_list("name", flat=True)[:EACH]:
        yield Found(name, "tool", "wrench", _address(member, "tool", name=name))


def _runs(words: str, member: Member) -> Iterator[Found]:
    recent = Run.objects.order_by("-id").values_list("id", flat=True)
    for run in Run.objects.filter(id__in=_meant(words, recent)).select_related("agent").order_by("-id")[:EACH]:
        status = wording.status(run.status, run.waiting_for)
        address = _address(member, "run", run=run.id)
        yield Found(f"{run.agent.slug} …{str(run.id)[-8:]}", f"run, {status.lower()}", "activity", address)


def _questions(words: str, member: Member) -> Iterator[Found]:
    if not member.can("escalations:read"):
        return
    seen = visible(member.principal)
    meant = _meant(words, seen.order_by("-requested_at", "-id").values_list("id", flat=True))
    for each in seen.filter(id__in=meant).order_by("-requested_at")[:EACH]:
        asked = wording.ASKED.get(each.kind, "A decision")
        yield Found(asked, each.status, "inbox", _address(member, "inbox_item", escalation=each.id))


def _meant(words: str, recent: QuerySet[Any, UUID]) -> list[UUID]:
    whole = uuid_of(words)
    if whole is not None:
        return [whole]
    if not _END.fullmatch(words):
        return []
    return [each for each in recent[:RECENT] if str(each).endswith(words)]


def _address(member: Member, view: str, **ids: object) -> str:
    return reverse(f"console:{view}", kwargs={"tenant": member.tenant.slug, **ids})
