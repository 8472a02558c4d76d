"""Browsers that an account is known from: a signed, long-lived cookie set at each full sign-in.

It opens nothing. It only gives its browser a budget of guesses of its own, so that whoever guesses at an account from
elsewhere can't use up the owner's (OWASP, "Slow Down Online Guessing Attacks with Device Cookies"). One that came in by
a provider is known to the provider instead, in the same way.
"""

import secrets
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponseBase

COOKIE: Final = "known"
PATH: Final = "/accounts/"
_SALT: Final = "signin.device"

#: How long a browser stays known after its last sign-in.
AGE_S: Final = 365 * 24 * 3600

#: Accounts one browser is known to; the one signed in to longest ago gives way.
_ACCOUNTS: Final = 5


def known_as(request: HttpRequest, user_id: UUID) -> str | None:
    """Return this browser's own name for the account, or None when the account was never signed in to from it."""
    return _names(request).get(str(user_id))


def remember(request: HttpRequest, response: HttpResponseBase, user_id: UUID) -> None:
    """Make the browser known to the account; a name it has already stays, with the failures counted under it."""
    names = _names(request)
    name = names.pop(str(user_id), None) or secrets.token_urlsafe(16)
    kept = dict([*names.items(), (str(user_id), name)][-_ACCOUNTS:])
    response.set_cookie(
        COOKIE,
        signing.dumps(kept, salt=_SALT),
        max_age=AGE_S,
        path=PATH,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def _names(request: HttpRequest) -> dict[str, str]:
    try:
        found: Any = signing.loads(request.COOKIES.get(COOKIE, ""), salt=_SALT, max_age=AGE_S)
    except signing.BadSignature:
        return {}
    return dict(found)
