"""Where Settings begin: the first of their pages that the member may open."""

from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_GET

from console.members import MemberRequest, member_page
from console.pages import tabs_of


@require_GET
@member_page()
def begin(request: MemberRequest) -> HttpResponse:
    """Lead to the first page of settings that the role may open."""
    for tab in tabs_of(request.member, "console:settings"):
        return redirect(tab.view, tenant=request.member.tenant.slug)
    raise PermissionDenied("Your role has no settings here; your own account is behind your initials.")
