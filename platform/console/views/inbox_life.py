"""Whose a question is while it waits, and one answer to many questions."""

from collections.abc import Callable
from uuid import UUID

from django.contrib import messages
from django.db import connection
from django.http import HttpResponse, HttpResponseRedirect
from django.views.decorators.http import require_POST

from access.errors import AccessDenied
from agents.errors import AgentError
from console import inbox_hold, inbox_item, inbox_many
from console.inbox_list import Filters
from console.members import MemberRequest, member_page, record_refusal
from console.pages import show
from console.typed import typed
from console.views.inbox import address, refused
from db.scope import tenant_scope
from escalations.actions import life
from escalations.actions.bulk import Item
from escalations.errors import EscalationError
from escalations.models import Escalation
from tenants.errors import TenantError

REFUSALS = (AccessDenied, AgentError, EscalationError, TenantError)


@require_POST
@member_page("escalations:read")
def claim(request: MemberRequest, escalation: UUID) -> HttpResponse:
    """Say that one is at it."""
    told = "You are at it now: others see that, and may answer it all the same."
    return _done(request, escalation, "", told, lambda found: life.claim(found.id, acting_as=request.member.principal))


@require_POST
@member_page("escalations:read")
def release(request: MemberRequest, escalation: UUID) -> HttpResponse:
    """Give it back to its queue."""
    told = "It is back in its queue."
    return _done(
        request, escalation, "", told, lambda found: life.release(found.id, acting_as=request.member.principal)
    )


@require_POST
@member_page("escalations:read")
def assign(request: MemberRequest, escalation: UUID) -> HttpResponse:
    """Give it to a member who may decide it."""
    to = request.POST.get("to", "").strip()
    return _done(
        request,
        escalation,
        "assign",
        f"{to} has it now.",
        lambda found: life.assign(found.id, to, acting_as=request.member.principal),
    )


@require_POST
@member_page("escalations:read")
def snooze(request: MemberRequest, escalation: UUID) -> HttpResponse:
    """Put it off: it needs nobody until then."""
    until = inbox_hold.until(request.POST.get("for", ""))

    def put_off(found: Escalation) -> None:
        if until is None:
            raise EscalationError("Choose for how long.")
        life.snooze(found.id, until, acting_as=request.member.principal)

    return _done(request, escalation, "snooze", "It is put off, and needs nobody until then.", put_off)


def _done(
    request: MemberRequest, escalation: UUID, do: str, told: str, act: Callable[[Escalation], object]
) -> HttpResponse:
    """Do it and show the question; a refusal comes back above it. do: the form it came from."""
    found = inbox_item.escalation_of(escalation, request.member)
    filters = Filters.of(request.GET, request.member)
    try:
        act(found)
    except REFUSALS as refusal:
        record_refusal(request, refusal)
        return refused(request, filters, escalation, do, refusal)
    messages.success(request, told)
    return HttpResponseRedirect(address(request, found.id, filters))


@require_POST
@member_page("escalations:decide", scope=False)
def many(request: MemberRequest) -> HttpResponse:
    """Show what an answer to the chosen questions would do to how many; once that is confirmed, give it.

    Outside the scope: each question is answered in a transaction of its own.
    """
    member, verb = request.member, request.POST.get("decision", "")
    items = inbox_many.parsed(request.POST.getlist("item"))
    reason = typed(request.POST, "reason")
    with tenant_scope(member.tenant.id):
        filters = Filters.of(request.GET, member)
        if verb not in inbox_many.VERBS or not items:
            messages.error(request, "Choose questions first: press x on a line, or tick its box.")
            return HttpResponseRedirect(address(request, None, filters))
        chosen = inbox_many.chosen(items, verb, member)
    takes = [each for each in chosen if not each.why_not]
    confirmed = request.POST.get("confirmed") == "yes"
    # Once it is confirmed, for all of them: one that would stay now may be answered by the time it is its turn.
    needs_reason = any(each.needs_reason for each in (chosen if confirmed else takes))
    problem = "Say why: the reason is kept in the audit trail." if confirmed and needs_reason and not reason else ""
    if confirmed and not problem:
        return _answered(request, filters, verb, reason, items)
    with tenant_scope(member.tenant.id):
        context = {
            "verb": verb,
            "label": inbox_many.VERBS[verb][0],
            "filters": filters,
            "takes": takes,
            "needs_reason": needs_reason,
            "leaves": [each for each in chosen if each.why_not],
            "reason": reason,
            "problem": problem,
            "back": address(request, None, filters),
        }
        answer = show(request, "console/inbox/many.html", context, place="console:inbox")
    answer.status_code = 422 if problem else 200
    return answer


def _answered(request: MemberRequest, filters: Filters, verb: str, reason: str, items: list[Item]) -> HttpResponse:
    done, refusals = 0, dict[str, int]()
    try:
        for _, refusal in inbox_many.answered(items, verb, reason, request.member):
            if refusal is None:
                done += 1
                continue
            record_refusal(request, refusal)
            refusals[str(refusal)] = refusals.get(str(refusal), 0) + 1
    finally:
        connection.close()
    word = inbox_many.VERBS[verb][1]
    messages.success(request, f"{done} {'question' if done == 1 else 'questions'} {word}.")
    for why, count in refusals.items():
        messages.error(request, f"{count} left as {'it was' if count == 1 else 'they were'}: {why}")
    return HttpResponseRedirect(address(request, None, filters))
