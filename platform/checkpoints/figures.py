"""What is told of witnesses and letters, of those that are set now. To be called as the seal role."""

from datetime import datetime

from django.conf import settings

from audit.stored import execute
from checkpoints import statements
from checkpoints.letters import digest


def witnesses(now: datetime) -> list[tuple[str, float, int]]:
    """Return each witness's name, seconds since it was last asked for all there was and answered, and refused logs."""
    of = {"now": now, "names": [each.name for each in settings.WITNESSES]}
    return [(name, float(seconds), refused) for name, seconds, refused in execute(statements.WITNESSES, of)]


def late(now: datetime) -> float:
    """Return for how many seconds the letter that is due longest has waited."""
    of = {"now": now, "recipients": [digest(each) for each in settings.CHECKPOINT_MAIL]}
    return float(execute(statements.LATE, of)[0][0] or 0)
