"""Search, for the palette and as a page of its own."""

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from console import find as finding
from console.members import MemberRequest, member_page
from console.pages import show, wants_part


@require_GET
@member_page("runs:read")
def find(request: MemberRequest) -> HttpResponse:
    """Show what is called so."""
    words = request.GET.get("q", "")[:200]
    context = {"words": words, "found": finding.find(words, request.member)}
    if wants_part(request):
        return render(request, "console/find/_found.html", context)
    return show(request, "console/find/find.html", context, place="")
