"""Statistics over the rows of a query. Pure."""

import statistics
from collections.abc import Sequence
from math import isfinite
from typing import Any

Json = Any
Point = tuple[str, float]

MAX_ROWS = 10_000
_DIGITS = 4
_ENOUGH_FOR_QUARTILES = 4
_ENOUGH_FOR_TREND = 3
_FENCE = 1.5  # Tukey's: this many interquartile ranges beyond the quartiles


class BadFigures(ValueError):
    """The rows cannot be used. The text says why, in words for the model."""


def points(columns: Sequence[str], rows: Sequence[Sequence[Json]], label: str, value: str) -> tuple[list[Point], int]:
    """Return (label, value) of each row, and how many rows had no value. Raises BadFigures."""
    if len(rows) > MAX_ROWS:
        raise BadFigures(f"There are more than {MAX_ROWS} rows; aggregate them in the query.")
    for name in (label, value):
        if name not in columns:
            raise BadFigures(f"There is no column {name!r}; there are {', '.join(columns)}.")
    at_label, at_value = columns.index(label), columns.index(value)
    found: list[Point] = []
    missing = 0
    for number, row in enumerate(rows, start=1):
        if len(row) != len(columns):
            raise BadFigures(f"Row {number} has {len(row)} values for {len(columns)} columns.")
        if row[at_value] is None:
            missing += 1
        else:
            found.append((_text(row[at_label]), _number(row[at_value], number)))
    return found, missing


def describe(columns: Sequence[str], rows: Sequence[Sequence[Json]], label: str, value: str) -> Json:
    """Describe the column `value`, whose rows are named by the column `label`, in the order of the rows.

    Returns count, missing, total, mean, median, standard deviation (of a sample), extremes, quartiles, outliers by
    Tukey's fences, and the straight line through the values in their order, each None where there are too few values.
    Raises BadFigures.
    """
    found, missing = points(columns, rows, label, value)
    if not found:
        raise BadFigures(f"The column {value!r} holds no values.")
    values = [number for _, number in found]
    lowest, highest = min(found, key=_value), max(found, key=_value)
    return {
        "count": len(values),
        "missing": missing,
        "total": _round(sum(values)),
        "mean": _round(statistics.fmean(values)),
        "median": _round(statistics.median(values)),
        "standard_deviation": _round(statistics.stdev(values)) if len(values) > 1 else None,
        "minimum": {"label": lowest[0], "value": _round(lowest[1])},
        "maximum": {"label": highest[0], "value": _round(highest[1])},
        **_spread(found),
        "trend": _trend(values),
    }


def _spread(found: Sequence[Point]) -> dict[str, Json]:
    if len(found) < _ENOUGH_FOR_QUARTILES:
        return {"quartiles": None, "outliers": []}
    lower, middle, upper = statistics.quantiles([number for _, number in found], n=4, method="inclusive")
    reach = _FENCE * (upper - lower)
    outliers = [
        {"label": name, "value": _round(number)}
        for name, number in found
        if number < lower - reach or number > upper + reach
    ]
    return {"quartiles": [_round(lower), _round(middle), _round(upper)], "outliers": outliers}


def _trend(values: Sequence[float]) -> Json:
    """The least-squares line over positions 0, 1, 2 …; r_squared is the share of the variance it explains."""
    if len(values) < _ENOUGH_FOR_TREND:
        return None
    places = range(len(values))
    slope, intercept = statistics.linear_regression(places, values)
    constant = len(set(values)) == 1
    r_squared = 1.0 if constant else statistics.correlation(places, values) ** 2
    return {"slope": _round(slope), "intercept": _round(intercept), "r_squared": _round(r_squared)}


def _number(value: Json, row: int) -> float:
    # Decimals arrive as text, so that no digit is lost on the way.
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise BadFigures(f"Row {row} holds {value!r}, which is no number.")
    try:
        number = float(value)
    except (ValueError, OverflowError):
        raise BadFigures(f"Row {row} holds {value!r}, which is no number.") from None
    if not isfinite(number):
        raise BadFigures(f"Row {row} holds {value!r}, which is no finite number.")
    return number


def _text(value: Json) -> str:
    return value if isinstance(value, str) else "—" if value is None else str(value)


def _value(point: Point) -> float:
    return point[1]


def _round(number: float) -> float:
    return round(number, _DIGITS)
