"""An HTML report with a chart: one file that needs nothing else, and shows data as text whatever it holds."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal

from django.template import Context, Engine, Template

from ops.demo.charts import chart, written
from ops.demo.figures import describe, points

Json = Any

_TEMPLATES = Path(__file__).parent / "templates"


def render(
    *,
    title: str,
    question: str,
    findings: Sequence[str],
    columns: Sequence[str],
    rows: Sequence[Sequence[Json]],
    label: str,
    value: str,
    kind: Literal["bar", "line"] = "bar",
) -> str:
    """Return the report as HTML: question, findings, a chart of `value` by `label`, statistics and the rows.

    Raises `figures.BadFigures`.
    """
    found, _ = points(columns, rows, label, value)
    figures = describe(columns, rows, label, value)
    context = {
        "title": title,
        "question": question,
        "findings": findings,
        "label": label,
        "value": value,
        "chart": chart(kind, found),
        "figures": _figures(figures),
        "columns": columns,
        "rows": [[_cell(cell) for cell in row] for row in rows],
    }
    return _template().render(Context(context))


@cache
def _template() -> Template:
    # An engine of its own: the report must not change with the console's context processors.
    return Engine(dirs=[str(_TEMPLATES)]).get_template("report.html")


def _figures(figures: Json) -> list[tuple[str, str]]:
    lines = [
        ("Values", str(figures["count"])),
        ("Total", written(figures["total"])),
        ("Mean", written(figures["mean"])),
        ("Median", written(figures["median"])),
        ("Lowest", f"{figures['minimum']['label']}: {written(figures['minimum']['value'])}"),
        ("Highest", f"{figures['maximum']['label']}: {written(figures['maximum']['value'])}"),
    ]
    if figures["standard_deviation"] is not None:
        lines.append(("Standard deviation", written(figures["standard_deviation"])))
    if figures["trend"] is not None:
        trend = figures["trend"]
        lines.append(("Trend", f"{written(trend['slope'])} a step (r² {trend['r_squared']:.2f})"))
    if figures["outliers"]:
        lines.append(("Outliers", ", ".join(each["label"] for each in figures["outliers"])))
    return lines


def _cell(value: Json) -> str:
    if isinstance(value, bool) or value is None:
        return "—" if value is None else str(value).lower()
    return written(value) if isinstance(value, float) else str(value)
