"""A member's own views of the inbox and the runs: saved by name, and taken away."""

from uuid import UUID

from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from console import inbox_list, run_list
from console.attempts import say
from console.members import MemberRequest, check, member_page
from tenants.actions import saved_views
from tenants.errors import UnknownView
from tenants.models import SavedView


@require_POST
@member_page("runs:read")
def save(request: MemberRequest) -> HttpResponse:
    """Keep what a list is narrowed to, under a name."""
    place, name = request.POST.get("place", ""), request.POST.get("name", "").strip()
    query = _query(request, place, QueryDict(request.POST.get("query", "")[: saved_views.LONGEST]))
    say(
        request,
        lambda: saved_views.save(place, name, query, acting_as=request.member.principal),
        f"The view {name} is saved: it is yours alone.",
    )
    return redirect(_address(request, place, query))


@require_POST
@member_page("runs:read")
def remove(request: MemberRequest, view: UUID) -> HttpResponse:
    """Forget one's own view."""
    found = SavedView.objects.filter(id=view, user_id=request.member.user.id).first()
    place = found.place if found else "runs"
    told = f"The view {found.name} is gone." if found else ""

    def act() -> None:
        if found is None:
            raise UnknownView
        saved_views.remove(view, acting_as=request.member.principal)

    say(request, act, told)
    return redirect(_address(request, place, ""))


def _query(request: MemberRequest, place: str, asked: QueryDict) -> str:
    """Return what the list makes of the address: whatever else stands in it is left out."""
    if place == "inbox":
        check(request.member, "escalations:read")
        return inbox_list.Filters.of(asked, request.member).first
    return run_list.Filters.of(asked).newest


def _address(request: MemberRequest, place: str, query: str) -> str:
    view = "console:inbox" if place == "inbox" else "console:runs"
    return reverse(view, kwargs={"tenant": request.member.tenant.slug}) + (f"?{query}" if query else "")
