"""When somebody is written to, as they prefer it. Pure."""

from datetime import datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

#: How people can have it.
MODES: Final = ("at_once", "hourly", "daily", "none")


def send_at(*, mode: str, hour: int, zone: ZoneInfo, now: datetime) -> datetime:
    """Return when what happens at `now` is told of: now, at the next full hour, or when it is next `hour` there.

    mode: one of `MODES` but `none`. hour: 0 to 23, of the clock in `zone`. now: aware.
    """
    if mode == "hourly":
        return now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    if mode == "daily":
        today = now.astimezone(zone).date()
        days = (datetime.combine(today + timedelta(days=ahead), time(hour), zone) for ahead in (0, 1))
        # Compared as moments: two of one zone would be compared as their clocks show, which some hours do twice.
        return next(day for day in days if day.timestamp() > now.timestamp())
    return now
