"""The journal, for those who answer for it. Each reading leaves a record of its own."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.views.decorators.http import require_GET, require_safe

from agents.models import Run
from agents.presenters import payload_json
from audit import proving, search
from audit.exports.errors import NothingSealed
from audit.models import Record
from audit.proving import NotSealedYet
from audit.search import Wanted
from console import audit_log, audit_query, wording
from console.audit_query import Unreadable
from console.events import pretty
from console.members import MemberRequest, member_page
from console.pages import show
from console.run_list import name_of, uuid_of
from tenants.errors import TenantError
from tenants.models import User

Json = Any

PAGE: Final = 50

#: What narrows an export as it does a search.
EXPORTED: Final = ("actor", "action", "subject", "run", "from", "to")


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
        "newest": _without(request.GET, "before") if before else "",
        "may_export": request.member.can("audit:export"),
        "export": _export(request.GET) if request.member.can("audit:export") else "",
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
        "leaf": audit_log.place_of(found),
    }
    return show(request, "console/audit/record.html", context, place="console:audit")


@require_safe
@member_page("audit:read")
def proof(request: MemberRequest, record: UUID) -> HttpResponse:
    """Give the record's proof as a file (C2SP tlog-proof); the page of the record says how to check it."""
    found = Record.objects.filter(id=record).first()
    if found is None:
        raise Http404
    try:
        _, proven, _ = proving.proof_of(found.tenant_id, found.id)
    except (NothingSealed, NotSealedYet) as error:
        messages.error(request, str(error))
        return redirect("console:audit_record", tenant=request.member.tenant.slug, record=found.id)
    search.leave_record(actor=request.member.principal.actor, facts={"record": str(found.id), "proof": True})
    named = {"Content-Disposition": f'attachment; filename="record-{found.id}.tlog-proof"'}
    return HttpResponse(proven.text, content_type="text/plain; charset=utf-8", headers=named)


def _without(given: QueryDict, name: str) -> str:
    rest = given.copy()
    rest.pop(name, None)
    return rest.urlencode() or "newest"


def _export(given: QueryDict) -> str:
    """Return the query of an export of what is searched for; none for words alone, which narrow no export."""
    narrowed = urlencode({name: given[name] for name in EXPORTED if given.get(name)})
    return narrowed or ("" if given.get("q") else "of=all")


def _wanted(given: QueryDict) -> tuple[Wanted, str]:
    """Return what is asked for, and what cannot be read of it in a sentence."""
    try:
        return audit_query.wanted(given), ""
    except (TenantError, Unreadable) as error:
        return Wanted(), str(error)


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
