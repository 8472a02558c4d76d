"""Numbers and times in the words people read. Pure."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from agents.core.money import NANO

STATUS: Final[Mapping[str, str]] = {
    "queued": "Queued",
    "running": "Running",
    "waiting": "Waiting",
    "completed": "Completed",
    "failed": "Failed",
    "cancelled": "Cancelled",
}

WAITING_FOR: Final[Mapping[str, str]] = {
    "decision": "Waiting for a person",
    "timer": "Waiting for a timer",
    "child": "Waiting for a child run",
    "provider": "Waiting for the provider",
}

ICONS: Final[Mapping[str, str]] = {
    "running": "loader-circle",
    "decision": "user-check",
    "timer": "timer",
    "child": "git-branch",
    "provider": "cloud-off",
    "completed": "circle-check",
    "failed": "circle-x",
    "cancelled": "circle-slash",
}

ASKED: Final[Mapping[str, str]] = {
    "tool_call": "A tool call to approve",
    "output": "An output to confirm",
    "question": "A question to answer",
    "budget": "A budget to extend",
    "reconcile": "An outcome to reconcile",
    "appeal": "An appeal to decide",
}


def status(value: str, waiting_for: str | None) -> str:
    """Return a run's status, with what it waits for."""
    return WAITING_FOR.get(waiting_for or "", STATUS["waiting"]) if value == "waiting" else STATUS.get(value, value)


def status_icon(value: str, waiting_for: str | None) -> str:
    """Return the picture beside a run's status."""
    return ICONS.get(waiting_for or "" if value == "waiting" else value, "clock")


def code(value: str) -> str:
    """Return a stable code such as `risk_above` as words."""
    return value.replace("_", " ").replace("-", " ")


def duration(value: timedelta) -> str:
    """Return a length of time in its two largest units: 380 ms, 4.1 s, 3 min 12 s, 2 h 5 min, 3 d 4 h."""
    seconds = max(value.total_seconds(), 0)
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for size, large, rest, small in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            return f"{whole // size} {large} {whole % size // rest} {small}"
    return f"{whole} s"


def usd(nano: int) -> str:
    """Return nano-USD as $0.0983 below ten dollars, $12.35 above; what is not nothing never shows as nothing."""
    if 0 < nano < NANO // 10_000:
        return "<$0.0001"
    return f"${nano / NANO:,.4f}" if nano < 10 * NANO else f"${nano / NANO:,.2f}"


def budget(nano: int) -> str:
    """Return a limit of nano-USD with two decimals, or as many as it has."""
    return f"${nano / NANO:,.2f}" if nano % (NANO // 100) == 0 else usd(nano)


def count(value: int) -> str:
    """Return a number as 940, 12.0k or 3.4M."""
    if value < 1000:
        return str(value)
    return f"{value / 1000:.1f}k" if value < 999_950 else f"{value / 1_000_000:.1f}M"


def moment(value: datetime) -> str:
    """Return a time to the second, in UTC and saying so."""
    utc = value.astimezone(UTC)
    return f"{utc.day} {utc:%b %Y, %H:%M:%S} UTC"


def clock(value: datetime) -> str:
    """Return the time of day to the millisecond, in UTC."""
    return f"{value.astimezone(UTC):%H:%M:%S.%f}"[:-3]
