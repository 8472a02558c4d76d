"""The time, which those who wait for witnesses and letters are given: the database's."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, cast

from audit.stored import execute

Clock = Callable[[], datetime]

#: The first wait after a failure, and the longest.
FIRST: Final = timedelta(minutes=1)
LONGEST: Final = timedelta(minutes=10)


def database_now() -> datetime:
    """Return the database's time."""
    return cast(datetime, execute("SELECT clock_timestamp()", {})[0][0])


def again(now: datetime, tries: int) -> datetime:
    """Return when to try again after so many failures in a row before this one."""
    return now + min(FIRST * (1 << min(tries, 10)), LONGEST)
