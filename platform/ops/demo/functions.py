"""The demo's tools that are Python functions. Importing this module registers them."""

from typing import Any

from agents.tools.python import tool
from ops.demo import figures, reports

Json = Any


@tool("demo.describe")
def describe(columns: list[str], rows: list[list[Json]], label: str, value: str) -> Json:
    """Statistics over one column of a query's rows."""
    return figures.describe(columns, rows, label, value)


@tool("demo.report")
def report(
    title: str,
    question: str,
    findings: list[str],
    columns: list[str],
    rows: list[list[Json]],
    label: str,
    value: str,
    chart: str = "bar",
) -> Json:
    """An HTML report with a chart."""
    html = reports.render(
        title=title,
        question=question,
        findings=findings,
        columns=columns,
        rows=rows,
        label=label,
        value=value,
        kind="line" if chart == "line" else "bar",
    )
    return {"html": html}
