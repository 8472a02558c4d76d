"""What comes after a run: an appeal against what it decided, and what people say of its output."""

from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_GET, require_POST

from access.errors import AccessDenied
from agents.models import Run
from console import learning_pages, run_page
from console.attempts import attempt
from console.audit_query import Unreadable
from console.members import Member, MemberRequest, member_page
from console.pages import show
from console.run_list import uuid_of
from console.run_view import head_context
from console.typed import typed
from escalations.actions import appeals
from escalations.errors import EscalationError
from escalations.models import Escalation
from escalations.permissions import visible
from learning.actions import feedback
from learning.models import Feedback

Json = Any

PLACE: Final = "console:runs"
LONGEST_REASON: Final = 4000

#: What became of an appeal, and how its pill is coloured.
STATES: Final = {
    "open": ("waits to be decided", "waiting"),
    "upheld": ("upheld", "completed"),
    "rejected": ("rejected: the decision stands", ""),
    "expired": ("nobody decided it in time", "failed"),
    "withdrawn": ("withdrawn", ""),
}


@require_GET
@member_page("runs:read")
def afterwards(request: MemberRequest, run: UUID) -> HttpResponse:
    """Show whether the run can be appealed against, what came of an appeal, and the feedback on its output."""
    return _page(request, run_page.run_of(run))


@require_POST
@member_page("runs:read")
def appeal(request: MemberRequest, run: UUID) -> HttpResponse:
    """Appeal against what the run decided; what was typed stays in the form when it is refused."""
    found, reason = run_page.run_of(run), typed(request.POST, "reason")
    try:
        appeals.check(found, acting_as=request.member.principal)
    except AccessDenied as error:
        raise PermissionDenied(str(error)) from error

    def act() -> Escalation:
        if not reason or len(reason) > LONGEST_REASON:
            raise Unreadable(f"Say what is wrong with the decision, in {LONGEST_REASON} characters at most.")
        return appeals.make(found.id, reason, acting_as=request.member.principal)

    made, refusal = attempt(request, act)
    if made is None:
        answer = _page(request, found, reason=reason, appeal_problem=str(refusal))
        answer.status_code = refusal.status if refusal else 422
        return answer
    messages.success(request, "The appeal is made. People who had no part in the decision look at it anew.")
    return redirect("console:afterwards", tenant=request.member.tenant.slug, run=found.id)


@require_POST
@member_page("runs:read")
def give(request: MemberRequest, run: UUID) -> HttpResponse:
    """Say what one thinks of the run's output; said again, it takes the place of what one said before."""
    found = run_page.run_of(run)
    if not request.member.can("runs:write"):
        raise PermissionDenied("Your role reads feedback and gives none.")
    score, comment = request.POST.get("score", ""), typed(request.POST, "comment")

    def act() -> Feedback:
        if score not in {"1", "2", "3", "4", "5"} or len(comment) > feedback.LONGEST:
            raise Unreadable(f"Choose 1 to 5; a comment has {feedback.LONGEST} characters at most.")
        member = request.member.principal
        return feedback.give(found.id, score=int(score), comment=comment or None, acting_as=member)

    made, refusal = attempt(request, act)
    if made is None:
        answer = _page(request, found, score=score, comment=comment, feedback_problem=str(refusal))
        answer.status_code = refusal.status if refusal else 422
        return answer
    messages.success(request, "Thank you: it counts for the version that made the output.")
    return redirect("console:afterwards", tenant=request.member.tenant.slug, run=found.id)


def _page(request: MemberRequest, found: Run, **more: Json) -> HttpResponse:
    member, state = request.member, appeals.of(found)
    before = uuid_of(request.GET.get("before", ""))
    rows = Feedback.objects.filter(run_id=found.id).order_by("-id")
    some = list((rows.filter(id__lt=before) if before else rows)[: learning_pages.PAGE + 1])
    mine = Feedback.objects.filter(run_id=found.id, user_id=member.user.id).first()
    own = learning_pages.said([mine], member)[0] if mine else None
    context = head_context(member, found) | {
        "live": False,
        "appeal": state,
        "appeal_state": STATES.get(state.status, (state.status, "")),
        "appeal_open": _is_seen(state.escalation, member),
        "may_appeal": state.why_not is None and _may_appeal(found, member),
        "said": learning_pages.said(some[: learning_pages.PAGE], member),
        "older": some[learning_pages.PAGE - 1].id if len(some) > learning_pages.PAGE else None,
        "may_say": found.status == "completed" and member.can("runs:write"),
        "has_output": found.status == "completed",
        "score": str(own.score or "") if own else "",
        "comment": own.comment if own else "",
        "scores": ((5, "very good"), (4, "good"), (3, "usable"), (2, "poor"), (1, "wrong")),
    }
    return show(request, "console/runs/afterwards.html", context | more, place=PLACE)


def _is_seen(escalation: UUID | None, member: Member) -> bool:
    """Say whether the member finds the appeal in their inbox."""
    if escalation is None or not member.can("escalations:read"):
        return False
    return visible(member.principal).filter(id=escalation).exists()


def _may_appeal(run: Run, member: Member) -> bool:
    try:
        appeals.check(run, acting_as=member.principal)
    except (AccessDenied, EscalationError):
        return False
    return True
