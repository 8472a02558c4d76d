"""Every error under /api/ as one problem document (RFC 9457)."""

import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings
from django.core.exceptions import DisallowedHost, PermissionDenied, SuspiciousOperation
from django.db import DatabaseError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.views import defaults
from django.views.decorators.csrf import csrf_exempt
from psycopg_pool import PoolTimeout
from rest_framework.exceptions import APIException, MethodNotAllowed, NotAcceptable

from api.errors import NotFound
from audit.canonical import NotCanonical
from db.errors import Refusal
from quotas import refusals
from quotas.errors import RateLimited
from tenants.principal import Principal

MEDIA_TYPE = "application/problem+json"
CHALLENGE = 'Bearer realm="countersign"'

_logger = logging.getLogger(__name__)

_FORBIDDEN = "forbidden"

_FAILED = "Something went wrong on our side; it has been logged. Try again."

#: What the framework raises, as our code, in the order of the tests.
_FRAMEWORK: tuple[tuple[type[Exception], int, str, str], ...] = (
    (Http404, 404, NotFound.code, NotFound.__doc__ or ""),
    (
        MethodNotAllowed,
        405,
        "method_not_allowed",
        "This address does not take that method.",
    ),
    (NotAcceptable, 406, "not_acceptable", "This address answers in application/json."),
    (NotCanonical, 422, "unkeepable_number", "The body holds an integer beyond 2^53 - 1; write it as a string."),
    (PermissionDenied, 403, _FORBIDDEN, "You may not do this."),
    (
        DisallowedHost,
        400,
        "bad_request",
        "This installation does not answer to that host name. Use the one it has, or have it named in ALLOWED_HOSTS.",
    ),
    (SuspiciousOperation, 400, "bad_request", "The request cannot be read."),
    (OperationalError, 503, "unavailable", "The database does not answer; try again."),
    (InterfaceError, 503, "unavailable", "The database does not answer; try again."),
    (PoolTimeout, 503, "unavailable", "The installation is overloaded; try again."),
)


def problem(
    status: int,
    code: str,
    detail: str,
    errors: Sequence[Mapping[str, str]] = (),
    headers: Mapping[str, str] | None = None,
) -> HttpResponse:
    """Return the problem document. Equal arguments give equal bytes: nothing of the request is echoed."""
    body: dict[str, Any] = {
        "type": f"urn:countersign:problem:{code}",
        "title": code.replace("_", " ").capitalize(),
        "status": status,
        "detail": detail,
        "code": code,
    }
    if errors:
        body["errors"] = list(errors)
    text = json.dumps(body, ensure_ascii=False).encode("utf-8", "backslashreplace")
    return HttpResponse(
        text, status=status, content_type=MEDIA_TYPE, headers={"Cache-Control": "no-store", **(headers or {})}
    )


def of(exception: Exception) -> HttpResponse:
    """Return the problem that an exception stands for; one nobody foresaw is logged and shown without its insides."""
    if isinstance(exception, Refusal):
        headers = {"WWW-Authenticate": CHALLENGE} if exception.status == 401 else {}
        if exception.status == 503:
            headers = {"Retry-After": "1"}
        if isinstance(exception, RateLimited):
            wait = exception.retry_after_s
            headers = {"Retry-After": str(wait), "RateLimit": f'"{exception.policy}";r=0;t={wait}'}
        return problem(exception.status, exception.code, str(exception), _errors(exception), headers)
    for kind, status, code, detail in _FRAMEWORK:
        if isinstance(exception, kind):
            if status >= 500:
                _logger.warning("A request could not be served.", exc_info=exception)
            return problem(status, code, detail, headers={"Retry-After": "1"} if status == 503 else None)
    if isinstance(exception, APIException):
        return problem(exception.status_code, exception.default_code, str(exception.detail))
    _logger.error("A request ended in an unforeseen error.", exc_info=exception)
    return problem(500, "internal_error", _FAILED)


def _errors(exception: Exception) -> list[dict[str, str]]:
    found = getattr(exception, "errors", None) or ()
    return [{"pointer": str(each["pointer"]), "detail": str(each["detail"])} for each in found]


def handle(exception: Exception, context: Mapping[str, Any]) -> HttpResponse:
    """Django REST framework's exception handler. A refusal that cannot or may not be recorded is not told either.

    Recorded are those of a right (403), and those whose error names an `action` of the journal.
    """
    answer = of(exception)
    request = context["request"]
    is_recorded = answer.status_code == 403 or getattr(exception, "action", None) is not None
    if not is_recorded or not isinstance(request.user, Principal):
        return answer
    code = getattr(exception, "code", _FORBIDDEN)
    try:
        refusals.record(
            request.user, exception, route=request.resolver_match.view_name, method=request.method, code=code
        )
    except (RateLimited, DatabaseError, InterfaceError, PoolTimeout) as error:
        return of(error)
    return answer


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Answer what could not be read before any view was found; pages get Django's page, a wrong Host one of its own."""
    elsewhere = isinstance(exception, DisallowedHost)
    if _is_api(request):
        return of(exception if elsewhere else SuspiciousOperation())
    template = "400_host.html" if elsewhere else defaults.ERROR_400_TEMPLATE_NAME
    return defaults.bad_request(request, exception, template)


def server_error(request: HttpRequest) -> HttpResponseBase:
    """Answer what failed before or after the view, which Django has logged; pages get Django's page."""
    return problem(500, "internal_error", _FAILED) if _is_api(request) else defaults.server_error(request)


def _is_api(request: HttpRequest) -> bool:
    return request.path_info.startswith("/api/")


@csrf_exempt  # no session signs in here, and the answer is the same to everybody
def no_such_route(request: HttpRequest) -> HttpResponse:
    """Answer whatever under /api/ no other route takes."""
    return of(NotFound())


def limit_sentence() -> str:
    """Return what to do about a body that is too large."""
    return f"The body is larger than this installation accepts ({settings.MAX_BODY_BYTES} bytes)."
