"""When somebody is written to."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from notices.times import send_at

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_at_once_is_now() -> None:
    now = at("2026-03-01T10:20:30")
    assert send_at(mode="at_once", hour=8, zone=BERLIN, now=now) == now


def test_hourly_is_at_the_next_full_hour() -> None:
    assert send_at(mode="hourly", hour=8, zone=BERLIN, now=at("2026-03-01T23:20:30")) == at("2026-03-02T00:00:00")


@pytest.mark.parametrize(
    ("now", "then"),
    [
        ("2026-01-05T06:59:00", "2026-01-05T07:00:00"),
        ("2026-01-05T07:00:00", "2026-01-06T07:00:00"),
        ("2026-03-28T08:00:00", "2026-03-29T06:00:00"),  # the clocks go forward in between
        ("2026-10-24T08:00:00", "2026-10-25T07:00:00"),  # and back
    ],
)
def test_daily_is_at_the_hour_of_the_persons_own_clock(now: str, then: str) -> None:
    found = send_at(mode="daily", hour=8, zone=BERLIN, now=at(now))
    assert found.astimezone(UTC) == at(then)


def test_an_hour_that_a_day_has_not_or_twice_is_told_once_and_later() -> None:
    missing = send_at(mode="daily", hour=2, zone=BERLIN, now=at("2026-03-28T12:00:00"))
    assert missing.astimezone(UTC) == at("2026-03-29T01:00:00")
    first = send_at(mode="daily", hour=2, zone=BERLIN, now=at("2026-10-24T12:00:00"))
    assert first.astimezone(UTC) == at("2026-10-25T00:00:00")
    assert send_at(mode="daily", hour=2, zone=BERLIN, now=first).astimezone(UTC) == at("2026-10-26T01:00:00")
