"""Legal holds: asked for by one person, confirmed by another, and ended in the same way."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_GET, require_POST

from console import audit_query, keeping_pages
from console.attempts import attempt, say
from console.audit_query import Unreadable
from console.members import MemberRequest, member_page
from console.pages import show
from console.run_list import uuid_of
from console.typed import typed
from retention.actions import holds, orders
from retention.actions.holds import Over
from retention.models import Order
from retention.permissions import HOLD

Json = Any

PLACE: Final = "console:audit"
FIELDS: Final = ("over", "subject", "run", "agent", "from", "to", "reason")

#: What a hold can be over, and the words of the choice.
OVERS: Final = {
    "subject": "all runs about a person",
    "run": "one run, with the whole tree that it is in",
    "agent": "an agent’s runs, and what was changed of it",  # noqa: RUF001
    "period": "all that happened in a period",
}

CONFIRMED: Final = "Confirmed. It stands from now on: nothing that it is over is erased."


class NoReason(Unreadable):
    """Say why: the second person and auditors read it."""

    code = "no_reason"


@require_GET
@member_page("audit:read")
def listing(request: MemberRequest) -> HttpResponse:
    """Show holds, and the form of a new one."""
    return _page(request, {"over": "subject", "run": request.GET.get("run", "")} | _of_run(request))


@require_POST
@member_page(HOLD)
def ask(request: MemberRequest) -> HttpResponse:
    """Ask for a hold; it stands when another person has confirmed it."""
    given = {name: typed(request.POST, name) for name in FIELDS}

    def act() -> Order:
        return holds.ask(_over(given), reason_of(given), acting_as=request.member.principal)

    made, refusal = attempt(request, act)
    if made is None:
        answer = _page(request, given, problem=str(refusal))
        answer.status_code = refusal.status if refusal else 422
        return answer
    return redirect("console:hold", tenant=request.member.tenant.slug, hold=made.id)


@require_GET
@member_page("audit:read")
def one(request: MemberRequest, hold: UUID) -> HttpResponse:
    """Show a hold, the release that waits for a second person, and what the journal tells of both."""
    return _one(request, keeping_pages.one("hold", hold))


@require_POST
@member_page(HOLD)
def decide(request: MemberRequest, hold: UUID) -> HttpResponse:
    """Confirm or refuse what another person asked for: the hold, or its release, which the form names."""
    found = keeping_pages.one("hold", hold)
    confirms, named = request.POST.get("do") == "confirm", uuid_of(request.POST.get("order", "")) or found.id

    def act() -> Order:
        asked = holds.to_be_decided(found.id, named)
        return (orders.confirm if confirms else orders.refuse)(asked, acting_as=request.member.principal)

    told = (
        (CONFIRMED if named == found.id else "Confirmed. The hold is over.") if confirms else "Refused, or taken back."
    )
    say(request, act, told)
    return redirect("console:hold", tenant=request.member.tenant.slug, hold=found.id)


@require_POST
@member_page(HOLD)
def release(request: MemberRequest, hold: UUID) -> HttpResponse:
    """Ask for a hold's end; it stands until another person has confirmed that."""
    found, given = keeping_pages.one("hold", hold), {"reason": typed(request.POST, "reason")}

    def act() -> Order:
        return holds.release(found.id, reason_of(given), acting_as=request.member.principal)

    made, refusal = attempt(request, act)
    if made is None:
        answer = _one(request, found, given=given, problem=str(refusal))
        answer.status_code = refusal.status if refusal else 422
        return answer
    return redirect("console:hold", tenant=request.member.tenant.slug, hold=found.id)


def reason_of(given: Mapping[str, str]) -> str:
    """Return the reason; raises `NoReason`, and `Unreadable` for one that is too long."""
    if not given["reason"]:
        raise NoReason
    if len(given["reason"]) > 1000:
        raise Unreadable("A reason has 1000 characters at most.")
    return given["reason"]


def _of_run(request: MemberRequest) -> dict[str, str]:
    return {"over": "run"} if request.GET.get("run") else {}


def _over(given: Mapping[str, str]) -> Over:
    kind = given["over"]
    if kind == "run":
        run = uuid_of(given["run"])
        if run is None:
            raise Unreadable("Write the whole id of a run.")
        return Over(run=run)
    if kind == "agent":
        return Over(agent=given["agent"])
    if kind == "period":
        return Over(since=audit_query.day(given["from"]), until=audit_query.day(given["to"], 1))
    return Over(subject=given["subject"][:500])


def _page(request: MemberRequest, given: Mapping[str, str], problem: str = "") -> HttpResponse:
    context = {
        "listed": keeping_pages.listed("hold", uuid_of(request.GET.get("before", "")), request.member),
        "may_ask": request.member.can(HOLD),
        "overs": OVERS.items(),
        "given": given,
        "problem": problem,
        "opens": bool(problem) or given["over"] == "run",
    }
    return show(request, "console/audit/holds.html", context, place=PLACE)


def _one(request: MemberRequest, found: Order, **more: Json) -> HttpResponse:
    member, asked = request.member, holds.release_of(found)
    [hold] = keeping_pages.shown([found], member)
    releases = list(Order.objects.filter(kind="release", of_id=found.id).order_by("id"))
    records = [each for order in (found, *releases) for each in keeping_pages.records_of(order)]
    context: dict[str, Json] = {
        "hold": hold,
        "release": keeping_pages.shown([asked], member)[0] if asked else None,
        "may_release": found.status == "confirmed" and asked is None and member.can(HOLD),
        "records": sorted(records, key=lambda each: each.at),
        "run": found.run_id,
        "given": {},
    }
    return show(request, "console/audit/hold.html", context | more, place=PLACE)
