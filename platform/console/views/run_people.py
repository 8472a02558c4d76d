"""What people do about a run: tell it something, end it, try it again."""

from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from access.errors import AccessDenied
from agents.actions import again as trying
from agents.actions import guidance, runs
from agents.errors import AgentError
from agents.models import Run
from console import run_page
from console.members import MemberRequest, member_page, record_refusal
from console.pages import show
from console.run_view import run_context

REFUSALS = (AccessDenied, AgentError)

PLACE = "console:runs"


@require_POST
@member_page("runs:read")
def guide(request: MemberRequest, run: UUID) -> HttpResponse:
    """Tell the run something; what was typed stays in the form when it is refused."""
    found, message = run_page.run_of(run), request.POST.get("message", "")
    try:
        guidance.check(found, acting_as=request.member.principal)
    except AccessDenied as error:
        raise PermissionDenied(str(error)) from error
    try:
        guidance.guide(found.id, message.replace("\r\n", "\n"), acting_as=request.member.principal)
    except REFUSALS as refusal:
        record_refusal(request, refusal)
        span = run_page.Span.of(found)
        context = run_context(request.member, found, span, step=None)
        context |= {
            "guiding": True,
            "message": message,
            "problem": str(refusal),
            "errors": getattr(refusal, "errors", None) or (),
        }
        answer = show(request, "console/runs/run.html", context, place=PLACE)
        answer.status_code = refusal.status
        return answer
    messages.success(request, "The run is told before it asks the model again.")
    return _to(request, found)


@require_POST
@member_page("runs:write")
def cancel(request: MemberRequest, run: UUID) -> HttpResponse:
    """Ask for the run's end; it ends after the step it is in."""
    found = run_page.run_of(run)
    try:
        runs.cancel(found.id, acting_as=request.member.principal)
    except REFUSALS as refusal:
        record_refusal(request, refusal)
        messages.error(request, str(refusal))
    else:
        messages.success(request, "The run was asked to stop. It ends after the step it is in.")
    return _to(request, found)


@require_POST
@member_page("runs:write")
def again(request: MemberRequest, run: UUID) -> HttpResponse:
    """Try an ended run again and go to the new one. A form that is sent twice makes one run."""
    found = run_page.run_of(run)
    start: trying.Start = "step" if request.POST.get("from") == "step" else "start"
    key = request.POST.get("key", "")[:64]
    key = key if key.isascii() and key.isprintable() else ""
    try:
        made = trying.retry(found.id, start, idempotency_key=key or None, acting_as=request.member.principal)
    except REFUSALS as refusal:
        record_refusal(request, refusal)
        messages.error(request, str(refusal))
        return _to(request, found)
    messages.success(request, f"This run tries the one that ended again, from {_WORDS[start]}.")
    return _to(request, made.run)


_WORDS = {"step": "the last step it completed", "start": "the start"}


def _to(request: MemberRequest, run: Run) -> HttpResponse:
    return redirect("console:run", tenant=request.member.tenant.slug, run=run.id)
