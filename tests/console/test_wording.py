"""Numbers and times as people read them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from agents.core.money import NANO
from console import wording
from console.timeline import Axis

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 ms"),
        (0.38, "380 ms"),
        (0.9999, "1.0 s"),
        (4.13, "4.1 s"),
        (59.97, "1 min 0 s"),
        (192, "3 min 12 s"),
        (7500, "2 h 5 min"),
        (273_600, "3 d 4 h"),
        (-3, "0 ms"),
    ],
)
def test_durations_have_their_two_largest_units(seconds: float, words: str) -> None:
    assert wording.duration(timedelta(seconds=seconds)) == words


@pytest.mark.parametrize(
    ("nano", "words"),
    [(0, "$0.0000"), (1, "<$0.0001"), (98_300_000, "$0.0983"), (12 * NANO, "$12.00"), (1234 * NANO, "$1,234.00")],
)
def test_cost_that_is_not_nothing_never_shows_as_nothing(nano: int, words: str) -> None:
    assert wording.usd(nano) == words


@pytest.mark.parametrize(("value", "words"), [(940, "940"), (12_040, "12.0k"), (999_960, "1.0M"), (3_400_000, "3.4M")])
def test_counts_are_short(value: int, words: str) -> None:
    assert wording.count(value) == words


def test_times_say_that_they_are_utc() -> None:
    east = timezone(timedelta(hours=2))
    assert wording.moment(datetime(2026, 11, 21, 1, 54, 19, tzinfo=east)) == "20 Nov 2026, 23:54:19 UTC"


@pytest.mark.parametrize(
    ("length", "marks"),
    [
        (timedelta(seconds=40), ["0", "10 s", "20 s", "30 s", "40 s"]),
        (timedelta(minutes=7), ["0", "2 min", "4 min", "6 min"]),
        (timedelta(days=3), ["0", "1 d", "2 d", "3 d"]),
        (timedelta(milliseconds=450), ["0", "100 ms", "200 ms", "300 ms", "400 ms"]),
    ],
)
def test_axis_has_a_few_round_marks(length: timedelta, marks: list[str]) -> None:
    assert [words for _, words in Axis(NOON, NOON + length).marks()] == marks


def test_axis_of_no_time_has_its_start() -> None:
    axis = Axis(NOON, NOON)
    assert axis.at(NOON) == 0
    assert axis.marks()[0] == (0.0, "0")
