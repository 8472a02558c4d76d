"""Exports of the journal: asked for, followed, taken away, let go."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST, require_safe

from console import audit_query
from console.attempts import attempt, say
from console.members import MemberRequest, member_page
from console.pages import show, wants_part
from console.run_list import name_of, uuid_of
from exports import download
from exports.actions import exports
from exports.actions.exports import ALL_FORMATS, Asked
from exports.errors import ExportError
from exports.models import Export
from tenants.models import User

Json = Any

PLACE: Final = "console:audit"
PAGE: Final = 30
UNCHANGED: Final = 204

FIELDS: Final = ("format", "from", "to", "actor", "action", "subject", "run")

#: Format → what it is called and what it is for.
FORMATS: Final = {
    "bundle": ("Bundle", "a ZIP archive that proves itself offline: for auditors, and to keep"),
    "csv": ("CSV", "rows for spreadsheets; no cell is a formula"),
    "jsonl": ("JSON Lines", "rows for programs"),
    "ocsf": ("OCSF", "events for a SIEM: API Activity, version 1.5.0"),
}


class UnknownFormat(ExportError):
    """Choose a format: bundle, CSV, JSON Lines or OCSF."""

    code = "unknown_format"


@require_GET
@member_page("audit:export")
def listing(request: MemberRequest) -> HttpResponse:
    """Show the exports, and the form of a new one, narrowed as the search that led here."""
    given = {name: request.GET.get(name, "") for name in FIELDS}
    narrowed = any(given[name] for name in ("actor", "action", "subject", "run"))
    given["format"] = given["format"] or ("jsonl" if narrowed else "bundle")
    return _page(request, given | {"payloads": "yes"}, opens="of" in request.GET or any(request.GET.values()))


@require_POST
@member_page("audit:export")
def ask(request: MemberRequest) -> HttpResponse:
    """Have an export made, and lead to the page that follows it."""
    given = {name: request.POST.get(name, "").strip() for name in (*FIELDS, "payloads")}

    def act() -> Export:
        return exports.ask(_asked(given), acting_as=request.member.principal)

    made, refusal = attempt(request, act)
    if made is None:
        answer = _page(request, given, problem=str(refusal), opens=True)
        answer.status_code = refusal.status if refusal else 422
        return answer
    messages.success(request, "It is being made. You can leave this page: it goes on without you.")
    return redirect("console:export", tenant=request.member.tenant.slug, export=made.id)


@require_GET
@member_page("audit:export")
def one(request: MemberRequest, export: UUID) -> HttpResponse:
    """Show one export; a refresh that would change nothing answers 204."""
    found = _found(export)
    state = f"{found.status}.{found.percent}.{found.done}.{found.state.get('waits_for', '')}"
    if wants_part(request) and request.GET.get("shown") == state:
        return HttpResponse(status=UNCHANGED)
    context = _shown(found) | {"state": state, "tenant": request.member.tenant, "is_swap": wants_part(request)}
    if wants_part(request):
        return render(request, "console/audit/_export.html", context)
    return show(request, "console/audit/export.html", context, place=PLACE)


@require_POST
@member_page("audit:export")
def let_go(request: MemberRequest, export: UUID) -> HttpResponse:
    """Stop making it, or forget its bytes before their time."""
    found = _found(export)
    told = "The export is let go: its file is gone. That it was made stays listed."
    say(request, lambda: exports.withdraw(found.id, acting_as=request.member.principal), told)
    return redirect("console:exports", tenant=request.member.tenant.slug)


@require_safe
@member_page("audit:export")
def take(request: MemberRequest, export: UUID) -> HttpResponseBase:
    """Give the file. Each download leaves a record."""
    found = _found(export)
    answer, refusal = attempt(request, lambda: download.answer(request, found.id, acting_as=request.member.principal))
    if answer is None:
        messages.error(request, str(refusal))
        return redirect("console:export", tenant=request.member.tenant.slug, export=found.id)
    return answer


def _found(export_id: UUID) -> Export:
    found = Export.objects.filter(id=export_id).first()
    if found is None:
        raise Http404
    return found


def _asked(given: Mapping[str, str]) -> Asked:
    """Read the form. Raises `Unreadable`, `UnknownMember`, `UnknownFormat`."""
    if given["format"] not in ALL_FORMATS:
        raise UnknownFormat
    return Asked(
        given["format"],
        since=audit_query.day(given["from"]),
        until=audit_query.day(given["to"], 1),
        filter=audit_query.narrowing(given),
        payloads=given["payloads"] == "yes",
    )


def _page(request: MemberRequest, given: Mapping[str, str], *, opens: bool, problem: str = "") -> HttpResponse:
    before = uuid_of(request.GET.get("before", ""))
    rows = Export.objects.order_by("-id")
    some = list((rows.filter(id__lt=before) if before else rows)[: PAGE + 1])
    listed = some[:PAGE]
    context = {
        "exports": [(each, FORMATS[each.format][0], _period(each)) for each in listed],
        "older": listed[-1].id if len(some) > PAGE else None,
        "is_later": before is not None,
        "formats": FORMATS.items(),
        "given": given,
        "opens": opens or not listed,
        "problem": problem,
        "days_kept": exports.KEPT.days,
    }
    return show(request, "console/audit/exports.html", context, place=PLACE)


def _shown(export: Export) -> dict[str, Json]:
    person = uuid_of(export.asked_by.removeprefix("user:"))
    asker = User.objects.filter(id=person).first() if person else None
    file = download.name_of(export.id, export.format)
    return {
        "export": export,
        "form": FORMATS[export.format],
        "period": _period(export),
        "asked_by": name_of(asker) if asker else export.asked_by,
        "is_open": export.status in exports.OPEN,
        "verify": f"python -m audit.verify {file} --key log.vkey",
        "verify_zipapp": f"python audit-verify.pyz {file} --key log.vkey",
    }


def _period(export: Export) -> str:
    """Return the period in words, days in UTC, both included, where its ends are days."""
    if export.since is None and export.until is None:
        return "all of it"
    since = f"from {_words(export.since)}" if export.since else "from the beginning"
    if export.until is None:
        return f"{since} until it was asked for"
    last = export.until - timedelta(days=1) if _is_day(export.until) else export.until
    return f"{since} to {_words(last)}"


def _is_day(moment: datetime) -> bool:
    return f"{moment:%H:%M:%S.%f}" == "00:00:00.000000"


def _words(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d}" if _is_day(moment) else f"{moment:%Y-%m-%d %H:%M} UTC"
