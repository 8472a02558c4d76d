"""The HTML report: one file, and data in it is only ever text."""

from html.parser import HTMLParser
from typing import Any

import pytest

from ops.demo.figures import BadFigures
from ops.demo.functions import report

HOSTILE = "</title><script>alert(1)</script><img src=x onerror=alert(1)>\"'"


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def tags(html: str) -> list[tuple[str, dict[str, str | None]]]:
    reader = _Tags()
    reader.feed(html)
    return reader.found


def make(**changes: Any) -> str:
    arguments: dict[str, Any] = {
        "title": "Revenue by month",
        "question": "How did it go?",
        "findings": ["Up."],
        "columns": ["month", "revenue"],
        "rows": [["2025-01", 10.0], ["2025-02", 14.5]],
        "label": "month",
        "value": "revenue",
    }
    html: str = report(**{**arguments, **changes})["html"]
    return html


def test_it_shows_a_bar_for_each_value_with_its_text() -> None:
    html = make()

    assert [tag for tag, _ in tags(html)].count("rect") == 2
    assert "2025-02: 14.5" in html
    assert "<td>2025-01</td><td>10</td>" in html
    assert "Mean</th><td>12.25" in html


def test_a_line_has_a_point_for_each_value() -> None:
    found = tags(make(chart="line"))

    (line,) = [attributes for tag, attributes in found if tag == "polyline"]
    assert len(str(line["points"]).split()) == 2
    assert [tag for tag, _ in found].count("circle") == 2


def test_data_stays_text_wherever_it_stands() -> None:
    hostile = make(
        title=HOSTILE,
        question=HOSTILE,
        findings=[HOSTILE],
        columns=[HOSTILE, "revenue"],
        rows=[[HOSTILE, 10.0], ["b", 14.5]],
        label=HOSTILE,
    )

    assert [tag for tag, _ in tags(hostile)] == [tag for tag, _ in tags(make())]
    assert not [name for _, attributes in tags(hostile) for name in attributes if name.startswith("on")]


def test_it_needs_nothing_from_elsewhere() -> None:
    found = tags(make())

    assert not {"script", "link", "img", "iframe", "object"} & {tag for tag, _ in found}
    assert not {"src", "href", "style"} & {name for _, attributes in found for name in attributes}


def test_more_rows_than_a_chart_takes_are_refused() -> None:
    with pytest.raises(BadFigures, match="at most 60 values"):
        make(rows=[[f"row {number}", number] for number in range(61)])
