"""Developers: from a key to the first run, and to a webhook whose signature is checked."""

import json

from django.conf import settings
from django.http import HttpResponse
from django.views.decorators.http import require_GET

from access import grants
from agents.models import Agent
from console import agent_pages, examples
from console.members import Member, MemberRequest, member_page
from console.pages import show
from tenants.models import ApiKey

#: Among how many agents the example looks for one that the reader may run.
LOOKED_AT = 20


@require_GET
@member_page("runs:write")
def start(request: MemberRequest) -> HttpResponse:
    """Show how a program starts runs here, with the address and an agent of this installation."""
    agent = _agent(request.member)
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


def _agent(member: Member) -> Agent | None:
    """Return the published agent that was changed last of those that the member may run."""
    rows = Agent.objects.exclude(live=None).select_related("live").order_by("-updated_at")[:LOOKED_AT]
    return next((each for each in rows if grants.held(member.principal, "run", each)), None)
