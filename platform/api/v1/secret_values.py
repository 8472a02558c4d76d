"""Secrets: written, never read back."""

from typing import Any

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from api.bodies import Body
from api.queries import Page, Query
from api.schema import PAGING, call, component, page_of
from api.views import View, found, name
from vault.actions import secrets

Json = Any

_VALUE = Body(
    {
        "type": "object",
        "properties": {"value": {"type": "string", "writeOnly": True}},
        "required": ["value"],
        "additionalProperties": False,
    },
    example={"value": "Bearer 4f9c…"},
)


_PAGE = page_of(
    "SecretPage",
    component("Secret", {"name": {"type": "string"}, "updated_at": {"type": "string", "format": "date-time"}}),
)
_PATH = {"secret_name": "The secret's name."}


class Secrets(View):
    """The tenant's secrets, by name."""

    @call("listSecrets", "List the names of secrets", answer=_PAGE, parameters=PAGING, refusals=(400, 422))
    def get(self, request: Request) -> Response:
        """List the names that definitions may use, newest first; never the values."""
        self.require("tools:read")
        page = Page(Query(self.plain_request, ("limit", "cursor")), name=f"secrets.{self.principal.tenant_id}")
        with self.scope():
            return Response(
                page.of(
                    secrets.kept(),
                    lambda kept: [{"name": each.name, "updated_at": each.updated_at.isoformat()} for each in kept],
                )
            )


class OneSecret(View):
    """A secret by name."""

    @call("putSecret", "Keep a secret", status=204, body=_VALUE, path=_PATH)
    def put(self, request: Request, secret_name: str) -> HttpResponse:
        """Keep the value under that name, in place of any former one; tools name it as `secret:NAME`.

        There is no way to read it back.
        """
        self.require("tools:write")
        value = self.body(_VALUE)["value"]
        with self.scope():
            secrets.put(secret_name, value, acting_as=self.principal)
        return HttpResponse(status=204)

    @call("deleteSecret", "Delete a secret", status=204, path=_PATH, refusals=(404, 409))
    def delete(self, request: Request, secret_name: str) -> HttpResponse:
        """Forget the secret for good. Refused while a tool or a data source names it."""
        with self.scope():
            found(secrets.kept(), name=name(secret_name))
            self.require("tools:write")
            secrets.remove(secret_name, acting_as=self.principal)
        return HttpResponse(status=204)
