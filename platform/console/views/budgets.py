"""Budgets: set, changed and removed from the page of usage."""

from collections.abc import Mapping
from typing import Any, Final

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_POST

from agents.actions import budgets
from agents.errors import AgentError
from agents.models import Agent
from console.attempts import attempt, say
from console.members import MemberRequest, member_page
from console.pages import show
from quotas.models import Budget

Json = Any

PLACE = "console:usage"
FIELDS: Final = ("name", "of", "agent", "user", "window", "usd", "tokens", "soft")

#: What of a budget is changed later.
LIMITS: Final = ("usd", "tokens", "soft")

STALE: Final = "Somebody changed it since you opened it. What it is now stands beside what you typed; look, and set it."


@require_http_methods(["GET", "POST"])
@member_page("agents:write")
def budget(request: MemberRequest, name: str = "") -> HttpResponse:
    """Set a budget, or change its limits; what it is of and its window stay for life."""
    found = _found(name) if name else None
    spec = budgets.spec_of(found) if found else {}
    if request.method != "POST":
        return _form(request, name, _given(name, spec), spec)
    given = {field: request.POST.get(field, "").strip() for field in FIELDS}
    if found is not None and request.POST.get("expected") != str(spec):
        present = _given(name, spec)
        typed = {field: given[field] for field in LIMITS}
        answer = _form(request, name, present | typed, spec, problem=STALE, present=present)
        answer.status_code = 412
        return answer

    def put() -> Budget:
        if found is None and budgets.named().filter(name=given["name"]).exists():
            raise AgentError(f"There is a budget {given['name']} already; choose another name.")
        wanted = _spec(given) if found is None else _spec(given) | {"of": spec["of"], "window": spec["window"]}
        return budgets.put(name or given["name"], wanted, acting_as=request.member.principal)

    _, refusal = attempt(request, put)
    if refusal is not None:
        errors = getattr(refusal, "errors", None) or ()
        answer = _form(request, name, given, spec, problem=str(refusal), errors=errors)
        answer.status_code = refusal.status
        return answer
    messages.success(request, "The budget is set. Runs that begin or go on from now keep to it.")
    return redirect("console:usage", tenant=request.member.tenant.slug)


@require_POST
@member_page("agents:write")
def remove(request: MemberRequest, name: str) -> HttpResponse:
    """Take a budget's limits away."""
    _found(name)
    say(request, lambda: budgets.remove(name, acting_as=request.member.principal), f"The budget {name} is gone.")
    return redirect("console:usage", tenant=request.member.tenant.slug)


def _found(name: str) -> Budget:
    found = budgets.named().filter(name=name).first()
    if found is None:
        raise Http404
    return found


def _spec(given: Mapping[str, str]) -> dict[str, Json]:
    """Read the form. What is no number is handed on as it is, for the check of the document to say so."""
    kind = given["of"]
    spec: dict[str, Json] = {
        "of": {kind: given[kind]} if kind in {"agent", "user"} else {"tenant": True},
        "window": given["window"] if given["window"] in {"day", "month"} else "month",
    }
    if given["usd"]:
        spec["usd"] = given["usd"].removeprefix("$")
    if given["tokens"]:
        text = given["tokens"].replace(",", "").replace(" ", "")
        spec["tokens"] = int(text) if text.isascii() and text.isdigit() and len(text) < 19 else given["tokens"]
    if given["soft"]:
        spec["soft"] = _share(given["soft"])
    return spec


def _share(text: str) -> Json:
    try:
        return round(float(text.removesuffix("%")) / 100, 3)
    except ValueError:
        return text


def _given(name: str, spec: Mapping[str, Json]) -> dict[str, str]:
    if not spec:
        return {"window": "month", "of": "tenant"}
    [(kind, which)] = spec["of"].items()
    soft = f"{spec['soft'] * 100:g}" if "soft" in spec else ""
    limits = {"usd": str(spec.get("usd", "")), "tokens": str(spec.get("tokens", "")), "soft": soft}
    return {"name": name, "of": kind, kind: "" if which is True else str(which), "window": spec["window"], **limits}


def _form(
    request: MemberRequest, name: str, given: Mapping[str, str], spec: Mapping[str, Json], **more: Any
) -> HttpResponse:
    context = {
        "name": name,
        "given": given,
        "expected": str(spec),
        "agents": list(Agent.objects.order_by("slug").values_list("slug", flat=True)[:500]),
    }
    return show(request, "console/usage/budget.html", context | more, place=PLACE)
