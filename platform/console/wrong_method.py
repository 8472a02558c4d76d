"""A page for whoever opens an address that takes forms only, such as by coming back to one in the browser."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotAllowed
from django.template.loader import render_to_string


class WrongMethod:
    """Middleware: says on the console's own 405 what to do. Nothing of a tenant is in it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        answer = self._get_response(request)
        match = request.resolver_match
        if isinstance(answer, HttpResponseNotAllowed) and match is not None and match.app_name == "console":
            page = HttpResponse(render_to_string("405.html", request=request), status=answer.status_code)
            page["Allow"] = answer["Allow"]
            return page
        return answer
