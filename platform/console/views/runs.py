"""The runs of a tenant, and one of them."""

from uuid import UUID

from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from agents.presenters import event_json
from audit import journal
from console import run_list, run_page, run_record, run_tree
from console.events import pretty
from console.members import MemberRequest, member_page
from console.pages import show, wants_part
from console.run_list import Filters
from console.run_view import (
    conversation_context,
    detail_context,
    events_context,
    head_context,
    rows_context,
    run_context,
)
from tenants.actions import saved_views

UNCHANGED = 204


@require_GET
@member_page("runs:read")
def listing(request: MemberRequest) -> HttpResponse:
    """Show the list; a refresh that would change nothing answers 204 and the page stays as it is."""
    filters = Filters.of(request.GET)
    page = run_list.page(filters)
    if wants_part(request) and request.GET.get("shown") == page.digest:
        return HttpResponse(status=UNCHANGED)
    context = {"tenant": request.member.tenant, "filters": filters, "page": page, "statuses": run_list.STATUSES}
    if wants_part(request):
        return render(request, "console/runs/_list.html", context)
    context |= {"agents": run_list.agents(), "saved": saved_views.saved("runs", request.member.user.id)}
    return show(request, "console/runs/list.html", context, place="console:runs")


@require_GET
@member_page("runs:read")
def timeline(request: MemberRequest, run: UUID) -> HttpResponse:
    """Show a run as its steps; `?step=` opens one, `?upto=` shows an earlier part."""
    found, step = run_page.run_of(run), _number(request, "step")
    span = run_page.Span.of(found, upto=_number(request, "upto"), step=step)
    if wants_part(request):
        return render(request, "console/runs/_rows.html", rows_context(request.member, found, span))
    context = run_context(request.member, found, span, step=step)
    context["guiding"] = request.GET.get("do") == "guide" and context["acts"].may_guide
    return show(request, "console/runs/run.html", context, place="console:runs")


@require_GET
@member_page("runs:read")
def step(request: MemberRequest, run: UUID, seq: int) -> HttpResponse:
    """Show one step in full, as the panel beside the timeline."""
    found = run_page.run_of(run)
    context = detail_context(request.member, found, run_page.Span.of(found, step=seq), seq)
    if context["detail"] is None:
        raise Http404
    return render(request, "console/runs/_detail.html", context)


@require_GET
@member_page("runs:read")
def tree(request: MemberRequest, run: UUID) -> HttpResponse:
    """Show the runs that this one is part of and those it started; a refresh that would change nothing answers 204."""
    found = run_tree.tree_of(run_page.run_of(run))
    if found is None:
        raise Http404
    if request.GET.get("shown") == found.digest:
        return HttpResponse(status=UNCHANGED)
    return render(request, "console/runs/_tree.html", {"tenant": request.member.tenant, "run_id": run, "tree": found})


@require_GET
@member_page("runs:read")
def events(request: MemberRequest, run: UUID) -> HttpResponse:
    """Show a run's raw events."""
    found = run_page.run_of(run)
    span = run_page.Span.of(found, upto=_number(request, "upto"))
    if wants_part(request):
        return render(request, "console/runs/_event_rows.html", events_context(request.member, found, span))
    context = run_context(request.member, found, span, step=None) | events_context(request.member, found, span)
    return show(request, "console/runs/events.html", context, place="console:runs")


@require_GET
@member_page("runs:read")
def talk(request: MemberRequest, run: UUID) -> HttpResponse:
    """Show a run as the conversation it was."""
    found = run_page.run_of(run)
    span = run_page.Span.of(found, upto=_number(request, "upto"))
    said = conversation_context(request.member, found, span)
    if wants_part(request):
        return render(request, "console/runs/_said_rows.html", said)
    context = head_context(request.member, found) | {"live": False} | said
    return show(request, "console/runs/conversation.html", context, place="console:runs")


@require_GET
@member_page("runs:read")
def record(request: MemberRequest, run: UUID) -> HttpResponse:
    """Show what a run was allowed and who decided on it: for those who answer for it."""
    found = run_page.run_of(run)
    context = head_context(request.member, found) | {"live": False, "record": run_record.record_of(found)}
    context |= {"may_audit": request.member.can("audit:read"), "may_hold": request.member.can("audit:hold")}
    return show(request, "console/runs/record.html", context, place="console:runs")


@require_GET
@member_page("runs:read")
def event(request: MemberRequest, run: UUID, seq: int) -> HttpResponse:
    """Give one event as JSON, or as the part of a page that shows it."""
    found = journal.read(run_page.run_of(run).id, after=seq - 1, limit=1)
    if not found or found[0].seq != seq:
        raise Http404
    told = event_json(found[0], payloads=request.member.sees_payloads)
    if wants_part(request):
        return render(request, "console/runs/_event_json.html", {"seq": seq, "text": pretty(told)})
    return JsonResponse(told, json_dumps_params={"indent": 2, "ensure_ascii": False})


def _number(request: MemberRequest, name: str) -> int | None:
    text = request.GET.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
