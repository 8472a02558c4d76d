"""What every call shares: who asks, in which tenant's scope, and what was found.

Order of checks: 401 (before the handler runs), 404 (`found`, `identifier`), 403 (`require`), then the body, whose
faults (422) are looked for before an action runs but after the object was found.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from uuid import UUID

from django.db import connection
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.views import APIView

from access import permissions
from api.authentication import BearerKey
from api.bodies import NOTHING, Body
from api.errors import NotFound
from db.scope import tenant_scope
from tenants.principal import Principal

Json = Any
M = TypeVar("M", bound=Model)

_ID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")


class View(APIView):
    """One address. `scope` must be open around all work on tenant data."""

    authentication_classes = (BearerKey,)
    renderer_classes: tuple[type[BaseRenderer], ...] = (JSONRenderer,)
    http_method_names = ["get", "head", "post", "put", "delete"]  # noqa: RUF012 - Django declares it so

    @property
    def principal(self) -> Principal:
        """Who asks."""
        principal = self.request.user
        assert isinstance(principal, Principal)  # noqa: S101 - what `BearerKey` returns
        return principal

    @property
    def plain_request(self) -> HttpRequest:
        """Django's own request; its body is read by `Body` alone."""
        return self.request._request

    @contextmanager
    def scope(self) -> Iterator[None]:
        """Run the block as one transaction in the asking principal's tenant, then give the connection back."""
        try:
            with tenant_scope(self.principal.tenant_id):
                yield
        finally:
            connection.close()

    def require(self, permission: str) -> None:
        """Raise `AccessDenied` unless role and scopes allow it."""
        permissions.check(self.principal, permission)

    def body(self, body: Body = NOTHING) -> dict[str, Json]:
        """Return the request's body as `body` describes it."""
        return body.read(self.plain_request)

    @property
    def shows_payloads(self) -> bool:
        """Whether the principal sees inputs, arguments and outputs."""
        return permissions.sees_payloads(self.principal)


def found(rows: "QuerySet[M]", **by: Any) -> M:
    """Return the one row; raises `NotFound`, alike for another tenant's and for none."""
    row = rows.filter(**by).first()
    if row is None:
        raise NotFound
    return row


def identifier(text: str) -> UUID:
    """Return the id that a URL names; raises `NotFound` for anything else, as for an id nobody has."""
    if not _ID.match(text):
        raise NotFound
    return UUID(text)


def name(text: str) -> str:
    """Return the slug or name that a URL names; raises `NotFound` for what could not be one."""
    if not _NAME.match(text):
        raise NotFound
    return text
