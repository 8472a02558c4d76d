"""What somebody reads, and what the journal keeps, when single sign-on did not let them in."""

import logging
from typing import Final
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from audit import journal
from db.scope import PLATFORM, tenant_scope
from quotas.addresses import client_address
from signin.oidc import installed
from signin.oidc.errors import CallFailed, NotAdmitted, Refused

#: A sign-in that this browser never began, or that is over: nobody has tried anything that could be recorded.
UNASKED: Final = "state"

_WORDS: Final = {
    "cancelled": "You left the sign-in at your provider before it was done.",
    UNASKED: "This sign-in was begun elsewhere, took too long, or was used already. Begin again.",
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
    """Return the page that says so, after one record in the tenant's journal that names the provider."""
    door = installed.door(provider_id)
    if reason != UNASKED and door is not None:
        with tenant_scope(door.tenant_id):
            journal.record(
                "login.failed",
                stream=PLATFORM,
                actor="anonymous",
                facts={"step": "socialaccount", "providers": [str(door.id)], "reason": reason},
                payload={"address": client_address(request)},
                outcome="denied",
            )
    context = {"words": _WORDS.get(reason, _OTHERWISE), "reason": reason, "door": door}
    return render(request, "signin/sso_refused.html", context, status=403)
