"""Agents: the list, one of them, its draft with what the model would be told, its versions, a run of it."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from access import grants
from access.errors import AccessDenied, MissingGrant
from agents.actions import agents, runs, versions
from agents.errors import AgentError, NothingToPublish
from agents.models import Agent, AgentVersion
from console import agent_pages, forms, grants_page, stopping_page
from console.events import pretty
from console.grants_page import Given
from console.members import MemberRequest, member_page, record_refusal
from console.pages import show, wants_part
from console.run_list import uuid_of
from db.errors import Refusal

Json = Any
Context = dict[str, Any]

PLACE = "console:agents"
REFUSALS = (AccessDenied, AgentError)


@require_GET
@member_page("agents:read")
def listing(request: MemberRequest) -> HttpResponse:
    """Show the tenant's agents."""
    context = {
        "agents": agent_pages.listed(),
        "days": agent_pages.DAYS,
        "may_write": request.member.can("agents:write"),
    }
    return show(request, "console/agents/list.html", context, place=PLACE)


@require_GET
@member_page("agents:read")
def overview(request: MemberRequest, slug: str) -> HttpResponse:
    """Show one agent: how it does, its versions, what the live one is told."""
    return shown(request, slug)


def shown(request: MemberRequest, slug: str, *, given: Given | None = None, status: int = 200) -> HttpResponse:
    """Show the agent's page. given: what was written in the form of grants."""
    agent = agent_pages.agent_of(slug)
    context = {
        "agent": agent_pages.overview(agent, request.member),
        "days": agent_pages.DAYS,
        "stopped": stopping_page.stopped(agent, request.member),
        "card": grants_page.card_of(agent, request.member, given or Given(), uuid_of(request.GET.get("grants", ""))),
    }
    answer = show(request, "console/agents/agent.html", context, place=PLACE)
    answer.status_code = status
    return answer


@require_http_methods(["GET", "POST"])
@member_page("agents:write")
def new(request: MemberRequest) -> HttpResponse:
    """Make an agent."""
    if request.method != "POST":
        return form(request, "", {"model": "claude-sonnet-5", "tools": "escalate_to_human"}, is_new=True)
    return _saved(request, request.POST.get("slug", "").strip(), is_new=True)


@require_http_methods(["GET", "POST"])
@member_page("agents:read")
def draft(request: MemberRequest, slug: str) -> HttpResponse:
    """Change what is being worked on; runs see it once it is published."""
    agent = agent_pages.agent_of(slug)
    check_edit(request, slug)
    if request.method == "POST":
        return _saved(request, slug)
    values = forms.values_of(agents.spec_of(agent) or {}, agent_pages.sections())
    return form(request, slug, values, expected=agents.digest_of(agent))


@require_POST
@member_page("agents:read")
def preview(request: MemberRequest) -> HttpResponse:
    """Show what the model would be told by the form as it stands; nothing is kept."""
    slug = request.POST.get("slug", "").strip()
    check_edit(request, slug)
    values = values_of(request)
    spec, problems = forms.spec_of(values, agent_pages.sections())
    faults = [{"pointer": each.pointer, "detail": each.message} for each in problems]
    context = _previewed(request, slug or "new-agent", spec, faults)
    if wants_part(request):
        return render(request, "console/agents/_preview.html", context)
    is_new = request.POST.get("new") == "yes" or not slug
    return form(request, slug, values, is_new=is_new, expected=request.POST.get("expected", ""), **context)


@require_POST
@member_page("agents:read")
def publish(request: MemberRequest, slug: str) -> HttpResponse:
    """Let new runs use a version: the one that is named, else one that is made of the draft."""
    agent = agent_pages.agent_of(slug)
    named = request.POST.get("number", "")
    try:
        number = int(named) if named.isascii() and named.isdigit() else _made(agent, request).number
        version = versions.publish(agent, number, acting_as=request.member.principal)
    except REFUSALS as refusal:
        return _told(request, slug, refusal)
    messages.success(request, f"Version {version.number} is live: new runs use it; those under way keep theirs.")
    return redirect("console:agent", tenant=request.member.tenant.slug, slug=slug)


@require_POST
@member_page("agents:read")
def roll_back(request: MemberRequest, slug: str) -> HttpResponse:
    """Let new runs use the version that was live before."""
    try:
        version = versions.rollback(agent_pages.agent_of(slug), acting_as=request.member.principal)
    except REFUSALS as refusal:
        return _told(request, slug, refusal)
    messages.success(request, f"Rolled back: version {version.number} is live again.")
    return redirect("console:agent", tenant=request.member.tenant.slug, slug=slug)


@require_GET
@member_page("agents:read")
def compare(request: MemberRequest, slug: str, before: int, after: int) -> HttpResponse:
    """Show what two versions differ in."""
    agent = agent_pages.agent_of(slug)
    first, second = agent_pages.version_of(agent, before), agent_pages.version_of(agent, after)
    context = {"slug": slug, "before": before, "after": after, "compared": agent_pages.compared(first, second)}
    return show(request, "console/agents/compare.html", context, place=PLACE)


@require_http_methods(["GET", "POST"])
@member_page("runs:write")
def run(request: MemberRequest, slug: str) -> HttpResponse:
    """Start a run of the live version and go to its page."""
    agent = agent_pages.agent_of(slug)
    if not grants.held(request.member.principal, "run", agent):
        raise PermissionDenied("You may not run this agent.") from MissingGrant("You may not run this agent.")
    choices = agent_pages.runnable_versions(agent, request.member)
    first = choices[0][0] if choices else ""
    number = request.POST.get("version", request.GET.get("version", first))
    schema = (agent_pages.spec_of_choice(agent, number) or {}).get("input_schema")
    text = request.POST.get("input", agent_pages.example_of(schema))
    problem, errors = "", list[Json]()
    if request.method == "POST":
        try:
            given = json.loads(text)
            with transaction.atomic():  # so that a start that is refused leaves no version of the draft behind
                asked = runs.Request(agent=slug, input=given, version=_version(agent, number, request))
                made = runs.submit(asked, acting_as=request.member.principal)
        except REFUSALS as refusal:
            record_refusal(request, refusal)
            problem, errors = str(refusal), list(getattr(refusal, "errors", ()))
        except ValueError as error:
            problem = f"The input is not JSON: {error}."
        else:
            if number == agent_pages.DRAFT:
                messages.success(request, f"Rehearsed as version {asked.version}, which is not live. The draft stays.")
            return redirect("console:run", tenant=request.member.tenant.slug, run=made.run.id)
    schema_text = pretty(schema) if schema else ""
    context = {"slug": slug, "text": text, "schema": schema_text, "problem": problem, "errors": errors}
    context |= {"choices": choices, "chosen": number}
    answer = show(request, "console/agents/run.html", context, place=PLACE)
    answer.status_code = 422 if problem else 200
    return answer


def check_edit(request: MemberRequest, slug: str) -> None:
    """Raise `PermissionDenied`, which shows why, unless the member may change the agent."""
    try:
        agents.may_edit(slug, request.member.principal)
    except AccessDenied as error:
        raise PermissionDenied(str(error)) from error


def _version(agent: Agent, chosen: str, request: MemberRequest) -> int | None:
    """Return the number of the version to run; None for the live one.

    A draft is made a version, which stays unlive, and stays a draft. Raises `NothingToPublish` where there is none.
    """
    if chosen == agent_pages.DRAFT:
        if agent.draft is None:
            raise NothingToPublish("There is no draft any more: it was published, or let go. Choose a version.")
        return versions.create(agent, keeps_draft=True, acting_as=request.member.principal).version.number
    return int(chosen) if chosen.isascii() and chosen.isdigit() and len(chosen) < 10 else None


def _made(agent: Agent, request: MemberRequest) -> AgentVersion:
    return versions.create(agent, acting_as=request.member.principal).version


def _told(request: MemberRequest, slug: str, refusal: Refusal) -> HttpResponse:
    record_refusal(request, refusal)
    messages.error(request, str(refusal))
    return redirect("console:agent", tenant=request.member.tenant.slug, slug=slug)


def values_of(request: MemberRequest) -> dict[str, str]:
    """Return what the form's fields hold."""
    return {
        field.name: "\n".join(request.POST.getlist(field.name))
        for section in agent_pages.sections()
        for field in section.fields
    }


def _saved(request: MemberRequest, slug: str, *, is_new: bool = False) -> HttpResponse:
    values, expected = values_of(request), request.POST.get("expected") or None
    spec, problems = forms.spec_of(values, agent_pages.sections())
    faults = [{"pointer": each.pointer, "detail": each.message} for each in problems]
    try:
        if faults:
            raise AgentError("Some fields cannot be read; nothing was saved.", errors=faults)
        if is_new and Agent.objects.filter(slug=slug).exists():
            raise AgentError(f"There is an agent {slug} already; choose another name.")
        agents.put_draft(slug, spec, expected=expected, acting_as=request.member.principal)
    except REFUSALS as refusal:
        record_refusal(request, refusal)
        found = getattr(refusal, "errors", ())
        answer = form(request, slug, values, is_new=is_new, expected=expected or "", problem=str(refusal), faults=found)
        answer.status_code = refusal.status
        return answer
    messages.success(request, "The draft is saved. Publish it to let new runs use it.")
    return redirect("console:agent", tenant=request.member.tenant.slug, slug=slug)


def _previewed(
    request: MemberRequest, slug: str, spec: Mapping[str, Json], faults: Sequence[Mapping[str, str]]
) -> Context:
    if faults:
        return {"preview": None, "preview_problem": "Some fields cannot be read yet.", "faults": faults}
    try:
        made = versions.preview(slug, spec, acting_as=request.member.principal)
    except REFUSALS as refusal:
        return {"preview": None, "preview_problem": str(refusal), "faults": getattr(refusal, "errors", ())}
    return {"preview": made, "offered": [pretty(tool) for tool in made.tools], "faults": ()}


def form(
    request: MemberRequest,
    slug: str,
    values: Mapping[str, str],
    *,
    is_new: bool = False,
    expected: str = "",
    problem: str = "",
    faults: Sequence[Mapping[str, str]] = (),
    **more: Any,
) -> HttpResponse:
    """Show the form of a draft. more: what a preview or a trial of it came to."""
    sections = agent_pages.sections()
    spec, unread = forms.spec_of(values, sections)
    context: Context = {
        "slug": slug,
        "is_new": is_new,
        "expected": expected,
        "problem": problem,
        "errors": faults if problem else (),
        "parts": forms.shown(sections, values, faults),
    }
    if "preview" not in more and not unread and not is_new:
        more |= _previewed(request, slug, spec, ())
    return show(request, "console/agents/form.html", context | {"faults": faults} | more, place=PLACE)
