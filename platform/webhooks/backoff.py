"""When a delivery that failed is tried again: soon, then less and less often, for a day. Pure."""

from datetime import datetime, timedelta
from typing import Final

FIRST_S: Final = 5.0
LONGEST_S: Final = 2 * 3600.0
FOR: Final = timedelta(days=1)


def next_at(*, made_at: datetime, now: datetime, attempts: int, jitter: float) -> datetime | None:
    """Return when to try again, or None when a day is over. attempts: made so far; jitter: random in [0, 1)."""
    pause = min(LONGEST_S, FIRST_S * 4.0 ** min(attempts - 1, 12)) * (0.75 + jitter / 2)
    again = now + timedelta(seconds=pause)
    return again if again <= made_at + FOR else None
