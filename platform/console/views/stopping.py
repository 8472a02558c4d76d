"""The kill switch of an agent."""

from django.contrib import messages
from django.db import connection
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_POST

from agents.actions import stopping
from agents.models import Agent
from console import agent_pages, stopping_page
from console.attempts import attempt, say
from console.members import MemberRequest, member_page
from console.pages import show
from console.typed import typed
from console.views.agents import PLACE, check_edit
from db.errors import Refusal
from db.scope import tenant_scope


@require_http_methods(["GET", "POST"])
@member_page("agents:read", scope=False)
def stop(request: MemberRequest, slug: str) -> HttpResponse:
    """Show how many runs it would end and ask why; then stop the agent, and end them if that was chosen.

    Outside the scope: new runs are refused from the first commit on, and each run under way is ended in its own.
    """
    agent = _editable(request, slug)
    if request.method != "POST":
        return _form(request, agent)
    reason = typed(request.POST, "reason")
    by = request.member.principal
    found, refusal = attempt(request, lambda: stopping.stop(agent, reason=reason, anew=True, acting_as=by))
    if found is None:
        return _form(request, agent, refusal)
    messages.success(request, f"{slug} is stopped: no new run of it begins.")
    return _ended(request, found) if request.POST.get("end") == "yes" else _to(request, slug)


@require_POST
@member_page("runs:write", scope=False)
def end_runs(request: MemberRequest, slug: str) -> HttpResponse:
    """End the runs of a stopped agent that are under way; one that is not stopped keeps them."""
    return _ended(request, _editable(request, slug))


@require_POST
@member_page("agents:read")
def go_on(request: MemberRequest, slug: str) -> HttpResponse:
    """Let new runs begin again."""
    agent = agent_pages.agent_of(slug)
    check_edit(request, slug)
    told = f"{slug} takes new runs again. What was ended stays ended."
    say(request, lambda: stopping.let_go_on(agent, acting_as=request.member.principal), told)
    return _to(request, slug)


def _editable(request: MemberRequest, slug: str) -> Agent:
    with tenant_scope(request.member.tenant.id):
        agent = agent_pages.agent_of(slug)
        check_edit(request, slug)
        return agent


def _form(request: MemberRequest, agent: Agent, refusal: Refusal | None = None) -> HttpResponse:
    with tenant_scope(request.member.tenant.id):
        agent.refresh_from_db(fields=["stopped_at"])
        context = {
            "slug": agent.slug,
            "stopped": stopping_page.stopped(agent, request.member),
            "under_way": stopping.under_way(agent).count(),
            "may_end": stopping.may_end(agent, request.member.principal),
            "reason": request.POST.get("reason", ""),
            "ends": request.method != "POST" or request.POST.get("end") == "yes",
            "problem": str(refusal or ""),
        }
        answer = show(request, "console/agents/stop.html", context, place=PLACE)
    answer.status_code = refusal.status if refusal else 200
    return answer


def _ended(request: MemberRequest, agent: Agent) -> HttpResponse:
    try:
        ended, refusal = attempt(request, lambda: stopping.end_runs(agent, acting_as=request.member.principal))
    finally:
        connection.close()
    if ended is None:
        messages.error(request, str(refusal))
    elif ended.left:
        messages.error(request, f"{_runs(ended.asked)} asked to end; {ended.left} are left: end them, too.")
    else:
        messages.success(request, f"{_runs(ended.asked)} asked to end, after the step each is in.")
    return _to(request, agent.slug)


def _runs(count: int) -> str:
    return "1 run was" if count == 1 else f"{count} runs were"


def _to(request: MemberRequest, slug: str) -> HttpResponse:
    return redirect("console:agent", tenant=request.member.tenant.slug, slug=slug)
