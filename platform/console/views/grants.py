"""Grants on one agent or tool: given and taken back on its page."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from access import grants
from agents.actions.grants import give
from agents.models import Agent, Tool
from console import agent_pages, grants_page, tool_pages
from console.attempts import attempt, say
from console.grants_page import Given
from console.members import MemberRequest, member_page
from console.views import agents, tools


@require_POST
@member_page("grants:write")
def on_tool(request: MemberRequest, name: str) -> HttpResponse:
    """Let somebody have runs use the tool, always or where a condition holds."""
    tool = tool_pages.tool_of(name)
    given = _given(request, tool)
    return tools.shown(request, name, given=given, status=422) if given.problem else _back(request, tool)


@require_POST
@member_page("grants:write")
def off_tool(request: MemberRequest, name: str, grant: UUID) -> HttpResponse:
    """Take a grant on the tool back; calls from now on are refused, also in runs under way."""
    return _taken(request, tool_pages.tool_of(name), grant)


@require_POST
@member_page("grants:write")
def on_agent(request: MemberRequest, slug: str) -> HttpResponse:
    """Let somebody run, change or review the agent."""
    agent = agent_pages.agent_of(slug)
    given = _given(request, agent)
    return agents.shown(request, slug, given=given, status=422) if given.problem else _back(request, agent)


@require_POST
@member_page("grants:write")
def off_agent(request: MemberRequest, slug: str, grant: UUID) -> HttpResponse:
    """Take a grant on the agent back."""
    return _taken(request, agent_pages.agent_of(slug), grant)


def _given(request: MemberRequest, obj: Agent | Tool) -> Given:
    """Give what the form says; what it says comes back when that is refused, with why."""
    known = grants.permissions(type(obj))
    to, condition = request.POST.get("to", "").strip(), request.POST.get("condition", "").strip()
    permission = request.POST.get("permission", "") if len(known) > 1 else known[0]
    given = Given(to, permission, condition)

    def act() -> None:
        holder, more = grants_page.holder_of(to), condition or None
        give(obj, permission, holder, condition=more, acting_as=request.member.principal)

    if not to:
        return Given("", permission, condition, "Write whom: the e-mail address of a member, or a team.")
    _, refusal = attempt(request, act)
    if refusal is not None:
        return Given(to, permission, condition, str(refusal))
    messages.success(request, f"{to}: {grants_page.WORDS[permission].lower()}. It holds from now on.")
    return given


def _taken(request: MemberRequest, obj: Agent | Tool, grant: UUID) -> HttpResponse:
    grants_page.check_there(obj, grant)
    told = "The grant is taken back. It holds no more, also for runs under way."
    say(request, lambda: grants.remove(obj, grant, acting_as=request.member.principal), told)
    return _back(request, obj)


def _back(request: MemberRequest, obj: Agent | Tool) -> HttpResponse:
    tenant = request.member.tenant.slug
    if isinstance(obj, Tool):
        return redirect("console:tool", tenant=tenant, name=obj.name)
    return redirect("console:agent", tenant=tenant, slug=obj.slug)
