"""Erasures by subject: asked for by one person, confirmed by another, and what came of them, with its proof."""

from typing import Any, Final
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_GET, require_POST

from console import keeping_pages
from console.attempts import attempt, say
from console.audit_query import Unreadable
from console.members import MemberRequest, member_page
from console.pages import show
from console.run_list import uuid_of
from console.typed import typed
from console.views.holds import reason_of
from retention.actions import erasures, orders
from retention.models import Order
from retention.permissions import ERASE

Json = Any

PLACE: Final = "console:audit"

#: Runs of a preview that are named; the others are counted.
NAMED: Final = 50

CONFIRMED: Final = "Confirmed. Workers erase now; this page says how far they are."


@require_GET
@member_page("audit:read")
def listing(request: MemberRequest) -> HttpResponse:
    """Show erasures, and the form of a new one."""
    return _page(request)


@require_POST
@member_page(ERASE)
def ask(request: MemberRequest) -> HttpResponse:
    """Ask for the erasure of all that runs hold about somebody; it begins when another person has confirmed it."""
    given = {name: typed(request.POST, name) for name in ("subject", "reason")}

    def act() -> Order:
        if not given["subject"] or len(given["subject"]) > 500:
            raise Unreadable("Write whom it is about: an id as runs have it, with 500 characters at most.")
        return erasures.ask(given["subject"], reason_of(given), acting_as=request.member.principal)

    made, refusal = attempt(request, act)
    if made is None:
        answer = _page(request, given=given, problem=str(refusal))
        answer.status_code = refusal.status if refusal else 422
        return answer
    return redirect("console:erasure", tenant=request.member.tenant.slug, erasure=made.id)


@require_GET
@member_page("audit:read")
def one(request: MemberRequest, erasure: UUID) -> HttpResponse:
    """Show an erasure: what it would take, how far it is, and the records that prove it."""
    found = keeping_pages.one("erasure", erasure)
    preview = erasures.preview(found)
    [shown] = keeping_pages.shown([found], request.member)
    context = {
        "erasure": shown,
        "preview": preview,
        "named": preview.runs[:NAMED] if preview else (),
        "more": max(0, len(preview.runs) - NAMED) if preview else 0,
        "rows": sum(preview.rows.values()) if preview else 0,
        "left": erasures.left(found),
        "records": keeping_pages.records_of(found),
    }
    return show(request, "console/audit/erasure.html", context, place=PLACE)


@require_POST
@member_page(ERASE)
def decide(request: MemberRequest, erasure: UUID) -> HttpResponse:
    """Confirm what another person asked for, refuse it, or take one's own back."""
    found, confirms = keeping_pages.one("erasure", erasure), request.POST.get("do") == "confirm"
    act = orders.confirm if confirms else orders.refuse
    told = CONFIRMED if confirms else "Nothing is erased."
    say(request, lambda: act(found.id, acting_as=request.member.principal), told)
    return redirect("console:erasure", tenant=request.member.tenant.slug, erasure=found.id)


def _page(request: MemberRequest, **more: Json) -> HttpResponse:
    context = {
        "listed": keeping_pages.listed("erasure", uuid_of(request.GET.get("before", "")), request.member),
        "may_ask": request.member.can(ERASE),
        "given": {},
    }
    return show(request, "console/audit/erasures.html", context | more, place=PLACE)
