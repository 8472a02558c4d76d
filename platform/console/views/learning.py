"""What is learnt from people: cases of an agent, and what users say of its outputs."""

from typing import Final
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_GET, require_POST

from console import inbox_item, learning_pages
from console.attempts import attempt, say
from console.audit_query import Unreadable
from console.inbox_list import Filters
from console.members import MemberRequest, member_page
from console.pages import show
from console.run_list import uuid_of
from console.typed import typed
from console.views import inbox
from learning.actions import cases as keeping
from learning.models import Case
from learning.models.case import TAGS
from learning.presenters import by_version_json

PLACE: Final = "console:agents"
LONGEST_NOTE: Final = 4000

#: Versions whose feedback is counted; older ones are counted in the API.
VERSIONS: Final = 20


@require_GET
@member_page("agents:read")
def cases(request: MemberRequest, slug: str) -> HttpResponse:
    """Show what people taught about an agent, newest first."""
    agent, tag = learning_pages.agent_of(slug), request.GET.get("tag", "")
    tag, before = tag if tag in TAGS else "", uuid_of(request.GET.get("before", ""))
    listed, older = learning_pages.cases_of(agent, tag, before, request.member)
    context = {
        "agent": agent,
        "cases": listed,
        "older": older,
        "tag": tag,
        "tags": TAGS,
        "is_later": before is not None,
    }
    return show(request, "console/agents/cases.html", context, place=PLACE)


@require_GET
@member_page("agents:read")
def case(request: MemberRequest, slug: str, case: UUID) -> HttpResponse:
    """Show one case: the input and what is expected for it."""
    agent = learning_pages.agent_of(slug)
    found = learning_pages.case_of(agent, case)
    [shown] = learning_pages.shown_cases([found], request.member)
    context = {"agent": agent, "case": shown, "may_remove": learning_pages.may_remove(found, request.member)}
    return show(request, "console/agents/case.html", context, place=PLACE)


@require_POST
@member_page("agents:read")
def remove(request: MemberRequest, slug: str, case: UUID) -> HttpResponse:
    """Let a case go."""
    found = learning_pages.case_of(learning_pages.agent_of(slug), case)
    say(request, lambda: keeping.remove(found.id, acting_as=request.member.principal), "The case is let go.")
    return redirect("console:cases", tenant=request.member.tenant.slug, slug=slug)


@require_POST
@member_page("escalations:read")
def keep(request: MemberRequest, escalation: UUID) -> HttpResponse:
    """Keep what the answer to a question taught as a case of the agent; what was typed stays when it is refused."""
    found = inbox_item.escalation_of(escalation, request.member)
    tag, note = request.POST.get("tag", ""), typed(request.POST, "note")

    def act() -> Case:
        if tag not in TAGS or len(note) > LONGEST_NOTE:
            raise Unreadable(f"Choose what kind of case it is; a note has {LONGEST_NOTE} characters at most.")
        return keeping.keep(found.id, tag=tag, note=note or None, acting_as=request.member.principal)

    made, refusal = attempt(request, act)
    if made is None:
        refusal = refusal or Unreadable("It is not kept.")
        return inbox.refused(request, Filters.of(request.GET, request.member), found.id, "", refusal)
    messages.success(request, "It is kept as a case of the agent.")
    return redirect("console:case", tenant=request.member.tenant.slug, slug=made.agent.slug, case=made.id)


@require_GET
@member_page("agents:read")
def feedback(request: MemberRequest, slug: str) -> HttpResponse:
    """Show what users say of the outputs of an agent: counted by version, and word for word."""
    agent, before = learning_pages.agent_of(slug), uuid_of(request.GET.get("before", ""))
    listed, older = learning_pages.feedback_of(agent, before, request.member)
    context = {
        "agent": agent,
        "versions": by_version_json(agent.id, VERSIONS),
        "most_versions": VERSIONS,
        "said": listed,
        "older": older,
        "is_later": before is not None,
    }
    return show(request, "console/agents/feedback.html", context, place=PLACE)
