"""Terms of retention: for how long what concerns people is kept, changed by two persons."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_GET, require_POST

from console import keeping_pages, wording
from console.attempts import attempt, say
from console.audit_query import Unreadable
from console.members import MemberRequest, member_page
from console.pages import show
from console.run_list import uuid_of
from console.typed import typed
from console.views.holds import reason_of
from retention import expiring
from retention.actions import orders, terms
from retention.classes import CLASSES, LEAST_DAYS, MOST_DAYS
from retention.models import Order
from retention.permissions import ERASE

Json = Any

PLACE: Final = "console:audit"


@require_GET
@member_page("audit:read")
def listing(request: MemberRequest) -> HttpResponse:
    """Show the terms; with `?count=true` what would go now. And the changes of them."""
    return _page(request)


@require_POST
@member_page(ERASE)
def ask(request: MemberRequest) -> HttpResponse:
    """Ask for other terms; they count when another person has confirmed them."""
    given = {name: typed(request.POST, name) for name in (*CLASSES, "reason")}

    def act() -> Order:
        present, wanted = terms.in_force(), _terms(given)
        changed = {kind: days for kind, days in wanted.items() if days != present[kind]}
        if not changed:
            raise Unreadable("These are the terms as they are: change one.")
        return terms.ask(changed, reason_of(given), acting_as=request.member.principal)

    made, refusal = attempt(request, act)
    if made is None:
        answer = _page(request, given=given, problem=str(refusal))
        answer.status_code = refusal.status if refusal else 422
        return answer
    return redirect("console:retention", tenant=request.member.tenant.slug)


@require_POST
@member_page(ERASE)
def decide(request: MemberRequest, change: UUID) -> HttpResponse:
    """Confirm a change that another person asked for, refuse it, or take one's own back."""
    found, confirms = keeping_pages.one("terms", change), request.POST.get("do") == "confirm"
    act = orders.confirm if confirms else orders.refuse
    told = "Confirmed. Workers keep to it from now on." if confirms else "The terms stay as they are."
    say(request, lambda: act(found.id, acting_as=request.member.principal), told)
    return redirect("console:retention", tenant=request.member.tenant.slug)


def _terms(given: Mapping[str, str]) -> dict[str, int | None]:
    """Read the form: days, or nothing for ever. Raises `Unreadable`."""
    found: dict[str, int | None] = {}
    for kind in CLASSES:
        text = given[kind]
        if text and not (text.isascii() and text.isdigit() and LEAST_DAYS <= int(text[:9]) <= MOST_DAYS):
            raise Unreadable(f"A term has {LEAST_DAYS} to {MOST_DAYS:,} days, or is left empty to keep it for ever.")
        found[kind] = int(text) if text else None
    return found


def _takes(change: Order) -> str:
    """Return, for who confirms a change, how much goes at once by the terms that it makes shorter."""
    present = terms.in_force()
    shorter = {
        kind: days
        for kind, days in (change.terms or {}).items()
        if kind in CLASSES and days is not None and days < (present[kind] or MOST_DAYS + 1)
    }
    if not shorter:
        return "No term becomes shorter: nothing goes by them that would not go anyway."
    told = "; ".join(f"{wording.code(kind)}: {_count(expiring.due(kind, days))}" for kind, days in shorter.items())
    return f"Would go at once by these terms: {told}. What a hold is over is counted, and stays."


def _count(due: int) -> str:
    return f"{due:,} or more" if due >= expiring.MOST_COUNTED else f"{due:,}" if due else "none"


def _page(request: MemberRequest, given: Mapping[str, str] | None = None, problem: str = "") -> HttpResponse:
    present, asked = terms.in_force(), terms.asked()
    counts = request.GET.get("count") == "true"
    rows = [
        {
            "kind": kind,
            "words": wording.code(kind).capitalize(),
            "holds": CLASSES[kind],
            "days": days,
            "given": given[kind] if given is not None else "" if days is None else str(days),
            "due": expiring.due(kind, days) if counts and days is not None else None,
        }
        for kind, days in present.items()
    ]
    [waiting] = keeping_pages.shown([asked], request.member) if asked else [None]
    context = {
        "classes": rows,
        "counts": counts,
        "most": expiring.MOST_COUNTED,
        "least_days": LEAST_DAYS,
        "most_days": MOST_DAYS,
        "asked": waiting,
        "takes": _takes(asked) if asked and waiting and waiting.may_refuse else "",
        "may_ask": request.member.can(ERASE) and asked is None,
        "listed": keeping_pages.listed("terms", uuid_of(request.GET.get("before", "")), request.member),
        "reason": (given or {}).get("reason", ""),
        "problem": problem,
    }
    return show(request, "console/audit/retention.html", context, place=PLACE)
