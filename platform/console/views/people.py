"""Settings: members and invitations, and services' accounts."""

from collections.abc import Mapping
from uuid import UUID

from django.contrib import messages
from django.db import connection
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from console import people_pages
from console.attempts import attempt, say
from console.members import MemberRequest, member_page
from console.pages import show
from console.run_list import uuid_of
from db.errors import Refusal
from db.scope import tenant_scope
from signin import mail
from tenants.actions import invitations, members
from tenants.models import Role

PLACE = "console:settings"

_ROLES = frozenset(Role.values)


@require_GET
@member_page("people:read")
def listing(request: MemberRequest) -> HttpResponse:
    """Show who belongs to the tenant, and to owners who is invited."""
    return _members(request)


@require_POST
@member_page("admin", scope=False)
def invite(request: MemberRequest) -> HttpResponse:
    """Send somebody a link. Outside the scope: the invitation is committed before it is mailed."""
    tenant, given = (
        request.member.tenant,
        {"email": request.POST.get("email", "").strip(), "role": request.POST.get("role", "")},
    )
    with tenant_scope(tenant.id):
        made, refusal = attempt(
            request,
            lambda: invitations.invite(
                tenant_id=tenant.id,
                email=given["email"],
                role=_chosen(given["role"]),
                acting_as=request.member.principal.actor,
            ),
        )
        if refusal is not None:
            answer = _members(request, given=given, problem=str(refusal))
            answer.status_code = refusal.status
    connection.close()
    if made is None:
        return answer
    invitation, token = made
    if mail.send_invitation(invitation, token, tenant=tenant):
        messages.success(request, f"{invitation.email} was sent a link; it works for seven days.")
    else:
        link = f"manage.py tenant invite {tenant.slug} {invitation.email} --role {invitation.role}"
        messages.error(request, f"The mail could not be sent. Who runs the installation makes a link with {link}")
    return redirect("console:members", tenant=tenant.slug)


@require_POST
@member_page("admin")
def withdraw(request: MemberRequest, invitation: UUID) -> HttpResponse:
    """Let an invitation's link work no more."""
    found = people_pages.invitation(invitation)
    say(
        request,
        lambda: invitations.revoke(found, acting_as=request.member.principal.actor),
        f"The invitation of {found.email} is withdrawn.",
    )
    return redirect("console:members", tenant=request.member.tenant.slug)


@require_GET
@member_page("people:read")
def member(request: MemberRequest, person: UUID) -> HttpResponse:
    """Show one member, and to owners what they may do about them."""
    return _person(request, person, services=False)


@require_GET
@member_page("people:read")
def accounts(request: MemberRequest) -> HttpResponse:
    """Show the accounts of services."""
    return _accounts(request)


@require_POST
@member_page("admin")
def make_account(request: MemberRequest) -> HttpResponse:
    """Make an account for a program."""
    given = {"name": request.POST.get("name", "").strip(), "role": request.POST.get("role", "")}
    made, refusal = attempt(
        request,
        lambda: members.put_service(
            name=given["name"], role=_chosen(given["role"]), acting_as=request.member.principal.actor
        ),
    )
    if made is None:
        answer = _accounts(request, given=given, problem=str(refusal))
        answer.status_code = refusal.status if refusal else 422
        return answer
    messages.success(request, f"{given['name']} has an account; make a key for it under Developers.")
    return redirect("console:account", tenant=request.member.tenant.slug, person=made.id)


@require_GET
@member_page("people:read")
def account(request: MemberRequest, person: UUID) -> HttpResponse:
    """Show one service's account."""
    return _person(request, person, services=True)


@require_POST
@member_page("admin")
def change_member(request: MemberRequest, person: UUID) -> HttpResponse:
    """Give a member another role, deactivate, reactivate or remove them."""
    return _changed(request, person, services=False)


@require_POST
@member_page("admin")
def change_account(request: MemberRequest, person: UUID) -> HttpResponse:
    """The same for a service's account."""
    return _changed(request, person, services=True)


def _changed(request: MemberRequest, user_id: UUID, *, services: bool) -> HttpResponse:
    found, shown = people_pages.person(user_id, request.member.user.id, services=services)
    actor, do, who = request.member.principal.actor, request.POST.get("do", ""), shown.name or shown.email
    tenant = request.member.tenant.slug
    if do == "remove":
        if say(request, lambda: members.remove(found, acting_as=actor), f"{who} belongs to the tenant no more."):
            return redirect("console:accounts" if services else "console:members", tenant=tenant)
    elif do == "deactivate":
        say(request, lambda: members.deactivate(found, acting_as=actor), f"{who} can do nothing here now.")
    elif do == "reactivate":
        told = f"{who} has the role again; keys, teams and grants were taken and are not given back."
        say(request, lambda: members.reactivate(found, acting_as=actor), told)
    elif do == "role":
        role = request.POST.get("role", "")
        say(request, lambda: members.change_role(found, _chosen(role), acting_as=actor), f"{who} is {role} now.")
    else:
        messages.error(request, "Choose what is to be done: nothing was changed.")
    if request.member.principal.user_id != user_id:
        return redirect("console:account" if services else "console:member", tenant=tenant, person=user_id)
    return redirect("console:tenant", tenant=tenant)  # one's own role may have gone, and this page with it


class UnknownRole(Refusal):
    """Choose one of the roles that are offered."""

    code = "unknown_role"


def _chosen(role: str) -> Role:
    if role not in _ROLES:
        raise UnknownRole
    return Role(role)


def _members(request: MemberRequest, *, given: dict[str, str] | None = None, problem: str = "") -> HttpResponse:
    words, may_write = request.GET.get("q", "")[:100], request.member.can("admin")
    after, invited = request.GET.get("after", "")[:254], uuid_of(request.GET.get("invited", ""))
    pending, more = people_pages.pending(invited) if may_write else ([], None)
    context = {
        "listed": people_pages.listed(request.member.user.id, services=False, words=words, after=after),
        "pending": pending,
        "pending_more": more,
        "pending_later": invited is not None,
        "words": words,
        "after": after,
    }
    return _show(request, "members", context, given=given, problem=problem)


def _accounts(request: MemberRequest, *, given: dict[str, str] | None = None, problem: str = "") -> HttpResponse:
    after = request.GET.get("after", "")[:254]
    context = {"listed": people_pages.listed(request.member.user.id, services=True, after=after)}
    return _show(request, "accounts", context, given=given, problem=problem)


def _person(request: MemberRequest, user_id: UUID, *, services: bool) -> HttpResponse:
    _, shown = people_pages.person(user_id, request.member.user.id, services=services)
    route = "console:account_change" if services else "console:member_change"
    change_at = reverse(route, kwargs={"tenant": request.member.tenant.slug, "person": user_id})
    context = {"person": shown, "is_service": services, "change_at": change_at}
    return _show(request, "person", context)


def _show(
    request: MemberRequest,
    page: str,
    context: Mapping[str, object],
    *,
    given: dict[str, str] | None = None,
    problem: str = "",
) -> HttpResponse:
    around = {
        "roles": people_pages.ROLES.items(),
        "may_write": request.member.can("admin"),
        "given": given or {"role": "reviewer"},
        "problem": problem,
    }
    return show(request, f"console/settings/{page}.html", around | dict(context), place=PLACE)
