"""An agent's rules, as its form says them now, tried on past runs."""

from django.http import HttpResponse
from django.views.decorators.http import require_POST

from agents.actions import trying_rules
from console import agent_pages, forms
from console.attempts import attempt
from console.members import MemberRequest, member_page
from console.views import agents


@require_POST
@member_page("agents:read")
def on_past_runs(request: MemberRequest, slug: str) -> HttpResponse:
    """Show which answers of ended runs would have gone another way. Nothing is saved, and the form stays as it is."""
    agent = agent_pages.agent_of(slug)
    agents.check_edit(request, slug)
    values = agents.values_of(request)
    spec, problems = forms.spec_of(values, agent_pages.sections())
    expected = request.POST.get("expected", "")
    if problems:
        faults = [{"pointer": each.pointer, "detail": each.message} for each in problems]
        return _refused(agents.form(request, slug, values, expected=expected, problem=_UNREAD, faults=faults), 422)
    by = request.member.principal
    trial, refusal = attempt(request, lambda: trying_rules.trial(agent, spec, acting_as=by))
    if refusal is not None:
        found = getattr(refusal, "errors", ())
        answer = agents.form(request, slug, values, expected=expected, problem=str(refusal), faults=found)
        return _refused(answer, refusal.status)
    return agents.form(request, slug, values, expected=expected, trial=trial)


_UNREAD = "Some fields cannot be read; nothing was tried."


def _refused(answer: HttpResponse, status: int) -> HttpResponse:
    answer.status_code = status
    return answer
