"""Tools, MCP servers and policies: what there is, defining it, trying it."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.contrib import messages
from django.db import connection
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from access.errors import AccessDenied
from agents.actions import mcp_servers, policies, tools, tries, trying_policies
from agents.errors import AgentError
from agents.models import Policy, Tool
from console import forms, grants_page, tool_pages
from console.forms import Section
from console.grants_page import Given
from console.members import MemberRequest, member_page, record_refusal
from console.pages import show
from console.run_list import uuid_of
from db.scope import tenant_scope

Json = Any

TOOLS, POLICIES = "console:tools", "console:policies"
REFUSALS = (AccessDenied, AgentError)


@require_GET
@member_page("tools:read")
def listing(request: MemberRequest) -> HttpResponse:
    """Show the tenant's tools, and the MCP servers that some of them are on."""
    context = {"tools": tool_pages.listed(), "servers": tool_pages.servers(), "may_write": _may_write(request)}
    return show(request, "console/tools/list.html", context, place=TOOLS)


@require_GET
@member_page("tools:read")
def one(request: MemberRequest, name: str) -> HttpResponse:
    """Show one tool, with a form to try it."""
    return shown(request, name)


@require_POST
@member_page("tools:write", scope=False)
def attempt(request: MemberRequest, name: str) -> HttpResponse:
    """Call the tool once, for the member who asks. Outside the scope: the intent is committed before the call."""
    tenant, text = request.member.tenant.id, request.POST.get("arguments", "")
    with tenant_scope(tenant):
        tool_pages.tool_of(name)
    made, problem, errors = None, "", list[Json]()
    try:
        arguments = json.loads(text)
        confirm = request.POST.get("confirm") == "yes"
        made = tries.make(name, arguments, confirm=confirm, acting_as=request.member.principal)
    except REFUSALS as refusal:
        record_refusal(request, refusal)
        problem, errors = str(refusal), list(getattr(refusal, "errors", ()))
    except ValueError as error:
        problem = f"The arguments are not JSON: {error}."
    finally:
        connection.close()
    with tenant_scope(tenant):
        tried = tool_pages.tried(made) if made else None
        answer = shown(request, name, text=text, tried=tried, problem=problem, errors=errors)
    answer.status_code = 422 if problem else 200
    return answer


@require_http_methods(["GET", "POST"])
@member_page("tools:write")
def define(request: MemberRequest, name: str = "") -> HttpResponse:
    """Define a tool; agents published from now on get it."""
    tool = tool_pages.tool_of(name) if name else None
    live: Any = tool.live if tool else None

    def put(made: str, spec: Mapping[str, Json], expected: str | None) -> None:
        if not name and Tool.objects.filter(name=made).exclude(live=None).exists():
            raise AgentError(f"There is a tool {made} already; choose another name.")
        tools.put(made, spec, expected=expected, acting_as=request.member.principal)

    digest, spec = (live.digest, live.document) if live else ("", {"type": "http", "effect": "read"})
    return _document(request, "tool", name, tool_pages.tool_sections(), spec, digest, put)


@require_GET
@member_page("tools:read")
def policy_list(request: MemberRequest) -> HttpResponse:
    """Show the tenant's policies."""
    context = {"policies": tool_pages.policies(), "may_write": _may_write(request)}
    return show(request, "console/policies/list.html", context, place=POLICIES)


@require_http_methods(["GET", "POST"])
@member_page("tools:write")
def policy(request: MemberRequest, name: str = "") -> HttpResponse:
    """Define a policy, or try it on past runs first."""
    found = tool_pages.policy_of(name) if name else None
    if request.POST.get("do") == "try":
        return _tried_policy(request, name)

    def put(made: str, spec: Mapping[str, Json], expected: str | None) -> None:
        if not name and Policy.objects.filter(name=made).exists():
            raise AgentError(f"There is a policy {made} already; choose another name.")
        policies.put(made, spec, expected=expected, acting_as=request.member.principal)

    digest, spec = (policies.digest_of(found), found.document) if found else ("", {"then": "approve"})
    return _document(request, "policy", name, tool_pages.policy_sections(), spec, digest, put)


@require_POST
@member_page("tools:write")
def policy_delete(request: MemberRequest, name: str) -> HttpResponse:
    """Take a policy away; calls planned from now on are not held by it."""
    tool_pages.policy_of(name)
    policies.delete(name, acting_as=request.member.principal)
    messages.success(request, f"The policy {name} is gone.")
    return redirect("console:policies", tenant=request.member.tenant.slug)


@require_POST
@member_page("tools:write", scope=False)
def discover(request: MemberRequest, name: str) -> HttpResponse:
    """Ask an MCP server what it offers now. Tools stay pinned to what they were saved with."""
    with tenant_scope(request.member.tenant.id):
        if all(server.name != name for server in tool_pages.servers()):
            raise Http404
    try:
        mcp_servers.discover(name, acting_as=request.member.principal)
    except REFUSALS as refusal:
        record_refusal(request, refusal)
        messages.error(request, str(refusal))
    else:
        messages.success(request, f"{name} was asked what it offers.")
    finally:
        connection.close()
    return redirect("console:tools", tenant=request.member.tenant.slug)


@require_POST
@member_page("tools:write")
def repin(request: MemberRequest, name: str) -> HttpResponse:
    """Say yes to the definition that the tool's MCP server has now: the one whose hash was shown."""
    tool = tool_pages.tool_of(name)
    live: Any = tool.live
    spec = {key: value for key, value in live.document.items() if key != "input_schema"}
    spec["mcp"] = {**(spec.get("mcp") or {}), "definition": request.POST.get("definition", "")}
    try:
        tools.put(name, spec, expected=request.POST.get("expected") or None, acting_as=request.member.principal)
    except REFUSALS as refusal:
        record_refusal(request, refusal)
        messages.error(request, str(refusal))
    else:
        messages.success(request, "The new definition is approved; agents published from now on get it.")
    return redirect("console:tool", tenant=request.member.tenant.slug, name=name)


def _may_write(request: MemberRequest) -> bool:
    return request.member.can("tools:write")


def shown(
    request: MemberRequest, name: str, *, given: Given | None = None, status: int = 200, **more: Any
) -> HttpResponse:
    """Show the tool's page. given: what was written in the form of grants; more: what came of a try."""
    tool = tool_pages.tool_of(name)
    context = {
        "tool": tool_pages.page(tool),
        "may_write": _may_write(request),
        "card": grants_page.card_of(tool, request.member, given or Given(), uuid_of(request.GET.get("grants", ""))),
    }
    answer = show(request, "console/tools/tool.html", context | more, place=TOOLS)
    answer.status_code = status
    return answer


Put = Callable[[str, Mapping[str, Json], str | None], None]


def _document(
    request: MemberRequest,
    kind: str,
    name: str,
    sections: Sequence[Section],
    spec: Mapping[str, Json],
    digest: str,
    put: Put,
) -> HttpResponse:
    """Show the form of a document, or save it by `put` and go to its page."""
    if request.method != "POST":
        return _form(request, kind, name, sections, forms.values_of(spec, sections), digest)
    values = _values(request, sections)
    wanted = name or request.POST.get("name", "").strip()
    expected = request.POST.get("expected", "")
    written, problems = forms.spec_of(values, sections)
    faults = [{"pointer": each.pointer, "detail": each.message} for each in problems]
    try:
        if faults:
            raise AgentError("Some fields cannot be read; nothing was saved.", errors=faults)
        put(wanted, written, expected or None)
    except REFUSALS as refusal:
        record_refusal(request, refusal)
        found = list(getattr(refusal, "errors", ()))
        answer = _form(
            request, kind, name, sections, values, expected, problem=str(refusal), errors=found, wanted=wanted
        )
        answer.status_code = refusal.status
        return answer
    messages.success(request, f"The {kind} {wanted} is saved.")
    if kind == "tool":
        return redirect("console:tool", tenant=request.member.tenant.slug, name=wanted)
    return redirect("console:policies", tenant=request.member.tenant.slug)


def _tried_policy(request: MemberRequest, name: str) -> HttpResponse:
    sections = tool_pages.policy_sections()
    values, expected = _values(request, sections), request.POST.get("expected", "")
    wanted = name or request.POST.get("name", "").strip() or "new-policy"
    spec, problems = forms.spec_of(values, sections)
    more: dict[str, Any] = {"wanted": request.POST.get("name", "")}
    try:
        if problems:
            raise AgentError(
                "Some fields cannot be read.",
                errors=[{"pointer": each.pointer, "detail": each.message} for each in problems],
            )
        more["trial"] = trying_policies.trial(wanted, spec, acting_as=request.member.principal)
    except REFUSALS as refusal:
        more |= {"problem": str(refusal), "errors": list(getattr(refusal, "errors", ()))}
    return _form(request, "policy", name, sections, values, expected, **more)


def _values(request: MemberRequest, sections: Sequence[Section]) -> dict[str, str]:
    return {field.name: "\n".join(request.POST.getlist(field.name)) for section in sections for field in section.fields}


def _form(
    request: MemberRequest,
    kind: str,
    name: str,
    sections: Sequence[Section],
    values: Mapping[str, str],
    expected: str,
    *,
    problem: str = "",
    errors: Sequence[Mapping[str, str]] = (),
    **more: Any,
) -> HttpResponse:
    context = {
        "name": name,
        "expected": expected,
        "problem": problem,
        "errors": errors,
        "parts": forms.shown(sections, values, errors),
    }
    folder, place = ("tools", TOOLS) if kind == "tool" else ("policies", POLICIES)
    return show(request, f"console/{folder}/form.html", context | more, place=place)
