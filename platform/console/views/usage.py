"""What runs have used, and what may be spent."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from django.http import HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_GET

from agents.actions import budgets
from agents.actions import usage as used
from console import wording
from console.members import MemberRequest, member_page
from console.pages import show

Json = Any

DAYS: Final = (7, 30, 90)
BY: Final = {"day": "Day", "agent": "Agent", "user": "Person", "model": "Model"}


@dataclass(frozen=True, slots=True)
class Row:
    """One line. share: of the largest cost, in percent, for its bar."""

    key: str
    runs: int
    calls: int
    tokens: str
    cost: str
    share: int


@dataclass(frozen=True, slots=True)
class BudgetRow:
    """A budget and what is spent of it now."""

    name: str
    of: str
    window: str
    limit: str
    spent: str


@require_GET
@member_page("usage:read")
def usage(request: MemberRequest) -> HttpResponse:
    """Show costs and tokens by day, agent, person or model, and the budgets."""
    by = request.GET.get("by", "") if request.GET.get("by", "") in BY else "day"
    days = next((each for each in DAYS if str(each) == request.GET.get("days")), 30)
    now = timezone.now()
    found = used.used(by=by, since=now - timedelta(days=days), until=now + timedelta(seconds=1))
    most = max((each.cost_nano for each in found), default=0)
    context = {
        "by": by,
        "days": days,
        "ways": BY,
        "spans": DAYS,
        "what": BY[by],
        "rows": [_row(each, most) for each in found],
        "total": wording.usd(sum(each.cost_nano for each in found)),
        "runs": sum(each.runs for each in found),
        "budgets": _budgets(),
    }
    return show(request, "console/usage/usage.html", context, place="console:usage")


def _row(each: used.Used, most: int) -> Row:
    tokens = each.input_tokens + each.output_tokens + each.cache_read_input_tokens + each.cache_creation_input_tokens
    share = round(each.cost_nano * 100 / most) if most else 0
    calls = each.model_calls + each.tool_calls
    return Row(each.key, each.runs, calls, wording.count(tokens), wording.usd(each.cost_nano), share)


def _budgets() -> list[BudgetRow]:
    rows = list(budgets.named().order_by("name"))
    windows = budgets.current(rows) if rows else {}
    return [
        _budget(str(row.name), spec, windows.get(row.id))
        for row, spec in zip(rows, budgets.specs_of(rows), strict=True)
    ]


def _budget(name: str, spec: Json, window: Json) -> BudgetRow:
    [(kind, which)] = spec["of"].items()
    limits = [f"${spec['usd']}"] if "usd" in spec else []
    limits += [f"{wording.count(spec['tokens'])} tokens"] if "tokens" in spec else []
    spent = (window or {}).get("spent") or {"usd": "0", "tokens": 0}
    return BudgetRow(
        name,
        "the tenant" if which is True else f"{kind} {which}",
        spec["window"],
        " and ".join(limits) or "none",
        f"${spent['usd']} and {wording.count(spent['tokens'])} tokens",
    )
