"""What runs have used, and what they may spend."""

from django.http import HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_GET

from console import usage_page
from console.members import MemberRequest, member_page
from console.pages import show
from console.usage_page import BY, DAYS


@require_GET
@member_page("usage:read")
def usage(request: MemberRequest) -> HttpResponse:
    """Show costs and tokens by day, agent, person or model, and the budgets."""
    by = request.GET.get("by", "") if request.GET.get("by", "") in BY else "day"
    days = next((each for each in DAYS if str(each) == request.GET.get("days")), 30)
    context = {
        "by": by,
        "days": days,
        "ways": BY,
        "spans": DAYS,
        "what": BY[by],
        "shown": usage_page.shown(by, days, timezone.now()),
        "kinds": usage_page.TOKENS,
        "most_bars": usage_page.BARS,
        "budgets": usage_page.budget_rows(),
        "may_write": request.member.can("agents:write"),
    }
    return show(request, "console/usage/usage.html", context, place="console:usage")
