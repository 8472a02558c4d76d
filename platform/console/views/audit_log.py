"""The log that proves the journal: its last signed head, and who else saw it."""

from django.http import HttpResponse
from django.views.decorators.http import require_GET

from console import audit_log
from console.members import MemberRequest, member_page
from console.pages import show


@require_GET
@member_page("audit:read")
def log(request: MemberRequest) -> HttpResponse:
    """Show the log's head. Heads tell of nobody, so reading one leaves no record."""
    head, broken = audit_log.head_of(request.member.tenant)
    return show(request, "console/audit/log.html", {"head": head, "broken": broken}, place="console:audit")
