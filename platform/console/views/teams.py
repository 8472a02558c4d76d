"""Settings: teams."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from console import people_pages
from console.attempts import attempt, say
from console.members import MemberRequest, member_page
from console.pages import show
from tenants.actions import teams
from tenants.errors import SlugTaken

PLACE = "console:settings"


@require_GET
@member_page("people:read")
def listing(request: MemberRequest) -> HttpResponse:
    """Show the teams."""
    context = {"teams": people_pages.teams(), "may_write": request.member.can("admin")}
    return show(request, "console/settings/teams.html", context, place=PLACE)


@require_http_methods(["GET", "POST"])
@member_page("admin")
def new(request: MemberRequest) -> HttpResponse:
    """Make a team."""
    if request.method != "POST":
        return _form(request, "", "", "", [])
    return _saved(request, "", request.POST.get("slug", "").strip())


@require_http_methods(["GET", "POST"])
@member_page("admin")
def one(request: MemberRequest, slug: str) -> HttpResponse:
    """Change a team: what it is called and who is in it."""
    found = people_pages.team(slug)
    if request.method != "POST":
        return _form(request, slug, slug, found.name, people_pages.members_of(found))
    return _saved(request, slug, request.POST.get("slug", "").strip())


@require_POST
@member_page("admin")
def delete(request: MemberRequest, slug: str) -> HttpResponse:
    """Take a team away, with all that was granted to it."""
    found = people_pages.team(slug)
    if say(request, lambda: teams.delete(found, acting_as=request.member.principal.actor), f"The team {slug} is gone."):
        return redirect("console:teams", tenant=request.member.tenant.slug)
    return redirect("console:team", tenant=request.member.tenant.slug, slug=slug)


def _saved(request: MemberRequest, slug: str, wanted: str) -> HttpResponse:
    name, emails = request.POST.get("name", "").strip(), request.POST.get("members", "").split()

    def put() -> object:
        if not slug and people_pages.has_team(wanted):
            raise SlugTaken(f"There is a team {wanted} already; choose another name.")
        return teams.put(
            tenant_id=request.member.tenant.id,
            slug=slug or wanted,
            name=name,
            emails=emails,
            rename_to=wanted if slug and wanted != slug else None,
            acting_as=request.member.principal.actor,
        )

    _, refusal = attempt(request, put)
    if refusal is not None:
        answer = _form(request, slug, wanted, name, emails, problem=str(refusal))
        answer.status_code = refusal.status
        return answer
    messages.success(request, f"The team {wanted} is saved: what is granted to it, everybody in it has.")
    return redirect("console:teams", tenant=request.member.tenant.slug)


def _form(
    request: MemberRequest, slug: str, wanted: str, name: str, emails: list[str], *, problem: str = ""
) -> HttpResponse:
    context = {
        "slug": slug,
        "wanted": wanted,
        "name": name,
        "emails": emails,
        "problem": problem,
    }
    return show(request, "console/settings/team.html", context, place=PLACE)
