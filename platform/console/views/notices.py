"""Settings: how the one who asks is written to by e-mail."""

from typing import Final

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods

from console.attempts import attempt
from console.members import MemberRequest, member_page
from console.pages import show
from notices.actions import preferences
from notices.errors import NoticeError
from notices.letters import mail_is_on
from notices.times import MODES

PLACE: Final = "console:settings"

#: What each mode is called; the digest's time is told by the fields below it.
WORDS: Final = {"at_once": "At once", "hourly": "Every full hour", "daily": "Once a day", "none": "Never"}

HOURS: Final = range(24)


@require_http_methods(["GET", "POST"])
@member_page("escalations:read")
def notices(request: MemberRequest) -> HttpResponse:
    """Show how the member is written to, or change it."""
    if request.method != "POST":
        present = preferences.of(request.member.principal)
        given = {"mode": present.mode, "hour": str(present.hour), "time_zone": present.time_zone}
        return _page(request, given)
    given = {name: request.POST.get(name, "").strip() for name in ("mode", "hour", "time_zone")}

    def put() -> object:
        if given["mode"] not in MODES or given["hour"] not in {str(hour) for hour in HOURS}:
            raise NoticeError("Choose how you are written to, and an hour from 0 to 23.")
        return preferences.put(
            given["mode"], int(given["hour"]), given["time_zone"], acting_as=request.member.principal
        )

    _, refusal = attempt(request, put)
    if refusal is not None:
        answer = _page(request, given, problem=str(refusal))
        answer.status_code = refusal.status
        return answer
    messages.success(request, "Saved. What was put down for a digest already is sent when it was to be.")
    return redirect("console:notices", tenant=request.member.tenant.slug)


def _page(request: MemberRequest, given: dict[str, str], problem: str = "") -> HttpResponse:
    context = {
        "modes": [(mode, WORDS[mode]) for mode in MODES],
        "hours": [(str(hour), f"{hour:02}:00") for hour in HOURS],
        "given": given,
        "problem": problem,
        "mail_is_on": mail_is_on(),
    }
    return show(request, "console/settings/notices.html", context, place=PLACE)
