"""Says of each request, to whatever is recorded while it is answered, where that came from (`audit.source`)."""

from collections.abc import Awaitable
from typing import Any, cast

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.deprecation import MiddlewareMixin

from audit.source import Source, answering, trace_of


class Sources(MiddlewareMixin):
    """Stands in front of all that records anything. Which API key it was is noted where the key is recognised."""

    def __call__(self, request: HttpRequest) -> Any:
        """Answer the request."""
        if self.async_mode:
            return self.__acall__(request)
        with answering(_source(request)):
            return self.get_response(request)

    async def __acall__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer the request; threads that are asked meanwhile know its source too."""
        with answering(_source(request)):
            return await cast(Awaitable[HttpResponseBase], self.get_response(request))


def _source(request: HttpRequest) -> Source:
    return Source(trace_of(request.headers.get("traceparent")))
