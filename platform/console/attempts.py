"""Doing what a form asks for: how a refusal is recorded and said."""

from collections.abc import Callable
from typing import TypeVar

from django.contrib import messages

from console.members import MemberRequest, record_refusal
from db.errors import Refusal

Made = TypeVar("Made")


def attempt(request: MemberRequest, act: Callable[[], Made]) -> tuple[Made | None, Refusal | None]:
    """Do it; return what it made, or why it was refused, which is recorded where a right was missing."""
    try:
        return act(), None
    except Refusal as refusal:
        record_refusal(request, refusal)
        return None, refusal


def say(request: MemberRequest, act: Callable[[], object], told: str) -> bool:
    """Do it and say on the next page that it is done, or why it was refused; return whether it was done."""
    _, refusal = attempt(request, act)
    if refusal is not None:
        messages.error(request, str(refusal))
        return False
    messages.success(request, told)
    return True
