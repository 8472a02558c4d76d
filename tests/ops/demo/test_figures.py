"""Statistics over rows, and the places of a chart."""

import statistics
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.demo.charts import HEIGHT, MAX_POINTS, chart, written
from ops.demo.figures import BadFigures, describe

COLUMNS = ["month", "revenue"]


def test_it_describes_a_column() -> None:
    rows: list[list[Any]] = [["Jan", 10], ["Feb", "12.5"], ["Mar", 15.0], ["Apr", None], ["May", 40]]

    found = describe(COLUMNS, rows, "month", "revenue")

    assert found == {
        "count": 4,
        "missing": 1,
        "total": 77.5,
        "mean": 19.375,
        "median": 13.75,
        "standard_deviation": 13.9007,
        "minimum": {"label": "Jan", "value": 10.0},
        "maximum": {"label": "May", "value": 40.0},
        "quartiles": [11.875, 13.75, 21.25],
        "outliers": [{"label": "May", "value": 40.0}],
        "trend": {"slope": 9.25, "intercept": 5.5, "r_squared": 0.738},
    }


def test_it_leaves_out_what_too_few_values_cannot_tell() -> None:
    found = describe(COLUMNS, [["Jan", 10]], "month", "revenue")

    assert found["standard_deviation"] is None
    assert found["quartiles"] is None
    assert found["trend"] is None
    assert found["outliers"] == []


@given(st.lists(st.floats(-1e9, 1e9), min_size=2, max_size=50))
def test_it_agrees_with_the_definitions(values: list[float]) -> None:
    found = describe(COLUMNS, [[str(place), value] for place, value in enumerate(values)], "month", "revenue")

    assert found["mean"] == pytest.approx(statistics.fmean(values), abs=1e-3)
    assert found["minimum"]["value"] <= found["median"] <= found["maximum"]["value"]
    assert found["trend"] is None or -1e-9 <= found["trend"]["r_squared"] <= 1.0


def test_a_constant_column_lies_on_its_line() -> None:
    found = describe(COLUMNS, [["a", 5], ["b", 5], ["c", 5]], "month", "revenue")

    assert found["trend"] == {"slope": 0.0, "intercept": 5.0, "r_squared": 1.0}


@pytest.mark.parametrize(
    ("columns", "rows", "why"),
    [
        (["month"], [["Jan"]], "no column 'revenue'"),
        (COLUMNS, [["Jan", 1], ["Feb"]], "Row 2 has 1 values for 2 columns"),
        (COLUMNS, [["Jan", "much"]], "Row 1 holds 'much', which is no number"),
        (COLUMNS, [["Jan", True]], "Row 1 holds True"),
        (COLUMNS, [["Jan", "NaN"]], "no finite number"),
        (COLUMNS, [["Jan", [1]]], "no number"),
        (COLUMNS, [["Jan", None]], "holds no values"),
        (COLUMNS, [], "holds no values"),
    ],
)
def test_rows_that_cannot_be_used_are_refused_in_words(columns: list[str], rows: list[list[Any]], why: str) -> None:
    with pytest.raises(BadFigures, match=why):
        describe(columns, rows, "month", "revenue")


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=MAX_POINTS), st.sampled_from(["bar", "line"]))
def test_everything_drawn_lies_inside_the_drawing(values: list[float], kind: str) -> None:
    drawn = chart("line" if kind == "line" else "bar", [(str(value), value) for value in values])

    heights = [float(mark.at_y) for mark in drawn.marks]
    assert all(0 <= height <= HEIGHT for height in heights)
    assert all(float(mark.y) + float(mark.height) <= HEIGHT for mark in drawn.marks)
    assert all(0 <= float(tick.y) <= HEIGHT for tick in drawn.ticks)
    assert 2 <= len(drawn.ticks) <= 12


def test_larger_values_are_drawn_higher() -> None:
    drawn = chart("bar", [("a", -5), ("b", 0), ("c", 10)])

    heights = [float(mark.at_y) for mark in drawn.marks]
    assert heights == sorted(heights, reverse=True)
    assert drawn.marks[1].at_y == drawn.zero
    assert drawn.marks[0].y == drawn.zero


@pytest.mark.parametrize("values", [[], [("x", 1.0)] * (MAX_POINTS + 1)])
def test_a_chart_of_nothing_or_too_much_is_refused(values: list[tuple[str, float]]) -> None:
    with pytest.raises(BadFigures):
        chart("bar", values)


@pytest.mark.parametrize(
    ("number", "text"), [(1234.5, "1,234.5"), (0.0, "0"), (-0.001, "0"), (100, "100"), (-3000.25, "-3,000.25")]
)
def test_numbers_are_written_for_people(number: float, text: str) -> None:
    assert written(number) == text
