"""What a letter says: kind, agent, queue, due time and a link of each question. Nothing of what it is about.

Made when it is sent, of how things are then: what was decided or withdrawn meanwhile is left out, and so is what the
reader may decide no more, has voted on, or what was given to somebody else.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.mail import EmailMessage
from django.template.loader import render_to_string
from django.urls import reverse

from agents.models import Agent
from config.email import CONSOLE, OFF
from escalations.models import Escalation
from notices.kinds import KINDS, OF_OPEN
from notices.models import Letter, Notice, Preference
from notices.recipients import is_still_so, is_still_theirs
from tenants.models import Membership, Tenant

#: Questions that a letter names; of more it gives the number and the way to the inbox.
MOST: Final = 50

#: A question's kind, for people.
ASKED: Final = {
    "tool_call": "a tool call to approve",
    "output": "an output to confirm",
    "question": "a question to answer",
    "budget": "a budget to extend",
    "reconcile": "an outcome to reconcile",
    "appeal": "an appeal to decide",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One question. why: of `KINDS`, in words; asked: what is wanted; due: on the reader's clock, or None."""

    why: str
    asked: str
    agent: str
    queue: str | None
    due: datetime | None
    link: str


def mail_is_on() -> bool:
    """Say whether there is a mail server: without one (`EMAIL_URL` off, or printing) nobody is written to."""
    return settings.EMAIL_BACKEND not in {OFF, CONSOLE}


def compose(letter: Letter) -> EmailMessage | None:
    """Return the letter, in its tenant's scope; None when there is nothing left to tell or nobody to tell it to."""
    member = Membership.objects.filter(user_id=letter.user_id, is_active=True, user__is_active=True)
    person = member.select_related("user").first()
    told = _told(letter.notices.all(), letter.user_id) if person is not None else []
    if person is None or not told:
        return None
    slug = Tenant.objects.only("slug").get(id=letter.tenant_id).slug
    wish = Preference.objects.filter(user_id=letter.user_id).first() or Preference()
    zone = ZoneInfo(wish.time_zone)
    agents = dict(Agent.objects.filter(id__in={each.agent_id for _, each in told}).values_list("id", "slug"))
    lines = [_line(kind, each, slug, agents, zone) for kind, each in told[:MOST]]
    context = {
        "lines": lines,
        "count": len(told),
        "more": len(told) - len(lines),
        "host": settings.BASE_URL,
        "inbox": _address("console:inbox", tenant=slug),
        "settings": _address("console:notices", tenant=slug),
        "zone": wish.time_zone,
    }
    subject = " ".join(render_to_string("notices/email/letter_subject.txt", context).split())
    text = render_to_string("notices/email/letter_message.txt", context).strip() + "\n"
    # The same at every attempt: a mail system that has it already drops what a worker's death made it get twice.
    headers = {
        "Message-ID": f"<{letter.id}@{urlsplit(settings.BASE_URL).hostname}>",
        "Auto-Submitted": "auto-generated",
    }
    return EmailMessage(subject, text, to=[person.user.email], headers=headers)


def _told(notices: Iterable[Notice], user_id: UUID) -> list[tuple[str, Escalation]]:
    """Return each question that is still as its notices say, with the most telling kind; the most urgent first."""
    rank = list(KINDS)
    among = sorted(notices, key=lambda notice: rank.index(notice.kind))
    found = {each.id: each for each in Escalation.objects.filter(id__in={each.escalation_id for each in among})}
    told: dict[tuple[UUID, bool], tuple[str, Escalation]] = {}
    for each in among:
        escalation, of = found.get(each.escalation_id), (each.escalation_id, each.kind in OF_OPEN)
        if escalation is None or of in told or not is_still_so(each.kind, escalation):
            continue
        if is_still_theirs(each.kind, escalation, user_id):
            told[of] = each.kind, escalation
    return sorted(told.values(), key=lambda each: (each[0] == "decided", -each[1].urgency, str(each[1].id)))


def _line(kind: str, escalation: Escalation, slug: str, agents: dict[UUID, str], zone: ZoneInfo) -> Line:
    if kind == "decided":
        link, due = _address("console:run", tenant=slug, run=str(escalation.run_id)), None
    else:
        link, due = _address("console:inbox_item", tenant=slug, escalation=str(escalation.id)), escalation.due_at
    return Line(
        why=KINDS[kind],
        asked=ASKED[escalation.kind],
        agent=agents[escalation.agent_id],
        queue=escalation.queue,
        due=due.astimezone(zone) if due else None,
        link=link,
    )


def _address(name: str, **named: str) -> str:
    return str(settings.BASE_URL).rstrip("/") + reverse(name, kwargs=named)
