"""What waits for people: the list, one question, the answer to it."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from access.errors import AccessDenied
from agents.errors import AgentError
from console import inbox_hold, inbox_item, inbox_list, inbox_text, learning_pages, wording
from console.events import pretty
from console.inbox_item import Item
from console.inbox_list import Filters
from console.members import MemberRequest, member_page, record_refusal
from console.pages import show, wants_part
from console.run_list import uuid_of
from console.typed import typed
from db.errors import Refusal
from escalations.actions import answers, decisions, life
from escalations.actions.decisions import Answer
from escalations.errors import EscalationError
from escalations.models import Escalation
from escalations.permissions import visible
from tenants.actions import saved_views

Json = Any
Context = dict[str, Any]

UNCHANGED: Final = 204

DONE: Final = {"approve": "Approved", "reject": "Rejected", "edit": "Approved with your edit", "respond": "Sent"}


@require_GET
@member_page("escalations:read")
def listing(request: MemberRequest) -> HttpResponse:
    """Show the list and, beside it, its first question; a refresh that would change nothing answers 204."""
    filters = Filters.of(request.GET, request.member)
    if wants_part(request):
        page = inbox_list.page(filters, request.member, shown=uuid_of(request.GET.get("item", "")))
        if request.GET.get("shown") == page.digest:
            return HttpResponse(status=UNCHANGED)
        return render(
            request, "console/inbox/_list.html", _list(request, filters, page) | _standing(request) | {"part": True}
        )
    first = inbox_list.first_of(filters, request.member)
    context = _item(request, inbox_item.escalation_of(first, request.member)) if first else {"item": None}
    return _whole(request, filters, context)


@require_GET
@member_page("escalations:read")
def item(request: MemberRequest, escalation: UUID) -> HttpResponse:
    """Show one question; `?do=` opens the form of an answer."""
    found = inbox_item.escalation_of(escalation, request.member)
    life.note_opened(found, acting_as=request.member.principal)
    context = _item(request, found, do=request.GET.get("do", ""))
    filters = Filters.of(request.GET, request.member)
    if wants_part(request):
        return render(request, "console/inbox/_item.html", context | {"filters": filters})
    return _whole(request, filters, context | {"alone": True})


@require_POST
@member_page("escalations:read")
def difference(request: MemberRequest, escalation: UUID) -> HttpResponse:
    """Show what the arguments or the output in the form change of what is proposed."""
    found = inbox_item.escalation_of(escalation, request.member)
    context = _item(request, found, do="edit")
    context |= _edited(found, context["item"], request.POST)
    context["reason"] = request.POST.get("reason", "")
    if wants_part(request):
        return render(request, "console/inbox/_difference.html", context)
    return _whole(request, Filters.of(request.GET, request.member), context | {"alone": True})


@require_POST
@member_page("escalations:read")
def decide(request: MemberRequest, escalation: UUID) -> HttpResponse:
    """Give an answer and go on to the next question; a refused one comes back with why, and with what was typed."""
    found = inbox_item.escalation_of(escalation, request.member)
    filters, verb = Filters.of(request.GET, request.member), request.POST.get("decision", "")
    try:
        answer = _answer(request, verb, inbox_item.item(found, request.member))
        decided = decisions.decide(found.id, answer, acting_as=request.member.principal)
    except (AccessDenied, AgentError, EscalationError) as refusal:
        record_refusal(request, refusal)
        return refused(request, filters, escalation, verb, refusal)
    return _go_on(request, filters, decided, verb)


@require_POST
@member_page("escalations:read")
def undo(request: MemberRequest, escalation: UUID) -> HttpResponse:
    """Take one's answer back while it has not taken effect, and show the question, which is open again."""
    found = inbox_item.escalation_of(escalation, request.member)
    filters = Filters.of(request.GET, request.member)
    try:
        answers.undo(found.id, acting_as=request.member.principal)
    except (AccessDenied, AgentError, EscalationError) as refusal:
        record_refusal(request, refusal)
        return refused(request, filters, escalation, "", refusal)
    messages.success(request, "Your answer is taken back, and the run was told nothing. The question is open again.")
    return HttpResponseRedirect(address(request, found.id, filters))


class Incomplete(EscalationError):
    """Something is missing."""

    code = "incomplete"


def _answer(request: MemberRequest, verb: str, asked: Item) -> Answer:
    """Read the form; raises `Incomplete`, which says what is missing."""
    given = request.POST
    reason, message = typed(given, "reason"), typed(given, "message")
    if not reason and (verb in {"reject", "edit"} or (verb == "approve" and asked.needs_reason)):
        raise Incomplete("Say why: the reason is kept in the audit trail.")
    answer = Answer(verb, given.get("digest", ""), reason=reason or None, message=message or None)
    if verb == "edit" and asked.kind == "output":
        return replace(answer, output=_output(given.get("output", ""), asked.edits))
    if verb == "edit":
        return replace(answer, arguments=_arguments(given.get("arguments", "")))
    if verb == "approve" and given.get("output", "").strip():
        return replace(answer, output=_json_or_text(given["output"]))
    return answer


def _arguments(text: str) -> Json:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise Incomplete(f"The arguments are not JSON: {error}.") from error
    if not isinstance(found, dict):
        raise Incomplete("The arguments must be a JSON object: { … }.")
    return found


def _output(text: str, edits: str) -> Json:
    if not text.strip():
        raise Incomplete("Write the output that is to be given out.")
    if edits == "text":
        return _plain(text)
    try:
        return json.loads(text)
    except ValueError as error:
        raise Incomplete(f"The output is not JSON: {error}.") from error


def _plain(text: str) -> str:
    """Return what was typed; a browser sends every end of a line as CR LF."""
    return text.replace("\r\n", "\n")


def _json_or_text(text: str) -> Json:
    try:
        return json.loads(text)
    except ValueError:
        return text.strip()


def refused(request: MemberRequest, filters: Filters, escalation: UUID, verb: str, refusal: Refusal) -> HttpResponse:
    """Show the question again with why something about it was refused, and with what was typed."""
    found = inbox_item.escalation_of(escalation, request.member)
    context = _item(request, found, do=verb, problem=refusal)
    context |= {name: request.POST.get(name, "") for name in ("reason", "message", "output", "tag", "note")}
    if verb == "edit":
        context |= _edited(found, context["item"], request.POST)
    if wants_part(request):
        return render(request, "console/inbox/_item.html", context | {"filters": filters})
    return _whole(request, filters, context | {"alone": True}, status=refusal.status)


def _go_on(request: MemberRequest, filters: Filters, decided: Escalation, verb: str) -> HttpResponse:
    """Show the next question, saying what became of this one."""
    following = inbox_list.next_after(filters, request.member, decided)
    words = DONE.get(verb, "Decided")
    if decided.status == "open":
        left = decided.required - decisions.given(decided)
        words = f"{words}. {left} more {'has' if left == 1 else 'have'} to approve"
    elif decided.is_pending and decided.effective_at is not None:
        words = f"{words}. It can be taken back until {wording.moment(decided.effective_at)}"
    if not wants_part(request):
        messages.success(request, f"{words}.")
        return HttpResponseRedirect(address(request, following, filters))
    context: Context = {"item": None}
    if following is not None:
        found = inbox_item.escalation_of(following, request.member)
        life.note_opened(found, acting_as=request.member.principal)
        context = _item(request, found)
    page = inbox_list.page(filters, request.member, shown=following)
    undo = {"undo": decided.id if decided.is_pending else None}
    answer = render(
        request,
        "console/inbox/_decided.html",
        _list(request, filters, page) | context | {"words": f"{words}.", "current": following, "part": True} | undo,
    )
    answer["HX-Push-Url"] = address(request, following, filters)
    return answer


def address(request: MemberRequest, escalation: UUID | None, filters: Filters) -> str:
    """Return where a question stands, or for None the inbox, narrowed to the same."""
    slug = request.member.tenant.slug
    query = f"?{filters.first}"
    if escalation is None:
        return reverse("console:inbox", kwargs={"tenant": slug}) + query
    return reverse("console:inbox_item", kwargs={"tenant": slug, "escalation": escalation}) + query


def _whole(request: MemberRequest, filters: Filters, context: Context, *, status: int = 200) -> HttpResponse:
    shown = context["item"].id if context["item"] else None
    around = _list(request, filters, inbox_list.page(filters, request.member, shown=shown))
    around["saved"] = saved_views.saved("inbox", request.member.user.id)
    around |= {"kinds": inbox_list.KINDS, "agents": inbox_list.agents(), "current": shown}
    answer = show(request, "console/inbox/inbox.html", around | context, place="console:inbox")
    answer.status_code = status
    return answer


def _list(request: MemberRequest, filters: Filters, page: inbox_list.Page) -> Context:
    return {
        "tenant": request.member.tenant,
        "member": request.member,
        "filters": filters,
        "page": page,
        "waiting": page.waiting,
        "current": uuid_of(request.GET.get("item", "")),
        "may_choose": filters.view != "decided" and request.member.can("escalations:decide"),
    }


def _standing(request: MemberRequest) -> Context:
    """Return how the open question stands now, when a refresh of the list asks along."""
    shown = uuid_of(request.GET.get("item", ""))
    found = visible(request.member.principal).filter(id=shown).exclude(status="open").first() if shown else None
    if found is None or request.GET.get("open") != "yes":
        return {}
    return {"moot": inbox_list.ended(found), "moot_by": inbox_item.decided_by_whom(found)}


def _item(request: MemberRequest, escalation: Escalation, *, do: str = "", problem: Refusal | None = None) -> Context:
    shown = inbox_item.item(escalation, request.member)
    held = inbox_hold.hold(escalation, request.member, may_answer=bool(shown.buttons))
    context: Context = {
        "hold": held,
        "teaches": learning_pages.to_keep(escalation, request.member),
        "deciders": inbox_hold.deciders(escalation) if do == "assign" and held and held.may_assign else (),
        "act": do if held and do in {"assign", "snooze"} else "",
        "tenant": request.member.tenant,
        "member": request.member,
        "item": shown,
        "do": next((button for button in shown.buttons if button.verb == do), None),
        "problem": str(problem) if problem else "",
        "errors": getattr(problem, "errors", None) or (),
    }
    if context["do"] and do == "edit":
        proposed = inbox_item.proposal_of(escalation).get(_field(shown))
        context["text"] = str(proposed or "") if shown.edits == "text" else pretty(proposed)
    return context


def _field(shown: Item) -> str:
    """Return what of the proposal an edit replaces, which is the form's field too."""
    return "output" if shown.kind == "output" else "arguments"


def _edited(escalation: Escalation, shown: Item, given: Mapping[str, str]) -> Context:
    text, before = given.get(_field(shown), ""), inbox_item.proposal_of(escalation).get(_field(shown))
    try:
        after = _plain(text) if shown.edits == "text" else json.loads(text)
        return {"text": text, "difference": inbox_text.difference(before, after), "not_json": ""}
    except ValueError as error:
        return {"text": text, "difference": (), "not_json": str(error)}
