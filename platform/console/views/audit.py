"""The journal, for those who answer for it. Each reading leaves a record of its own."""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import Any, Final
from uuid import UUID

from django.http import Http404, HttpResponse, QueryDict
from django.utils.dateparse import parse_date
from django.views.decorators.http import require_GET

from agents.core.events import BY_ACTION
from agents.models import Run
from agents.presenters import payload_json
from audit import search, terms
from audit.models import Record
from audit.search import Wanted
from console import wording
from console.events import pretty
from console.members import MemberRequest, member_page
from console.pages import show
from console.run_list import name_of, uuid_of
from tenants.actions import members
from tenants.errors import UnknownMember
from tenants.models import User

Json = Any

PAGE: Final = 50

_ACTION: Final = re.compile(r"[a-z_]{1,60}\.[a-z_]{1,60}")
_OPAQUE: Final = re.compile(r"engine|anonymous|[a-z_]{1,40}:[A-Za-z0-9_-]{1,80}")


@dataclass(frozen=True, slots=True)
class Line:
    """A record, ready to render. run: whether its stream is a run."""

    id: UUID
    at: datetime
    action: str
    words: str
    who: str
    about: str
    stream: UUID
    seq: int | None
    outcome: str


@require_GET
@member_page("audit:read")
def records(request: MemberRequest) -> HttpResponse:
    """Search the journal, newest first."""
    wanted, problem = _wanted(request.GET)
    before = uuid_of(request.GET.get("before", ""))
    some = [] if problem else search.page(wanted, before=before, limit=PAGE + 1)
    query = request.GET.copy()
    query["before"] = str(some[PAGE - 1].id) if len(some) > PAGE else ""
    if not problem:
        facts = {"filters": wanted.facts(), "count": len(some[:PAGE]), "first": before is None}
        search.leave_record(actor=request.member.principal.actor, facts=facts)
    context = {
        "lines": _lines(some[:PAGE]),
        "given": request.GET,
        "problem": problem,
        "older": query.urlencode() if len(some) > PAGE else "",
    }
    return show(request, "console/audit/records.html", context, place="console:audit")


@require_GET
@member_page("audit:read")
def record(request: MemberRequest, record: UUID) -> HttpResponse:
    """Show one record, with what it commits to."""
    found = Record.objects.filter(id=record).first()
    if found is None:
        raise Http404
    payload = search.payload_of(found)
    value = json.loads(payload.value) if payload is not None and request.member.sees_payloads else None
    shown = payload_json(value) if isinstance(value, dict) else value
    search.leave_record(actor=request.member.principal.actor, facts={"record": str(found.id)})
    [line] = _lines([found])
    context = {
        "line": line,
        "is_run": found.seq is not None and Run.objects.filter(id=found.stream).exists(),
        "facts": pretty(found.facts),
        "payload": "" if shown is None else pretty(shown),
        "erased": found.commitment is not None and payload is None,
        "commitment": bytes(found.commitment).hex() if found.commitment is not None else "",
    }
    return show(request, "console/audit/record.html", context, place="console:audit")


def _wanted(given: QueryDict) -> tuple[Wanted, str]:
    """Return what is asked for, and what cannot be read of it in a sentence."""
    action, run = given.get("action", "").strip(), given.get("run", "").strip()
    try:
        if action and not _ACTION.fullmatch(action):
            raise ValueError("Write a type of record, such as agent.published.")
        if run and uuid_of(run) is None:
            raise ValueError("Write the whole id of a run.")
        wanted = Wanted(
            actor=_who(given.get("actor", "").strip()),
            action=action or None,
            beyond_runs=bool(action) and action not in BY_ACTION,
            subject=_who(given.get("subject", "").strip()),
            run=uuid_of(run),
            since=_day(given.get("from", ""), time.min),
            until=_day(given.get("to", ""), time.max),
            text=_words(given.get("q", "")),
        )
    except (UnknownMember, ValueError) as error:
        return Wanted(), str(error)
    return wanted, ""


def _who(text: str) -> str | None:
    if not text:
        return None
    if "@" in text:
        return f"user:{members.any_by_email(text).user_id}"
    if not _OPAQUE.fullmatch(text):
        raise ValueError("Write a member's e-mail address, engine, or an opaque id such as key:….")
    return text


def _words(text: str) -> tuple[str, ...]:
    found = terms.words(text)
    if len(found) > terms.MOST_WORDS:
        raise ValueError(f"Write {terms.MOST_WORDS} words at most.")
    return tuple(found)


def _day(text: str, at: time) -> datetime | None:
    if not text:
        return None
    day = parse_date(text)
    if day is None:
        raise ValueError("Write a day as 2030-01-31.")
    return datetime.combine(day, at, UTC)


def _lines(found: list[Record]) -> list[Line]:
    named = {each.actor for each in found} | {each.subject or "" for each in found}
    ids = {each.removeprefix("user:") for each in named if each.startswith("user:")}
    people = {f"user:{user.id}": name_of(user) for user in User.objects.filter(id__in=ids)}
    return [
        Line(
            id=each.id,
            at=each.at,
            action=each.action,
            words=wording.code(each.action.replace(".", " ")).capitalize(),
            who=people.get(each.actor, each.actor),
            about=people.get(each.subject or "", each.subject or ""),
            stream=each.stream,
            seq=each.seq,
            outcome=each.outcome,
        )
        for each in found
    ]
