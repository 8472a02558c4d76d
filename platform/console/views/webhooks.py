"""Developers: webhooks, what was delivered to them, and sending it again."""

from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_GET, require_POST

from console import key_pages
from console.attempts import attempt, say
from console.members import MemberRequest, member_page
from console.pages import show
from console.run_list import uuid_of
from tenants.actions.names import check_slug
from webhooks.actions import endpoints
from webhooks.events import EVENTS
from webhooks.models import Delivery, Endpoint

PLACE = "console:developers"
DAY_S = 24 * 3600
STATUSES = ("pending", "delivered", "failed")


@require_GET
@member_page("webhooks:write")
def listing(request: MemberRequest) -> HttpResponse:
    """Show who is told what happens."""
    return _page(request)


@require_POST
@member_page("webhooks:write")
def add(request: MemberRequest) -> HttpResponse:
    """Add one and show its secret, this once."""
    given = {"name": request.POST.get("name", "").strip(), "url": request.POST.get("url", "").strip()}
    events, form = _events(request), _form(request)

    def act() -> tuple[Endpoint, str]:
        check_slug(given["name"])
        return endpoints.add(given["name"], given["url"], events, form=form, acting_as=request.member.principal)

    made, refusal = attempt(request, act)
    if made is None:
        answer = _page(request, given=given | {"events": events, "form": form}, problem=str(refusal))
        answer.status_code = refusal.status if refusal else 422
        return answer
    endpoint, secret = made
    return _one(request, endpoint, secret=secret)


@require_GET
@member_page("webhooks:write")
def one(request: MemberRequest, webhook: UUID) -> HttpResponse:
    """Show one, with its deliveries."""
    return _one(request, key_pages.webhook(webhook))


@require_POST
@member_page("webhooks:write")
def change(request: MemberRequest, webhook: UUID) -> HttpResponse:
    """Change where it goes and what of, pause it, go on with it, give it another secret, or remove it."""
    found, principal, do = key_pages.webhook(webhook), request.member.principal, request.POST.get("do", "")
    if do == "rotate":
        made, refusal = attempt(request, lambda: endpoints.rotate(found.id, DAY_S, acting_as=principal))
        if made is not None:
            return _one(request, *made)
        messages.error(request, str(refusal))
    elif do == "remove":
        if say(request, lambda: endpoints.remove(found.id, acting_as=principal), f"{found.name} is told no more."):
            return redirect("console:webhooks", tenant=request.member.tenant.slug)
    elif do in {"pause", "resume"}:
        told = "Nothing is sent until it goes on." if do == "pause" else "What happens from now on is sent."
        active = do == "resume"
        say(request, lambda: endpoints.change(found.id, {"active": active}, acting_as=principal), told)
    else:
        changes = {"url": request.POST.get("url", "").strip(), "events": _events(request), "form": _form(request)}
        _, refusal = attempt(request, lambda: endpoints.change(found.id, changes, acting_as=principal))
        if refusal is not None:
            answer = _one(request, found, given=changes, problem=str(refusal))
            answer.status_code = refusal.status
            return answer
        messages.success(request, "It is saved.")
    return redirect("console:webhook", tenant=request.member.tenant.slug, webhook=found.id)


@require_POST
@member_page("webhooks:write")
def replay(request: MemberRequest, webhook: UUID, delivery: UUID) -> HttpResponse:
    """Have a delivery sent again, under the id it had."""
    found = key_pages.webhook(webhook)
    if not Delivery.objects.filter(endpoint=found, id=delivery).exists():
        raise Http404
    told = "It is sent again, under the id it had."
    say(request, lambda: endpoints.replay(found.id, delivery, acting_as=request.member.principal), told)
    return redirect("console:webhook", tenant=request.member.tenant.slug, webhook=found.id)


def _events(request: MemberRequest) -> list[str]:
    return [event for event in request.POST.getlist("events") if event in EVENTS]


def _form(request: MemberRequest) -> str:
    return "chat" if request.POST.get("form") == "chat" else "standard"


def _page(request: MemberRequest, **more: object) -> HttpResponse:
    context = {"webhooks": key_pages.webhooks(), "events": EVENTS, "given": {}}
    return show(request, "console/developers/webhooks.html", context | more, place=PLACE)


def _one(request: MemberRequest, found: Endpoint, secret: str | None = None, **more: object) -> HttpResponse:
    status = request.GET.get("status", "")
    status = status if status in STATUSES else ""
    listed, further = key_pages.deliveries(found, status, uuid_of(request.GET.get("before", "")))
    context = {
        "webhook": found,
        "secret": secret,
        "events": EVENTS,
        "given": {"url": found.url, "events": found.events, "form": found.form},
        "deliveries": listed,
        "further": further,
        "status": status,
        "statuses": STATUSES,
    }
    return show(request, "console/developers/webhook.html", context | more, place=PLACE)
