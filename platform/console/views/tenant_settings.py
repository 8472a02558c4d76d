"""Settings: what holds for the whole tenant."""

from collections.abc import Mapping
from typing import Any, Final

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods

from console.attempts import attempt
from console.audit_query import Unreadable
from console.members import MemberRequest, member_page
from console.pages import show
from egress.errors import EgressError
from egress.urls import read_host
from tenants.actions import settings, tenants
from tenants.errors import SettingsChanged
from tenants.models import Tenant

Json = Any

PLACE: Final = "console:settings"

STALE: Final = "Somebody changed it since you opened it. Below stands what you typed; what holds now stands beside it."


@require_http_methods(["GET", "POST"])
@member_page("admin")
def general(request: MemberRequest) -> HttpResponse:
    """Show, or change, for how long answers can be taken back, and which hosts webhooks may tell."""
    tenant = tenants.by_id(request.member.tenant.id)
    if request.method != "POST":
        return _page(request, tenant, _given(tenant), settings.state(tenant))
    given = {name: request.POST.get(name, "").strip() for name in ("undo_s", "only", "hosts")}

    def act() -> Tenant:
        undo_s, hosts = _undo(given["undo_s"]), _hosts(given)
        expected, actor = request.POST.get("expected", ""), request.member.principal.actor
        return settings.put(tenant.id, undo_s=undo_s, webhook_hosts=hosts, expected=expected, acting_as=actor)

    _, refusal = attempt(request, act)
    if refusal is not None:
        is_stale = isinstance(refusal, SettingsChanged)
        tenant.refresh_from_db()
        expected = settings.state(tenant) if is_stale else request.POST.get("expected", "")
        answer = _page(request, tenant, given, expected, problem=STALE if is_stale else str(refusal))
        answer.status_code = refusal.status
        return answer
    messages.success(request, "Saved. It counts for answers and deliveries from now on.")
    return redirect("console:general", tenant=tenant.slug)


def _undo(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text[:9]) <= settings.MAX_UNDO_S):
        raise Unreadable(f"Write seconds, from 0 for none to {settings.MAX_UNDO_S:,}.")
    return int(text[:9])


def _hosts(given: Mapping[str, str]) -> list[str] | None:
    """Return the hosts in the form in which the guarded client reads them; None for any. Raises `Unreadable`."""
    if given["only"] != "yes":
        return None
    named = given["hosts"].replace(",", " ").split()
    if len(named) > settings.MAX_HOSTS:
        raise Unreadable(f"Name {settings.MAX_HOSTS} hosts at most.")
    try:
        return [read_host(host)[0] for host in named]
    except EgressError as error:
        raise Unreadable(error.detail) from error


def _given(tenant: Tenant) -> dict[str, str]:
    hosts = tenant.webhook_hosts
    return {"undo_s": str(tenant.undo_s), "only": "" if hosts is None else "yes", "hosts": "\n".join(hosts or ())}


def _page(
    request: MemberRequest, tenant: Tenant, given: Mapping[str, str], expected: str, problem: str = ""
) -> HttpResponse:
    context: dict[str, Json] = {"given": given, "expected": expected, "problem": problem}
    context |= {"most_undo_s": settings.MAX_UNDO_S, "present": _given(tenant) if problem == STALE else None}
    return show(request, "console/settings/general.html", context, place=PLACE)
