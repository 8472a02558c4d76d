"""The limit by address, before anybody is recognised; and what the answer says of the limits it was counted against.

The header fields are those of draft-ietf-httpapi-ratelimit-headers-10.
"""

from collections.abc import Awaitable
from typing import Any, Final, cast

from asgiref.sync import sync_to_async
from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils.deprecation import MiddlewareMixin

from api import problems
from quotas import rates
from quotas.addresses import client_address, network
from quotas.errors import RateLimited

API: Final = "/api"

#: The policy whose rest a caller is told: what it shares with nobody. Before it is known, its address's.
OWN: Final = "key"


class RateLimits(MiddlewareMixin):
    """Counts each request against its address, and turns a limit that a page ran into into an answer."""

    def __call__(self, request: HttpRequest) -> Any:
        """Answer the request, or say that there were too many."""
        if self.async_mode:
            return self.__acall__(request)
        return _tell(request, _count(request) or cast(HttpResponseBase, self.get_response(request)))

    async def __acall__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer as `__call__` does. Counting in this process takes less than a thread; Redis must not hold all up."""
        remote = bool(settings.REDIS_URL)
        refused = await sync_to_async(_count)(request) if remote else _count(request)
        if refused is not None:
            return _tell(request, refused)
        response = await cast(Awaitable[HttpResponseBase], self.get_response(request))
        return await sync_to_async(_tell)(request, response) if remote else _tell(request, response)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponseBase | None:
        """Answer for a page that counted the person and the tenant."""
        return _refusal(request, exception) if isinstance(exception, RateLimited) else None


def _is_interface(request: HttpRequest) -> bool:
    return request.path == API or request.path.startswith(f"{API}/")


def _count(request: HttpRequest) -> HttpResponseBase | None:
    try:
        rates.count(request, ("address", network(client_address(request))))
    except RateLimited as limited:
        return _refusal(request, limited)
    return None


def _refusal(request: HttpRequest, limited: RateLimited) -> HttpResponseBase:
    if _is_interface(request):
        return problems.of(limited)
    page = render(request, "429.html", status=limited.status)
    page["Retry-After"] = str(limited.retry_after_s)
    return page


def _tell(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    counted = rates.counted(request)
    told = [*counted, *_refusing(response, counted)]
    if not told or not _is_interface(request):
        return response
    response["RateLimit-Policy"] = ", ".join(f'"{each.policy}";q={each.quota};w={each.window_s}' for each in told)
    if "RateLimit" not in response:
        own = next((each for each in counted if each.policy == OWN), counted[0])
        left = rates.left(own)
        response["RateLimit"] = f'"{own.policy}";r={left.requests};t={left.reset_s}'
    return response


def _refusing(response: HttpResponseBase, counted: list[rates.Spent]) -> list[rates.Spent]:
    """Return the limit that the answer says has refused, unless it was counted; that of streams has no window."""
    policy = response.get("RateLimit", "").partition(";")[0].strip('"')
    if settings.RATE_LIMITS.get(policy) is None or any(each.policy == policy for each in counted):
        return []
    return [rates.Spent(policy, "")]
