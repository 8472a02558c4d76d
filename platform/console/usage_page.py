"""What runs have used and what they may, as the page of usage shows it; read in the tenant's scope."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from agents.actions import budgets
from agents.actions.usage import Used, used
from agents.core.money import NANO
from console import wording
from console.charts import Chart, chart
from quotas.models import Budget

Json = Any

DAYS: Final = (7, 30, 90)
BY: Final = {"day": "Day", "agent": "Agent", "user": "Person", "model": "Model"}

#: How many bars are drawn; the table has all.
BARS: Final = 12

#: What tokens are told apart by, in the order in which they are stacked.
TOKENS: Final = ("Input", "From the cache", "Output")


@dataclass(frozen=True, slots=True)
class Row:
    """One line. cost_share, token_share: of the largest, in percent, for the bars."""

    key: str
    runs: int
    calls: int
    tokens: str
    tokens_in: str
    tokens_cached: str
    tokens_out: str
    cost: str
    cost_share: int
    token_share: int


@dataclass(frozen=True, slots=True)
class Shown:
    """What was used in a time. cost, tokens: their charts by day, None for what is no time."""

    rows: list[Row]
    cost: Chart | None
    tokens: Chart | None
    total: str
    total_tokens: str
    runs: int
    calls: int


@dataclass(frozen=True, slots=True)
class BudgetRow:
    """A budget and what is spent of it now. usd_share, token_share: in percent; None where there is no limit."""

    name: str
    of: str
    window: str
    usd: str
    tokens: str
    spent_usd: str
    spent_tokens: str
    usd_share: int | None
    token_share: int | None


def shown(by: str, days: int, now: datetime) -> Shown:
    """Return what runs of the last `days` days have used, by a key of `BY`."""
    found = used(by=by, since=now - timedelta(days=days), until=now + timedelta(seconds=1))
    is_time = by == "day"
    ordered = found if is_time else sorted(found, key=lambda each: (-each.cost_nano, each.key))
    most_cost = max((each.cost_nano for each in found), default=0)
    most_tokens = max((_tokens(each) for each in found), default=0)
    drawn = _every_day(found, days, now.astimezone(UTC).date()) if is_time and found else []
    return Shown(
        rows=[_row(each, most_cost, most_tokens) for each in ordered],
        cost=_chart(drawn, lambda each: [each.cost_nano / NANO], _usd) if drawn else None,
        tokens=_chart(drawn, _parts, _count) if drawn else None,
        total=wording.usd(sum(each.cost_nano for each in found)),
        total_tokens=wording.count(sum(_tokens(each) for each in found)),
        runs=sum(each.runs for each in found),
        calls=sum(each.model_calls + each.tool_calls for each in found),
    )


def budget_rows() -> list[BudgetRow]:
    """Return the budgets by name, with what is spent of each in its window of now."""
    rows = list(budgets.named().order_by("name"))
    windows = budgets.current(rows) if rows else {}
    pairs: Iterable[tuple[Budget, Mapping[str, Json]]] = zip(rows, budgets.specs_of(rows), strict=True)
    return [_budget(row, spec, windows.get(row.id)) for row, spec in pairs]


def _chart(drawn: list[tuple[str, Used | None]], parts: Any, words: Any) -> Chart:
    return chart([key for key, _ in drawn], [parts(each) if each else [] for _, each in drawn], words)


def _every_day(found: list[Used], days: int, today: date) -> list[tuple[str, Used | None]]:
    """Return each day of the time, the oldest first, as `3 Nov`, with what was used in it."""
    by_day = {each.key: each for each in found}
    told = [today - timedelta(days=back) for back in range(days, -1, -1)]
    return [(f"{day.day} {day:%b}", by_day.get(day.isoformat())) for day in told]


def _row(each: Used, most_cost: int, most_tokens: int) -> Row:
    given, cached, out = _parts(each)
    return Row(
        key=each.key,
        runs=each.runs,
        calls=each.model_calls + each.tool_calls,
        tokens=wording.count(_tokens(each)),
        tokens_in=wording.count(given),
        tokens_cached=wording.count(cached),
        tokens_out=wording.count(out),
        cost=wording.usd(each.cost_nano),
        cost_share=_share(each.cost_nano, most_cost),
        token_share=_share(_tokens(each), most_tokens),
    )


def _parts(each: Used) -> list[int]:
    """Return tokens in the order of `TOKENS`; what is written to the cache was input."""
    return [each.input_tokens + each.cache_creation_input_tokens, each.cache_read_input_tokens, each.output_tokens]


def _tokens(each: Used) -> int:
    return sum(_parts(each))


def _share(value: float, most: float) -> int:
    return min(round(value * 100 / most), 100) if most else 0


def _usd(value: float) -> str:
    return wording.usd(round(value * NANO)) if value else "$0"


def _count(value: float) -> str:
    return wording.count(round(value))


def _budget(row: Budget, spec: Mapping[str, Json], window: Json) -> BudgetRow:
    [(kind, which)] = spec["of"].items()
    spent = (window or {}).get("spent") or {"usd": "0", "tokens": 0}
    extra = (window or {}).get("extended") or {"usd": "0", "tokens": 0}
    usd = float(spec["usd"]) + float(extra["usd"]) if "usd" in spec else None
    tokens = int(spec["tokens"]) + int(extra["tokens"]) if "tokens" in spec else None
    return BudgetRow(
        name=str(row.name),
        of="the tenant" if which is True else f"{kind} {which}",
        window=spec["window"],
        usd="" if usd is None else wording.budget(round(usd * NANO)),
        tokens="" if tokens is None else wording.count(tokens),
        spent_usd=_usd(float(spent["usd"])),
        spent_tokens=wording.count(int(spent["tokens"])),
        usd_share=None if usd is None else _share(float(spent["usd"]), usd),
        token_share=None if tokens is None else _share(int(spent["tokens"]), tokens),
    )
