"""Developers: from a key to the first run, and to a webhook whose signature is checked."""

import json

from django.conf import settings
from django.http import HttpResponse
from django.views.decorators.http import require_GET

from console import agent_pages, examples
from console.members import MemberRequest, member_page
from console.pages import show
from tenants.models import ApiKey


@require_GET
@member_page("runs:write")
def start(request: MemberRequest) -> HttpResponse:
    """Show how a program starts runs here, with the address and an agent of this installation."""
    agent = agent_pages.runnable(request.member)
    schema = agent.live.document.get("input_schema") if agent and agent.live else None
    given = json.loads(agent_pages.example_of(schema))
    slug, base = agent.slug if agent else "NAME", settings.BASE_URL
    context = {
        "agent": agent,
        "base": base,
        "curl": examples.start_with_curl(base, slug, given),
        "read": examples.read_with_curl(base),
        "python": examples.start_with_python(base, slug, given),
        "verify": examples.VERIFY,
        "verify_library": examples.VERIFY_LIBRARY,
        "may_make_keys": request.member.can("keys:write"),
        "may_have_webhooks": request.member.can("webhooks:write"),
        "has_key": ApiKey.objects.filter(principal_id=request.member.user.id, revoked_at=None).exists(),
    }
    return show(request, "console/developers/start.html", context, place="console:developers")
