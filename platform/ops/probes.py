"""`/healthz` and `/readyz`, for supervisors and load balancers."""

from django.db import Error
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from ops import readiness


@never_cache
@require_safe
def health(request: HttpRequest) -> JsonResponse:
    """The process answers; nothing else is asked."""
    return JsonResponse({"status": "ok"})


@never_cache
@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """200 when requests can be served, 503 with a sentence for each reason otherwise."""
    try:
        problems = readiness.problems()
    except Error:
        problems = {"database": "The database can't be reached."}
    if problems:
        return JsonResponse({"status": "not ready", "problems": problems}, status=503)
    return JsonResponse({"status": "ready"})
