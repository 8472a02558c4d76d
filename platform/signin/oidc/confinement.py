"""A session that a tenant's provider vouched for stays out of what belongs to the person.

Password, second factors and the list of sessions are the account's, and the account may belong to other tenants: who
runs one tenant's provider could otherwise take it over through these pages. Only an account that is that tenant's alone
may be looked after from such a session.
"""

from collections.abc import Callable
from typing import Any, Final

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render

from quotas import refusals
from quotas.errors import RateLimited
from signin import records
from signin.reach import Reach, reach_of
from tenants.actions.members import tenants_of
from tenants.models import User

_OPEN_APPS: Final = frozenset({"console", "api"})

#: Pages beside the apps above that such a session opens. Whatever is not named here it does not.
OPEN_PAGES: Final = frozenset(
    {
        "healthz",
        "readyz",
        "account_login",
        "account_logout",
        "account_inactive",
        "sso",
        "sso_tenant",
        "sso_leave",
        "sso_callback",
        "invitation",
        "invitation_link",
    }
)

#: Pages of an account's own that an account of one tenant alone opens too.
_OWN_PAGES: Final = ("account_", "mfa_")


class Confinement:
    """Middleware: answers 403, after a record, where a session reaches for what its provider cannot vouch for.

    429 instead when that was refused too often, with one record a window.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self._get_response(request)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponse | None:
        """Let the view be, or answer in its place."""
        match = request.resolver_match
        if match is None or match.app_name in _OPEN_APPS or match.url_name in OPEN_PAGES:
            return None
        if not isinstance(request.user, User):
            return None
        reach = reach_of(request, request.user)
        own_page = match.app_name == "" and str(match.url_name).startswith(_OWN_PAGES)
        if reach.by_own_means or (own_page and _of_one_tenant(reach)):
            return None
        try:
            refusals.spend(str(reach.user.id), tell=lambda: _record("account.throttled", reach, request, {}))
        except RateLimited as limited:
            page = render(request, "429.html", status=limited.status)
            page["Retry-After"] = str(limited.retry_after_s)
            return page
        _record("account.refused", reach, request, {"route": match.view_name, "method": request.method})
        return render(request, "signin/confined.html", status=403)


def _record(action: str, reach: Reach, request: HttpRequest, facts: dict[str, Any]) -> None:
    records.write(action, reach.user, request, facts=facts, outcome="denied", reach=reach)


def _of_one_tenant(reach: Reach) -> bool:
    """Say whether the account is good for nothing but what the session opens, with or without it."""
    return not reach.user.has_usable_password() and tenants_of(reach.user.id) == reach.tenants() != []
