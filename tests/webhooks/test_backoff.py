"""When a delivery is tried again."""

from datetime import UTC, datetime, timedelta

import pytest

from webhooks import backoff, signing
from webhooks.errors import BadSecret

MADE = datetime(2030, 1, 1, tzinfo=UTC)


def test_it_is_tried_soon_then_less_often_for_a_day_and_never_later() -> None:
    now, attempts, pauses = MADE, 1, []
    while (again := backoff.next_at(made_at=MADE, now=now, attempts=attempts, jitter=0.5)) is not None:
        pauses.append(again - now)
        now, attempts = again, attempts + 1
    assert pauses == sorted(pauses)
    assert pauses[0] < timedelta(seconds=10)
    assert MADE + timedelta(hours=20) < now <= MADE + timedelta(days=1)
    assert attempts < 25


def test_many_that_failed_together_are_not_tried_together() -> None:
    tried = {backoff.next_at(made_at=MADE, now=MADE, attempts=3, jitter=each / 10) for each in range(10)}
    assert len(tried) == 10


@pytest.mark.parametrize("text", ["", "x", "whsec_", "whsec_AAAA", "whsec_!!!!", "whsec_" + "A" * 200, "a b c"])
def test_a_secret_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(BadSecret):
        signing.read(text)


def test_two_secrets_stand_in_one_text() -> None:
    one, two = signing.written(b"a" * 32), signing.written(b"b" * 32)
    assert signing.read(f"{one} {two}") == [b"a" * 32, b"b" * 32]
