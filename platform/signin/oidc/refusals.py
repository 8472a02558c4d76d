"""What somebody reads, and what the journal keeps, when single sign-on did not let them in."""

import logging
from typing import Final
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from audit import journal
from audit.canonical import Json
from db.scope import PLATFORM, tenant_scope
from quotas.addresses import client_address
from signin import guesses, records
from signin.guesses import TooManyGuesses
from signin.oidc import attempts, installed
from signin.oidc.errors import CallFailed, NotAdmitted, Refused
from signin.oidc.installed import Door

#: A sign-in that this browser never began, or that is over.
UNASKED: Final = "state"

#: Too many were begun and not finished.
TOO_MANY: Final = "too_many"

#: Nobody was refused anything: whoever comes back may say these themselves.
_UNRECORDED: Final = frozenset({UNASKED, "cancelled", "provider_error"})

_WORDS: Final = {
    "cancelled": "You left the sign-in at your provider before it was done.",
    UNASKED: "This sign-in was begun elsewhere, took too long, or was used already. Begin again.",
    TOO_MANY: "Too many sign-ins were begun from where you are and not finished. Wait a few minutes, then begin again.",
    "provider_unreachable": "Your provider did not answer as it should. Try again in a while.",
    **NotAdmitted.WORDS,
}
_OTHERWISE: Final = "Your provider's answer could not be believed. Tell an owner of your tenant the code below."

_logger = logging.getLogger(__name__)


def reason_of(error: Exception) -> str:
    """Return the code of what went wrong, and log it; of errors not ours only the name, as they may hold tokens."""
    if isinstance(error, Refused | CallFailed):
        _logger.warning("Single sign-on failed (%s): %s", error.reason, error)
        return error.reason
    _logger.warning("Single sign-on failed: %s", type(error).__name__)
    return "provider_answer"


def answer(request: HttpRequest, provider_id: UUID, reason: str) -> HttpResponse:
    """Return the page that says so, after a record in the tenant's journal that names the provider.

    When the journal has kept what it keeps of one provider's failures in an hour, one record says that there are more.
    """
    door = installed.door(provider_id)
    if reason not in _UNRECORDED and door is not None:
        spent = attempts.spent(request, door)
        if spent is None:
            _record(request, door, "login.failed", {"reason": reason})
        elif guesses.is_first(request, spent):
            _record(request, door, "login.throttled", {"budget": spent.budget})
    return _page(request, door, reason, status=403)


def too_many(request: HttpRequest, door: Door, spent: TooManyGuesses) -> HttpResponse:
    """Return the page for one sign-in too many; the first in a window leaves a record."""
    if guesses.is_first(request, spent) and attempts.spent(request, door) is None:
        _record(request, door, "login.throttled", {"budget": spent.budget})
    return _page(request, door, TOO_MANY, status=429)


def _record(request: HttpRequest, door: Door, action: str, facts: dict[str, Json]) -> None:
    with tenant_scope(door.tenant_id):
        journal.record(
            action,
            stream=PLATFORM,
            actor=records.ANONYMOUS,
            facts={"step": "socialaccount", "providers": [str(door.id)], **facts},
            payload={"address": client_address(request)},
            outcome="denied",
        )


def _page(request: HttpRequest, door: Door | None, reason: str, *, status: int) -> HttpResponse:
    context = {"words": _WORDS.get(reason, _OTHERWISE), "reason": reason, "door": door}
    return render(request, "signin/sso_refused.html", context, status=status)
