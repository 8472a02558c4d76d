"""Where browsers report what the content security policy stopped: a page is broken, or somebody tries something.

What arrives is anybody's to write, so it is bounded, counted by address, logged in a few known fields and not kept.
"""

import json
import logging
from collections.abc import Iterator
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from quotas import rates
from quotas.addresses import client_address, network

Json = Any

MAX_BYTES: Final = 16 * 1024
MAX_REPORTS: Final = 10
MAX_TEXT: Final = 300

#: Of CSP level 2 (`report-uri`) and of the Reporting API (`report-to`).
MEDIA_TYPES: Final = ("application/csp-report", "application/reports+json")

#: What is logged, by its name in either form.
_FIELDS: Final = {
    "document-uri": "page",
    "documentURL": "page",
    "blocked-uri": "blocked",
    "blockedURL": "blocked",
    "effective-directive": "directive",
    "effectiveDirective": "directive",
    "violated-directive": "directive",
    "source-file": "source",
    "sourceFile": "source",
    "line-number": "line",
    "lineNumber": "line",
}

_logger = logging.getLogger(__name__)


@csrf_exempt  # browsers send reports without a token, and nothing is changed
@require_POST
def collect(request: HttpRequest) -> HttpResponse:
    """Log the reports. 204, or 413, 415 and 400 for what no browser sends; `RateLimited` for too many."""
    if request.content_type not in MEDIA_TYPES:
        return HttpResponse(status=415)
    body = request.read(MAX_BYTES + 1)
    if len(body) > MAX_BYTES:
        return HttpResponse(status=413)
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return HttpResponse(status=400)
    for report in list(_reports(told))[:MAX_REPORTS]:
        rates.count(request, ("reports", network(client_address(request))))
        _logger.warning("A browser reports that the content security policy was violated.", extra={"report": report})
    return HttpResponse(status=204)


def _reports(told: Json) -> Iterator[dict[str, str]]:
    """Yield what is known of each report in either form; what has neither yields nothing."""
    for each in told if isinstance(told, list) else [told]:
        body = (each.get("csp-report") or each.get("body")) if isinstance(each, dict) else None
        if isinstance(body, dict):
            known = ((name, body.get(field)) for field, name in _FIELDS.items())
            yield {name: str(value)[:MAX_TEXT] for name, value in known if isinstance(value, str | int)}
