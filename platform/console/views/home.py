"""Where one arrives: the only tenant, or the choice among several; what to do there; and the choice of colours."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.templatetags.static import static
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from console import start_page
from console.members import MemberRequest, member_page, user_of
from console.pages import THEME_COOKIE, THEMES, show, supplier, wants_part
from signin.reach import reach_of
from tenants.models import Tenant

UNCHANGED = 204
YEAR_S = 365 * 24 * 3600


@require_GET
@never_cache
@login_required
def home(request: HttpRequest) -> HttpResponse:
    """Lead to the one tenant that the session opens; among several, or when asked by `?choose`, show the list."""
    reach = reach_of(request, user_of(request))
    found = reach.tenants()
    if len(found) == 1 and "choose" not in request.GET:
        return redirect("console:tenant", tenant=found[0][1])
    tenants = Tenant.objects.filter(id__in=[tenant_id for tenant_id, _ in found]).order_by("name")
    return render(request, "console/home/tenants.html", {"tenants": tenants, "reach": reach})


@require_GET
@member_page()
def tenant(request: MemberRequest) -> HttpResponse:
    """Show what to do next, what waits and what goes on; a refresh that would change nothing answers 204."""
    if wants_part(request) and request.GET.get("shown") == start_page.glance(request.member):
        return HttpResponse(status=UNCHANGED)
    found = start_page.now(request.member, supplier())
    context = {"tenant": request.member.tenant, "now": found}
    if wants_part(request):
        return render(request, "console/home/_now.html", context)
    return show(request, "console/home/start.html", context, place="console:tenant")


@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    """Keep the chosen colours in the browser and go back to where one was."""
    chosen, back = request.POST.get("theme", ""), request.POST.get("next", "")
    inside = url_has_allowed_host_and_scheme(
        back, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    response = redirect(back if inside else "console:home")
    if chosen in THEMES:
        response.set_cookie(
            THEME_COOKIE, chosen, max_age=YEAR_S, secure=request.is_secure(), httponly=True, samesite="Lax"
        )
    return response


@require_GET
def favicon(request: HttpRequest) -> HttpResponse:
    """Lead a browser that shows no page of ours, but JSON, to the picture it looks for."""
    return redirect(static("console/icon.svg"))
