"""Developers: API keys, shown once."""

from datetime import timedelta
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_GET, require_POST

from access import permissions
from access.errors import AccessDenied
from console import key_pages, people_pages
from console.attempts import attempt, say
from console.members import MemberRequest, member_page
from console.pages import show
from console.run_list import uuid_of
from tenants.actions import api_keys
from tenants.errors import UnknownMember
from tenants.models import ApiKey

PLACE = "console:developers"
_DAY = timedelta(days=1)


@require_GET
@member_page("keys:write")
def listing(request: MemberRequest) -> HttpResponse:
    """Show one's keys; to owners all of the tenant's."""
    return _page(request)


@require_POST
@member_page("keys:write")
def create(request: MemberRequest) -> HttpResponse:
    """Make a key and show it, this once."""
    given = {name: request.POST.get(name, "").strip() for name in ("name", "account", "ends")}
    scopes = request.POST.getlist("scopes")
    made, refusal = attempt(request, lambda: _made(request, given, scopes))
    if made is None:
        answer = _page(request, given=given | {"scopes": scopes}, problem=str(refusal))
        answer.status_code = refusal.status if refusal else 422
        return answer
    return _shown_once(request, *made)


@require_POST
@member_page("keys:write")
def rotate(request: MemberRequest, api_key: UUID) -> HttpResponse:
    """Make a key in the place of one, which works for another day, and show it, this once."""
    found = key_pages.key(api_key, request.member)
    made, refusal = attempt(request, lambda: _rotated(request, found))
    if made is None:
        answer = _page(request, refused=f"{found.name} is not replaced. {refusal}")
        answer.status_code = refusal.status if refusal else 422
        return answer
    return _shown_once(request, *made)


@require_POST
@member_page("keys:write")
def revoke(request: MemberRequest, api_key: UUID) -> HttpResponse:
    """End a key now and for good."""
    found = key_pages.key(api_key, request.member)
    say(
        request,
        lambda: api_keys.revoke(found, acting_as=request.member.principal.actor),
        f"The key {found.name} works no more.",
    )
    return redirect("console:keys", tenant=request.member.tenant.slug)


def _made(request: MemberRequest, given: dict[str, str], scopes: list[str]) -> tuple[ApiKey, str]:
    principal, email = request.member.principal, request.member.user.email
    for scope in scopes:
        permissions.check(principal, scope)
    if given["account"]:
        permissions.check(principal, "admin")
        account = uuid_of(given["account"])
        service = people_pages.service(account) if account else None
        if service is None:
            raise UnknownMember("There is no such active account of a service.")
        email = service.user.email
    return api_keys.create(
        tenant=request.member.tenant,
        name=given["name"],
        scopes=scopes,
        member_email=email,
        expires_at=key_pages.end_of(given["ends"]),
        acting_as=principal.actor,
    )


def _rotated(request: MemberRequest, found: ApiKey) -> tuple[ApiKey, str]:
    if not key_pages.may_rotate(found, request.member):
        raise AccessDenied("Only the one it acts as replaces this key; you can revoke it.", permission="keys:write")
    return api_keys.rotate(found, overlap=_DAY, acting_as=request.member.principal.actor)


def _shown_once(request: MemberRequest, key: ApiKey, text: str) -> HttpResponse:
    return _page(request, made=key, text=text)


def _page(request: MemberRequest, **more: object) -> HttpResponse:
    member, before = request.member, uuid_of(request.GET.get("before", ""))
    listed, older = key_pages.keys(member, before)
    context = {
        "keys": listed,
        "older": older,
        "is_later": before is not None,
        "scopes": key_pages.scopes(member),
        "services": people_pages.services() if member.can("admin") else [],
        "most_services": people_pages.MOST_SERVICES,
        "ends": key_pages.ENDS.items(),
        "given": {"scopes": key_pages.FIRST_SCOPES, "ends": "90"},
        "may_see_all": member.can("admin"),
    }
    return show(request, "console/developers/keys.html", context | more, place=PLACE)
