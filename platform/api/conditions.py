"""ETags of configuration, and the conditions a change must meet (RFC 9110, section 13)."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

from django.db import connection
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from rest_framework.response import Response

from api.errors import BadHeader, NotFound, PreconditionFailed, PreconditionMissing
from api.views import name
from db.scope import current_tenant_id

Json = Any
M = TypeVar("M", bound=Model)

_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e]*"')


def etag(value: Json) -> str:
    """Return the strong ETag of a representation."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'


def answer(shown: Json, *, status: int = 200, beside: Mapping[str, Json] = MappingProxyType({})) -> Response:
    """Return the representation with its ETag. beside: what is told with it and is no part of the tag."""
    return Response({**shown, **beside}, status=status, headers={"ETag": etag(shown)})


def replaced(request: HttpRequest, noun: str, rows: "QuerySet[M]", show: Callable[[M], Json], **by: str) -> M | None:
    """Return the row that a PUT replaces, None when it creates; no other goes on with it until the transaction ends.

    by: the one field that the address names the row by. show: gives its representation. Raises what `check` raises.
    """
    [(field, text)] = by.items()
    serialise(noun, text)
    try:
        present = rows.filter(**{field: name(text)}).first()
    except NotFound:
        present = None
    check(request, etag(show(present)) if present is not None else None)
    return present


def serialise(noun: str, name: str) -> None:
    """Let one change of that name at a time go on, until the transaction ends: also of what is not there yet."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"{current_tenant_id()}/{noun}/{name}"]
        )


def check(request: HttpRequest, current: str | None) -> None:
    """Raise unless the request's conditions meet `current`, the ETag now, or None when there is nothing yet.

    Replacing needs `If-Match`; creating needs `If-None-Match: *`, and `If-Match` never creates. Weak tags never match.
    Raises `PreconditionMissing`, `PreconditionFailed`, `BadHeader`.
    """
    match, none_match = request.headers.get("If-Match"), request.headers.get("If-None-Match")
    if match is None and none_match is None:
        raise PreconditionMissing
    if none_match is not None and none_match.strip() != "*":
        raise BadHeader("`If-None-Match` is understood as `*` only: create, but never replace.")
    if none_match is not None and current is not None:
        raise PreconditionFailed("There is one of that name already; read it and send its ETag as `If-Match`.")
    if match is not None and (current is None or not _names(match, current)):
        raise PreconditionFailed


def _names(header: str, current: str) -> bool:
    return header.strip() == "*" or current in _TAG.findall(header)
