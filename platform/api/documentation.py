"""`/api/schema` and `/api/docs`: the same for everybody, and made once a process."""

import json
from functools import cache

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe
from drf_spectacular.generators import SchemaGenerator

from api import conditions


@cache
def document() -> bytes:
    """Return the OpenAPI document as JSON."""
    generated = SchemaGenerator(urlconf="api.urls").get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    return json.dumps(generated, ensure_ascii=False, indent=1).encode()


def schema(request: HttpRequest) -> HttpResponse:
    """Serve the OpenAPI document."""
    return HttpResponse(
        document(), content_type="application/json", headers={"ETag": conditions.etag(document().decode())}
    )


def docs(request: HttpRequest) -> HttpResponse:
    """Serve the page that shows it and tries calls; its script is a file of its own, as the page's policy demands."""
    return render(request, "api/docs.html")


schema = require_safe(schema)
docs = require_safe(docs)
