"""Settings: how people sign in, the identity providers, and who stands in for whom."""

from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from console import key_pages
from console.attempts import attempt, say
from console.members import MemberRequest, member_page
from console.pages import show
from escalations.actions import delegations
from escalations.actions.life import MANAGING
from escalations.errors import BadTime
from signin.actions import identity_providers
from signin.actions.identity_providers import Wanted
from signin.models import EmailDomain, IdentityProvider
from tenants.actions import tenants
from tenants.errors import SlugTaken
from tenants.models import Role

PLACE = "console:settings"
_JOINS = tuple(role for role in Role.values if role != Role.OWNER)


@require_http_methods(["GET", "POST"])
@member_page("admin")
def sign_in(request: MemberRequest) -> HttpResponse:
    """Show, or change, what the tenant asks of those who sign in."""
    tenant = request.member.tenant
    if request.method == "POST":
        say(
            request,
            lambda: tenants.set_second_factor(
                tenant=tenant,
                require=request.POST.get("require") == "yes",
                trust_provider=request.POST.get("trust") == "yes",
                acting_as=request.member.principal.actor,
            ),
            "It is saved, and holds from the next page that anybody opens.",
        )
        return redirect("console:sign_in", tenant=tenant.slug)
    context = {
        "providers": list(identity_providers.all_of_tenant().order_by("slug")),
        "domains": list(EmailDomain.objects.select_related("provider").order_by("domain")),
        "has_factor": request.member.user.has_second_factor(),
    }
    return show(request, "console/settings/sign_in.html", context, place=PLACE)


@require_http_methods(["GET", "POST"])
@member_page("admin")
def provider(request: MemberRequest, slug: str = "") -> HttpResponse:
    """Set an identity provider up, or change it."""
    found = _found(slug) if slug else None
    if request.method != "POST":
        return _form(request, slug, _given(found) if found else {"enabled": "yes"}, has_secret=_has_secret(found))
    given = {
        name: request.POST.get(name, "").strip()
        for name in ("slug", "name", "issuer", "client_id", "secret", "domains", "joins_as", "enforced", "enabled")
    }

    def put() -> IdentityProvider:
        if not slug and identity_providers.all_of_tenant().filter(slug=given["slug"]).exists():
            raise SlugTaken
        return identity_providers.put(slug or given["slug"], _wanted(given), acting_as=request.member.principal)

    _, refusal = attempt(request, put)
    if refusal is not None:
        given["secret"] = ""
        answer = _form(request, slug, given, has_secret=_has_secret(found), problem=str(refusal))
        answer.status_code = refusal.status
        return answer
    messages.success(request, "The provider is saved.")
    return redirect("console:provider", tenant=request.member.tenant.slug, slug=slug or given["slug"])


@require_POST
@member_page("admin")
def remove_provider(request: MemberRequest, slug: str) -> HttpResponse:
    """Remove an identity provider; sessions that came through it open nothing any more."""
    found = _found(slug)
    told = f"{slug} is gone: whoever came through it signs in another way."
    say(request, lambda: identity_providers.remove(found, acting_as=request.member.principal), told)
    return redirect("console:sign_in", tenant=request.member.tenant.slug)


@require_http_methods(["GET", "POST"])
@member_page("escalations:decide")
def stand_ins(request: MemberRequest) -> HttpResponse:
    """Show who stands in for whom, or have somebody stand in."""
    principal, given = request.member.principal, {name: request.POST.get(name, "").strip() for name in _DELEGATION}
    if request.method != "POST":
        return _delegations(request, given)

    def add() -> object:
        starts, ends = key_pages.moment_of(given["from"]), key_pages.moment_of(given["until"])
        if starts is None or ends is None:
            raise BadTime("Say from when and until when.")
        return delegations.add(
            to=given["to"], of=given["of"] or None, starts_at=starts, ends_at=ends, acting_as=principal
        )

    _, refusal = attempt(request, add)
    if refusal is not None:
        answer = _delegations(request, given, problem=str(refusal))
        answer.status_code = refusal.status
        return answer
    messages.success(request, f"{given['to']} stands in. Who stands in never decides what they asked for themselves.")
    return redirect("console:delegations", tenant=request.member.tenant.slug)


@require_POST
@member_page("escalations:decide")
def end_stand_in(request: MemberRequest, delegation: UUID) -> HttpResponse:
    """End a delegation."""
    if not delegations.visible(request.member.principal).filter(id=delegation).exists():
        raise Http404
    say(request, lambda: delegations.remove(delegation, acting_as=request.member.principal), "It is ended.")
    return redirect("console:delegations", tenant=request.member.tenant.slug)


_DELEGATION = ("to", "of", "from", "until")


def _delegations(request: MemberRequest, given: dict[str, str], problem: str = "") -> HttpResponse:
    principal = request.member.principal
    context = {
        "delegations": list(delegations.visible(principal).order_by("-ends_at")[: key_pages.PAGE]),
        "may_for_others": principal.role in MANAGING,
        "given": given,
        "problem": problem,
    }
    return show(request, "console/settings/delegations.html", context, place=PLACE)


def _found(slug: str) -> IdentityProvider:
    found = identity_providers.all_of_tenant().filter(slug=slug).first()
    if found is None:
        raise Http404
    return found


def _has_secret(found: IdentityProvider | None) -> bool:
    return found is not None and bool(found.sealed_secret)


def _given(found: IdentityProvider) -> dict[str, str]:
    return {
        "slug": found.slug,
        "name": found.name,
        "issuer": found.issuer,
        "client_id": found.client_id,
        "domains": " ".join(sorted(each.domain for each in found.domains.all())),
        "joins_as": found.joins_as or "",
        "enforced": "yes" if found.enforced else "",
        "enabled": "yes" if found.enabled else "",
    }


def _wanted(given: dict[str, str]) -> Wanted:
    return Wanted(
        issuer=given["issuer"],
        client_id=given["client_id"],
        client_secret=given["secret"] or None,
        name=given["name"],
        domains=given["domains"].replace(",", " ").split(),
        joins_as=Role(given["joins_as"]) if given["joins_as"] in _JOINS else None,
        enforced=given["enforced"] == "yes",
        enabled=given["enabled"] == "yes",
    )


def _form(request: MemberRequest, slug: str, given: dict[str, str], **more: Any) -> HttpResponse:
    place = {"tenant": request.member.tenant.slug, "provider": slug or "SLUG"}
    context = {
        "slug": slug,
        "given": given,
        "joins": _JOINS,
        "redirect_uri": settings.BASE_URL + reverse("sso_callback", kwargs=place),
    }
    return show(request, "console/settings/provider.html", context | more, place=PLACE)
