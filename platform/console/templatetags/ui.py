"""What templates say in one way everywhere."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django import template

from console import wording

register = template.Library()


@register.inclusion_tag("console/parts/when.html")
def when(moment: datetime, form: str = "auto") -> dict[str, Any]:
    """Show a time as relative, with the absolute one on hover, in print and without scripts.

    form: `auto`, or `micro` where there is little room.
    """
    return {"iso": moment.astimezone(UTC).isoformat(), "words": wording.moment(moment), "form": form}


@register.filter
def short(identifier: UUID | str) -> str:
    """Return the end of an id, which tells ids of one day apart; the beginning is its time."""
    return str(identifier)[-8:]


@register.filter
def code(value: str) -> str:
    """Return a stable code as words."""
    return wording.code(value)


@register.filter
def status(value: str) -> str:
    """Return a run's status as a word."""
    return wording.STATUS.get(value, value)
